"""Scans ready for training: prepared once into one `.npz`, so that training needs torch and numpy alone."""

import json
import os
import struct
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.core.files import open_atomic
from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.geometry.theta import theta_from_affine

DESCRIBED = ("names", "extent_mm", "sources", "skipped")  # kept as JSON beside the arrays


@dataclass(frozen=True)
class Scans:
    """What a pair task trains on.

    Attributes
    ----------
    images : (n, P, P, P) uint8
        Normalised scans, 255 for 1, each in a cube along the LPS axes about its own centre.
    names : tuple of str
    training, validation : (k,) int
        Indices of `images`; nobody is in both.
    pairs, validation_pairs : (m, 2) int
        Fixed and moving index of given pairs; empty where any two people make a pair.
    truths, validation_truths : (m, 3, 4) float64
        Theta of the known map of each given pair, NaN where there is none.
    extent_mm : float
        Edge of the cube.
    sources : tuple of dict
        `name` and `terms` of each set of data, for the sidecar of the weights.
    skipped : tuple of str
        Files that could not be used, and why.
    """

    images: np.ndarray
    names: tuple[str, ...]
    training: np.ndarray
    validation: np.ndarray
    extent_mm: float
    sources: tuple[dict[str, str], ...] = ()
    pairs: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))
    truths: np.ndarray = field(default_factory=lambda: np.empty((0, 3, 4)))
    validation_pairs: np.ndarray = field(default_factory=lambda: np.empty((0, 2), np.int64))
    validation_truths: np.ndarray = field(default_factory=lambda: np.empty((0, 3, 4)))
    skipped: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class Listed:
    """Scans on disk, and what is to be made of them.

    Attributes
    ----------
    paths : tuple of Path
        Each scan once.
    splits : tuple of str
        `train` or `validation` for each.
    pairs : tuple of (fixed, moving, truth)
        Indices of `paths`, both of one split, and the transform file of the known map or None; empty where any two
        people make a pair.
    """

    paths: tuple[Path, ...]
    splits: tuple[str, ...]
    pairs: tuple[tuple[int, int, Path | None], ...] = ()


def pack_scans(
    listed: Listed,
    *,
    size: int,
    spacing_mm: float,
    normalise: str = "minmax",
    sources: Sequence[dict[str, str]] = (),
    skip_bad: bool = False,
) -> Scans:
    """Prepare scans as `preprocess` does at inference.

    Parameters
    ----------
    listed : Listed
    size, spacing_mm
        Of the cubes to keep.
    normalise : str
        Rule for intensities.
    sources : sequence of dict
        Stored as they are.
    skip_bad : bool
        Leave out scans and transforms that cannot be used, and pairs with them, rather than raise.

    Raises
    ------
    DataError
        At the first file that cannot be used; or, with `skip_bad`, if too little is left.
    """
    cubes: dict[int, Grid] = {}
    skipped: list[str] = []
    images = np.empty((len(listed.paths), size, size, size), np.uint8)
    for number, path in enumerate(listed.paths):
        try:
            cubes[number] = _pack_one(path, images[len(cubes)], spacing_mm, normalise)
        except DataError as error:
            skipped.append(_skip(error, path, skip_bad))
    kept = {number: place for place, number in enumerate(cubes)}
    pairs: dict[str, list[tuple[tuple[int, int], Matrix]]] = {"train": [], "validation": []}
    for fixed, moving, truth in listed.pairs:
        try:
            if fixed in kept and moving in kept:
                theta = _theta(truth, cubes[fixed], cubes[moving])
                pairs[listed.splits[fixed]].append(((kept[fixed], kept[moving]), theta))
        except DataError as error:
            skipped.append(_skip(error, truth, skip_bad))
    splits = np.array([listed.splits[number] for number in kept])
    if (listed.pairs and not all(pairs.values())) or not {"train", "validation"} <= set(splits):
        raise DataError(f"{len(skipped)} of {len(listed.paths)} scans skipped: none is left to train or to validate on")
    return Scans(
        images=images[: len(kept)],
        names=tuple(listed.paths[number].name for number in kept),
        training=np.flatnonzero(splits == "train"),
        validation=np.flatnonzero(splits == "validation"),
        **_pair_arrays("", pairs["train"]),
        **_pair_arrays("validation_", pairs["validation"]),
        extent_mm=size * spacing_mm,
        sources=tuple(sources),
        skipped=tuple(skipped),
    )


def _pack_one(path: Path, image: np.ndarray, spacing_mm: float, normalise: str) -> Grid:
    """Put one scan into `image` (P, P, P) uint8, and return its cube."""
    from stnreg.images.volume import load_volume
    from stnreg.preprocessing.cube import sample_cube
    from stnreg.preprocessing.pipeline import cube_grid

    volume = load_volume(path)
    cube = cube_grid(volume.grid, len(image), spacing_mm)
    np.rint(np.clip(sample_cube(volume, cube, normalise), 0, 1) * 255, out=image, casting="unsafe")
    return cube


def _theta(truth: Path | None, fixed: Grid, moving: Grid) -> Matrix:
    """Return a known map (3, 4) between two cubes; NaN where it is not known."""
    from stnreg.transforms.io.files import load_transform

    if truth is None:
        return np.full((3, 4), np.nan)
    return theta_from_affine(load_transform(truth), fixed, moving)


def _skip(error: DataError, path: Path | None, skip_bad: bool) -> str:
    """Return what to say of a file that is left out, or raise its error with the way around it."""
    said = str(error) if path is None or str(path) in str(error) else f"{path}: {error}"
    if not skip_bad:
        raise DataError(f"{said} Bad scans can be left out.", argument="skip_bad") from error
    return said


def _pair_arrays(prefix: str, pairs: Sequence[tuple[tuple[int, int], Matrix]]) -> dict[str, Any]:
    return {
        f"{prefix}pairs": np.array([pair for pair, _ in pairs], np.int64).reshape(-1, 2),
        f"{prefix}truths": np.array([theta for _, theta in pairs], np.float64).reshape(-1, 3, 4),
    }


def save_scans(path: Path, scans: Scans) -> None:
    """Write packed scans to a `.npz`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    described = json.dumps({name: getattr(scans, name) for name in DESCRIBED})
    arrays = {item.name: getattr(scans, item.name) for item in fields(Scans) if item.name not in DESCRIBED}
    with open_atomic(path) as stream:
        np.savez(stream, described=np.array(described), **arrays)


def load_scans(path: Path) -> Scans:
    """Read what `save_scans` wrote; the images stay on disk until they are used, once for all processes.

    Raises
    ------
    DataError
        If the file is missing or is something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            described = json.loads(str(file["described"]))
            arrays = {name: file[name] for name in file.files if name not in ("described", "images")}
        arrays["images"] = _mapped(path, "images.npy")
        return Scans(
            **arrays,
            names=tuple(described["names"]),
            extent_mm=described["extent_mm"],
            sources=tuple(described["sources"]),
            skipped=tuple(described.get("skipped", ())),
        )
    except (OSError, ValueError, KeyError, TypeError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: not packed scans ({error}); remove it and it is made anew") from error


def _mapped(path: Path, name: str) -> np.ndarray:
    """Map an array of an `.npz` that is not compressed into memory, read-only.

    np.load reads members whole; thousands of scans at 170^3 are more than a machine may hold.
    """
    with zipfile.ZipFile(path) as archive:
        member = archive.getinfo(name)
    if member.compress_type != zipfile.ZIP_STORED:
        raise ValueError(f"{name} is compressed")
    with path.open("rb") as file:
        file.seek(member.header_offset)
        name_bytes, extra_bytes = struct.unpack("<26x2H", file.read(30))
        file.seek(name_bytes + extra_bytes, os.SEEK_CUR)
        np.lib.format.read_magic(file)
        shape, _, dtype = np.lib.format.read_array_header_1_0(file)
        return np.memmap(path, dtype, "r", file.tell(), shape)
