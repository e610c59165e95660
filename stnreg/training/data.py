"""Scans ready for training: prepared once into one `.npz`, so that training needs torch and numpy alone."""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stnreg.errors import DataError
from stnreg.io.pairs import load_pairs

SUFFIXES = (".nii", ".nii.gz", ".mgz")


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
    pairs : (m, 2) int
        Fixed and moving index of given training pairs; empty where any two people make a pair.
    extent_mm : float
        Edge of the cube.
    sources : tuple of dict
        `name` and `terms` of each set of data, for the sidecar of the weights.
    """

    images: np.ndarray
    names: tuple[str, ...]
    training: np.ndarray
    validation: np.ndarray
    pairs: np.ndarray
    extent_mm: float
    sources: tuple[dict[str, str], ...] = ()


def find_scans(folder: Path) -> list[Path]:
    """Return the scans in a folder by name, label maps left out.

    Raises
    ------
    DataError
        If the folder is missing or has none.
    """
    found = sorted(
        path
        for path in folder.glob("*")
        if path.name.endswith(SUFFIXES) and "_label" not in path.name and "_mask" not in path.name
    )
    if not found:
        raise DataError(f"{folder}: no scans here; expected {', '.join(SUFFIXES)}")
    return found


def scans_of_folders(folders: Sequence[Path], validation: int | None) -> tuple[list[Path], list[str]]:
    """List the scans of several folders; the last `validation` of the first folder are for validation.

    A tenth of it, at least one, when left out.

    Returns
    -------
    paths : list of Path
    splits : list of str
        `train` or `validation` for each.
    """
    paths, splits = [], []
    for number, folder in enumerate(folders):
        found = find_scans(folder)
        wanted = max(1, len(found) // 10) if validation is None else validation
        kept = wanted if number == 0 else 0
        if kept >= len(found):
            raise DataError(f"{folder}: {len(found)} scans, of which {kept} are to be for validation: none is left")
        paths += found
        splits += ["train"] * (len(found) - kept) + ["validation"] * kept
    return paths, splits


def scans_of_table(table: Path) -> tuple[list[Path], list[str], list[tuple[int, int]]]:
    """List the scans of a PAIRS.csv (`fixed,moving[,split]`, paths relative to the file), each once.

    Returns
    -------
    paths, splits
        As `scans_of_folders`. Without a column `split`, the last tenth of the pairs is for validation.
    pairs : list of (int, int)
        Indices into `paths` of the training pairs.

    Raises
    ------
    DataError
        If the table cannot be read, or puts one scan in both splits.
    """
    rows = load_pairs(table)
    split_of: dict[Path, str] = {}
    given: list[tuple[Path, Path]] = []
    first_kept = len(rows) - max(1, len(rows) // 10)
    for number, row in enumerate(rows):
        split = row.split or ("train" if number < first_kept else "validation")
        if split not in ("train", "validation"):
            continue  # test pairs
        pair = (row.fixed, row.moving)
        for path in pair:
            if split_of.setdefault(path, split) != split:
                raise DataError(f"{table}: {path.name} is in training and in validation; split by person")
        if split == "train":
            given.append(pair)
    index_of = {path: index for index, path in enumerate(split_of)}
    return list(split_of), list(split_of.values()), [(index_of[f], index_of[m]) for f, m in given]


def pack_scans(
    paths: Sequence[Path],
    splits: Sequence[str],
    *,
    size: int,
    spacing_mm: float,
    normalise: str = "minmax",
    pairs: Sequence[tuple[int, int]] = (),
    sources: Sequence[dict[str, str]] = (),
) -> Scans:
    """Prepare scans as `preprocess` does at inference.

    Parameters
    ----------
    paths : sequence of Path
    splits : sequence of str
        `train` or `validation` for each path.
    size, spacing_mm
        Of the cubes to keep.
    normalise : str
        Rule for intensities.
    pairs, sources
        Stored as they are.
    """
    from stnreg.io.volume import load_volume
    from stnreg.preprocess.cube import sample_cube
    from stnreg.preprocess.pipeline import cube_grid

    images = np.empty((len(paths), size, size, size), np.uint8)
    for image, path in zip(images, paths, strict=True):
        volume = load_volume(path)
        cube = sample_cube(volume, cube_grid(volume.grid, size, spacing_mm), normalise)
        np.rint(np.clip(cube, 0, 1) * 255, out=image, casting="unsafe")
    is_training = np.array([split == "train" for split in splits])
    return Scans(
        images=images,
        names=tuple(path.name for path in paths),
        training=np.flatnonzero(is_training),
        validation=np.flatnonzero(~is_training),
        pairs=np.array(pairs, np.int64).reshape(-1, 2),
        extent_mm=size * spacing_mm,
        sources=tuple(sources),
    )


def save_scans(path: Path, scans: Scans) -> None:
    """Write packed scans to a `.npz`, whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial.npz")
    described = json.dumps({"names": scans.names, "extent_mm": scans.extent_mm, "sources": scans.sources})
    try:
        np.savez(
            partial,
            images=scans.images,
            training=scans.training,
            validation=scans.validation,
            pairs=scans.pairs,
            described=np.array(described),
        )
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def load_scans(path: Path) -> Scans:
    """Read what `save_scans` wrote.

    Raises
    ------
    DataError
        If the file is missing or is something else.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            described = json.loads(str(file["described"]))
            return Scans(
                images=file["images"],
                names=tuple(described["names"]),
                training=file["training"],
                validation=file["validation"],
                pairs=file["pairs"],
                extent_mm=described["extent_mm"],
                sources=tuple(described["sources"]),
            )
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: not packed scans ({error}); remove it and it is made anew") from error
