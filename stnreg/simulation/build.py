"""Build a recipe from options: check which options a kind has, and assign files to splits."""

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

from stnreg.core.files import check_input
from stnreg.errors import DataError, UsageProblem
from stnreg.images.suffixes import IMAGES
from stnreg.simulation.cubes import CubeRecipe
from stnreg.simulation.dataset import SPLITS
from stnreg.simulation.heads import HeadRecipe
from stnreg.simulation.moves import RANGES, Ranges
from stnreg.simulation.pair import PairRecipe
from stnreg.simulation.scans import ScanRecipe
from stnreg.simulation.tissues import CONTRASTS

Counts = tuple[int, int, int]


def build_recipe(
    kind: str,
    counts: Counts,
    *,
    images: Sequence[Path] = (),
    labels: Sequence[Path] = (),
    ranges: dict[str, float | None] | None = None,
    sizes: Sequence[int] = (),
    contrasts: Sequence[str] = (),
    follow_up: bool = False,
    loss: float = 0.02,
) -> PairRecipe:
    """Return the recipe of a kind.

    Parameters
    ----------
    kind : {"affine", "rotated", "translated", "rototranslated", "heads", "cubes"}
    counts : (train, validation, test)
    images, labels : sequence of Path
        Scans; label map files, or folders of them.
    ranges : dict
        By the names of `Ranges`; None for the default of the kind.
    sizes : sequence of int
        Voxels per side: one value for both images, or one each (heads).
    contrasts : sequence of str
        One value for both images, or one each; empty: mostly T1 (heads).
    follow_up : bool
        Heads only.
    loss : float
        Fraction of the brain's volume that half of the follow-ups lose.

    Raises
    ------
    UsageProblem
        If an option does not apply to the kind, or a required one is missing.
    DataError
        If a file is missing, or a folder has no label maps.
    """
    drawn = _ranges("follow-up" if follow_up else kind, ranges or {})
    if follow_up and kind != "heads":
        raise UsageProblem(f"{kind}: follow-ups are made of heads only", argument="follow_up")
    if contrasts and kind != "heads":
        raise UsageProblem(f"{kind}: contrasts are for heads only", argument="contrast")
    if sizes and kind not in ("heads", "cubes"):
        raise UsageProblem(f"{kind}: a size is for heads and cubes; a moved scan keeps its grid", argument="size")
    if images and kind in ("heads", "cubes"):
        raise UsageProblem(f"{kind}: takes no image", argument="image")
    if kind == "cubes":
        if labels or len(sizes) > 1:
            raise UsageProblem("cubes: takes no labels, and one size for both images", argument="labels")
        return CubeRecipe(drawn, *sizes)
    maps = _files(labels)
    if kind == "heads":
        if not maps:
            raise UsageProblem("heads: needs label maps to make images from", argument="labels")
        first, second = _two(sizes, (256, 170) if follow_up else (170, 170), "size")
        chosen = _two(contrasts, None, "contrast")
        unknown = set(chosen or ()) - set(CONTRASTS)
        if unknown:
            raise UsageProblem(f"expected a contrast out of {', '.join(CONTRASTS)}; got {', '.join(sorted(unknown))}")
        return HeadRecipe(split_files(maps, counts), drawn, (first, second), chosen, follow_up, loss)
    if not images:
        raise UsageProblem(f"{kind}: needs a scan to move", argument="image")
    return ScanRecipe(_files(images), maps, drawn)


def split_files(files: Sequence[str], counts: Counts) -> dict[str, tuple[str, ...]]:
    """Assign files to splits in proportion to their pairs; if there are too few, all splits get all files.

    Examples
    --------
    >>> split_files(["a", "b", "c", "d"], (100, 0, 50))
    {'train': ('a', 'b', 'c'), 'validation': (), 'test': ('d',)}
    >>> split_files(["a"], (10, 0, 5))
    {'train': ('a',), 'validation': (), 'test': ('a',)}
    """
    wanted = [split for split, count in zip(SPLITS, counts, strict=True) if count]
    if len(files) < len(wanted):
        return {split: tuple(files) if split in wanted else () for split in SPLITS}
    dealt: dict[str, tuple[str, ...]] = dict.fromkeys(SPLITS, ())
    left, pairs_left = list(files), sum(counts)
    for split, count in zip(SPLITS, counts, strict=True):
        if not count:
            continue
        later = sum(s in wanted for s in SPLITS[SPLITS.index(split) + 1 :])
        take = min(max(round(len(left) * count / pairs_left), 1), len(left) - later)
        dealt[split], left = tuple(left[:take]), left[take:]
        pairs_left -= count
    return dealt


def _ranges(kind: str, asked: dict[str, float | None]) -> Ranges:
    """Return the ranges of a kind, updated by options; UsageProblem on a range that the kind does not have."""
    own = RANGES[kind]
    given = {name: value for name, value in asked.items() if value is not None}
    for name, value in given.items():
        if value < 0:
            raise UsageProblem(f"a range is 0 or more, got {value}")
        if kind in ("rotated", "translated", "rototranslated") and value and not getattr(own, name):
            moves = [f.name.split("_")[0] for f in fields(own) if getattr(own, f.name)]
            raise UsageProblem(f"{kind}: has {' and '.join(moves)} alone; `affine` takes every range")
    return replace(own, **given)


def _files(paths: Sequence[Path]) -> tuple[str, ...]:
    """Return files, and the images in folders by name; absolute, so that a data set can be resumed from anywhere."""
    found: list[str] = []
    for path in paths:
        if path.is_dir():
            inside = sorted(str(p.resolve()) for p in path.iterdir() if p.name.lower().endswith(IMAGES))
            if not inside:
                raise DataError(f"{path}: holds no images ({', '.join(IMAGES)}).")
            found += inside
        else:
            found.append(str(check_input(path).resolve()))
    return tuple(found)


def _two(values: Sequence, default: tuple | None, option: str) -> tuple:
    if not values:
        return default  # type: ignore[return-value]
    if len(values) > 2:
        raise UsageProblem(f"{option}: one for both images, or FIXED,MOVING; got {len(values)}")
    return values[0], values[-1]
