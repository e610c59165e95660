"""The pairs of a batch: a table, or images, folders, patterns or a BIDS dataset with one fixed image."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from stnreg.commands._target import located
from stnreg.errors import DataError, UsageProblem

if TYPE_CHECKING:
    from stnreg.datasets.pair_table import BadRow, Pair

TABLES = (".csv", ".tsv")
SHOWN = 20  # scans that are missing in a dataset and told on the terminal


def rows_of(
    words: Sequence[str], fixed: Path | None, dataset: str | None, suffix: str | None, output: Path
) -> "list[Pair | BadRow]":
    """Return the pairs of a command line.

    Parameters
    ----------
    words : sequence of str
        A table alone, or images.
    fixed : Path or None
        The fixed image of all, or the name of a template.
    dataset : str or None
        Root of a BIDS dataset; empty or None for none.
    suffix : str or None
        Of the images of the dataset.
    output : Path
        The folder of the outputs, in which no input is looked for.

    Raises
    ------
    UsageProblem
        If the words do not say what to register to what.
    DataError
        If there is no image, or no table.
    """
    from stnreg.datasets.pair_table import load_rows
    from stnreg.datasets.to_one import find_images, pair_with_fixed

    if suffix is not None and not dataset:
        raise UsageProblem("--suffix is that of the images of --bids DATASET")
    if fixed is None:
        if dataset:
            raise UsageProblem("--bids DATASET needs --fixed, the image or template that all scans are registered to")
        if len(words) != 1 or not (words[0] == "-" or words[0].lower().endswith(TABLES) or Path(words[0]).is_file()):
            raise UsageProblem("expected one PAIRS.csv, or images with --fixed TEMPLATE|FILE")
        return [*load_rows(words[0])]
    if dataset and words:
        raise UsageProblem("--bids DATASET takes all scans of the dataset; leave out the images")
    if not dataset and not words:
        raise UsageProblem("expected images, folders or patterns to register to --fixed, or --bids DATASET")
    if any(word == "-" or word.lower().endswith(TABLES) for word in words):
        raise UsageProblem("a table of pairs has its own column of fixed images; leave out --fixed")
    images = _scans(Path(dataset), suffix or "T1w") if dataset else find_images(words, output)
    return [*pair_with_fixed(images, located(fixed))]


def _scans(root: Path, suffix: str) -> list[Path]:
    """Return the scans of a BIDS dataset, and say which are missing."""
    from stnreg.datasets.trees import all_bids
    from stnreg.reports.streams import note

    found = all_bids(root, suffix)
    for one in found.missing[:SHOWN]:
        note(f"missing: {one.subject} {one.visit}: {one.reason}")
    if len(found.missing) > SHOWN:
        note(f"and {len(found.missing) - SHOWN} more missing")
    if not found.scans:
        raise DataError(f"{root}: no {suffix} image in this dataset.", argument="suffix")
    return [scan.path for scan in found.scans]
