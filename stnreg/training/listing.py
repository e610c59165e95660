"""List the scans of a training run, from folders or from a table of pairs."""

from collections.abc import Sequence
from pathlib import Path

from stnreg.datasets.pair_table import Pair, load_pairs
from stnreg.errors import DataError
from stnreg.images.suffixes import SCANS
from stnreg.training.data import ScanList

USED = ("train", "validation")


def find_scans(folder: Path) -> list[Path]:
    """Return the scans in a folder, sorted by name, without label maps.

    Raises
    ------
    DataError
        If the folder is missing or has no scans.
    """
    found = sorted(
        path
        for path in folder.glob("*")
        if path.name.endswith(SCANS) and "_label" not in path.name and "_mask" not in path.name
    )
    if not found:
        raise DataError(f"{folder}: no scans here; expected {', '.join(SCANS)}")
    return found


def scans_of_folders(folders: Sequence[Path], validation: int | None) -> ScanList:
    """List the scans of several folders; the last `validation` scans of the first folder are for validation.

    By default a tenth of it, at least one.

    Raises
    ------
    DataError
        If a folder has no scans, or none is left for training.
    """
    paths: list[Path] = []
    splits: list[str] = []
    for number, folder in enumerate(folders):
        found = find_scans(folder)
        wanted = max(1, len(found) // 10) if validation is None else validation
        kept = wanted if number == 0 else 0
        if kept >= len(found):
            raise DataError(f"{folder}: {len(found)} scans, of which {kept} are to be for validation: none is left")
        paths += found
        splits += ["train"] * (len(found) - kept) + ["validation"] * kept
    return ScanList(tuple(paths), tuple(splits))


def scans_of_table(table: Path) -> ScanList:
    """List the scans of a PAIRS.csv (`fixed,moving[,split,truth]`, paths relative to the file), each once.

    Without a column `split`, the last tenth of the pairs is for validation; `test` pairs are ignored.

    Raises
    ------
    DataError
        If the table cannot be read, puts one scan in both splits, or has no pair for one of them.
    """
    rows = [(pair, split) for pair, split in _with_splits(table, load_pairs(table)) if split in USED]
    for split in USED:
        if split not in {own for _, own in rows}:
            raise DataError(f"{table}: no pair with split {split!r}; training needs some of {' and of '.join(USED)}")
    split_of: dict[Path, str] = {}
    for pair, split in rows:
        for path in (pair.fixed, pair.moving):
            if split_of.setdefault(path, split) != split:
                raise DataError(f"{table}: {path.name} is in training and in validation; split by person")
    index_of = {path: index for index, path in enumerate(split_of)}
    pairs = tuple((index_of[pair.fixed], index_of[pair.moving], pair.truth) for pair, _ in rows)
    return ScanList(tuple(split_of), tuple(split_of.values()), pairs)


def _with_splits(table: Path, rows: Sequence[Pair]) -> list[tuple[Pair, str]]:
    """Assign splits to rows without one: the last tenth of the table is for validation."""
    unknown = {row.split for row in rows} - {None, "test", *USED}
    if unknown:
        raise DataError(f"{table}: split is train, validation or test, got {', '.join(sorted(map(str, unknown)))}")
    first_kept = len(rows) - max(1, len(rows) // 10)
    return [(row, row.split or USED[number >= first_kept]) for number, row in enumerate(rows)]
