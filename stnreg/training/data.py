"""Scans for training, preprocessed once into one `.npz`, so that training needs torch and numpy only."""

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

DESCRIBED = ("names", "extent_mm", "sources", "skipped")  # stored as JSON


@dataclass(frozen=True)
class Scans:
    """The data of a pair task.

    Attributes
    ----------
    images : (n, P, P, P) uint8
        Normalised scans, scaled by 255, each in a cube along the LPS axes about its own centre.
    names : tuple of str
    training, validation : (k,) int
        Indices of `images`; the splits have no person in common.
    pairs, validation_pairs : (m, 2) int
        Fixed and moving indices of given pairs; empty if any two people make a pair.
    truths, validation_truths : (m, 3, 4) float64
        True theta of each given pair, NaN if unknown.
    extent_mm : float
        Edge of the cube.
    sources : tuple of dict
        `name` and `terms` of each data set, for the sidecar of the weights.
    skipped : tuple of str
        Files that could not be used, with reasons.
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
class ScanList:
    """Scans on disk, with their splits and pairs.

    Attributes
    ----------
    paths : tuple of Path
        Each scan once.
    splits : tuple of str
        `train` or `validation` for each.
    pairs : tuple of (fixed, moving, truth)
        Indices of `paths`, both of one split, and the file of the true transform or None; empty if any two people
        make a pair.
    """

    paths: tuple[Path, ...]
    splits: tuple[str, ...]
    pairs: tuple[tuple[int, int, Path | None], ...] = ()


def pack_scans(
    listed: ScanList,
    *,
    size: int,
    spacing_mm: float,
    normalise: str = "minmax",
    centre: str = "grid",
    sources: Sequence[dict[str, str]] = (),
    skip_bad: bool = False,
) -> Scans:
    """Preprocess scans as at inference.

    Parameters
    ----------
    listed : ScanList
    size, spacing_mm
        Of the stored cubes.
    normalise : str
        Rule of intensity normalisation.
    centre : {"grid", "foreground"}
        Centre of the cubes.
    sources : sequence of dict
        Stored unchanged.
    skip_bad : bool
        Skip unusable scans and transforms, and pairs with them, instead of raising.

    Raises
    ------
    DataError
        On the first unusable file; or, with `skip_bad`, if too little is left.
    """
    cubes: dict[int, Grid] = {}
    skipped: list[str] = []
    images = np.empty((len(listed.paths), size, size, size), np.uint8)
    for number, path in enumerate(listed.paths):
        try:
            cubes[number] = _pack_one(path, images[len(cubes)], spacing_mm, normalise, centre)
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


def _pack_one(path: Path, image: np.ndarray, spacing_mm: float, normalise: str, centre: str) -> Grid:
    """Preprocess one scan into `image` (P, P, P) uint8, and return its grid."""
    from stnreg.images.volume import load_volume
    from stnreg.preprocessing.cube import sample_cube
    from stnreg.preprocessing.initial_transform import center_of_foreground

    volume = load_volume(path)
    middle_lps = center_of_foreground(volume) if centre == "foreground" else volume.grid.center_lps
    cube = Grid.cube(middle_lps, len(image), spacing_mm)
    np.rint(np.clip(sample_cube(volume, cube, normalise), 0, 1) * 255, out=image, casting="unsafe")
    return cube


def _theta(truth: Path | None, fixed: Grid, moving: Grid) -> Matrix:
    """Return the true theta (3, 4) between two cubes; NaN if unknown."""
    from stnreg.transforms.io.files import load_transform

    if truth is None:
        return np.full((3, 4), np.nan)
    return theta_from_affine(load_transform(truth), fixed, moving)


def _skip(error: DataError, path: Path | None, skip_bad: bool) -> str:
    """Return the note about a skipped file, or raise its error with a hint."""
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
    """Write packed scans to a `.npz`, atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    described = json.dumps({name: getattr(scans, name) for name in DESCRIBED})
    arrays = {item.name: getattr(scans, item.name) for item in fields(Scans) if item.name not in DESCRIBED}
    with open_atomic(path) as stream:
        np.savez(stream, described=np.array(described), **arrays)


def load_scans(path: Path) -> Scans:
    """Load packed scans; the images are memory-mapped, shared by all processes.

    Raises
    ------
    DataError
        If the file is missing or of another format.
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
    """Memory-map an array of an uncompressed `.npz`, read-only.

    np.load reads whole members into memory; thousands of scans of 170^3 may not fit.
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
