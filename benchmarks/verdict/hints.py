"""What the page of a study points out in scans that passed: lesions, and scans of another person (`stnreg.reports`).

    python -m benchmarks.verdict.hints --measure CSV [--split dev|validation]     # ten minutes on one core
    python -m benchmarks.verdict.hints CSV

The T1 heads of a split of the shared scans are registered to MNI152: as they are; scanned again, which is to turn them
and give them other noise; with a painted lesion, a ball that is as dark as fluid somewhere in the brain. A scan is
compared with all other heads as they are. Real lesions are those of `zoo/`; real visits are two of `dev/openms`.
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

import stnreg
from benchmarks.common.heads import Head, load_heads, random_turn, shared_folder
from benchmarks.common.variants import NOISE, STRONG_NOISE, generator, moved_grid, spoilt
from stnreg.geometry.affine import invert
from stnreg.images.templates import find_template
from stnreg.images.volume import Volume, load_volume
from stnreg.reports.asymmetry import asymmetry, usual_limit
from stnreg.reports.outlines import outlines_of
from stnreg.reports.people import ALIKE, UNLIKE, folds
from stnreg.reports.shown import slices_of
from stnreg.reports.study import SPACING_MM
from stnreg.reports.tiles import describe_tiles
from stnreg.resampling.resample import resample
from stnreg.simulation.fields import blurred

COLUMNS = ("head", "kind", "value", "limit")
RADII_MM = (10, 15, 20)
ZOO = {
    "stroke, T1": "zoo/stroke_t1_flair_small/fixed.nii.gz",
    "tumour, T1 with contrast agent": "zoo/brats_t1c_t2_small/fixed.nii.gz",
}
VISITS = [f"dev/openms/patient12_study{k}_T1W.nii.gz" for k in (1, 2)]
AGAIN, NOISY, TWO, REAL = "scanned again", "scanned again, strong noise", "two people", "two real visits"

Look = tuple[float, np.ndarray]


def looker() -> Callable[[Any], Look]:
    """Return what registers a scan to MNI152 and returns its asymmetry and its folds."""
    template = find_template("MNI152")
    assert template is not None
    fixed = stnreg.encode(template.path)

    def look(scan: Any) -> Look:
        found = stnreg.register(fixed, scan)
        pair = found.fixed, found.moving, found.transform
        slices = slices_of(describe_tiles(*pair, outlines_of(found), SPACING_MM))
        value = asymmetry(slices)
        assert value is not None
        return value, folds(slices)

    return look


def with_lesion(head: Head, radius_mm: float) -> Volume:
    """Return a head in which a ball of the brain is as dark as fluid, with a soft edge."""
    rng = generator(head.name, "lesion", radius_mm)
    inside = np.argwhere(head.labels > 0)
    center, spacing = inside[rng.integers(len(inside))], head.grid.spacing[::-1]
    lines = [(np.arange(n) - c) * s for n, c, s in zip(head.image.shape, center, spacing, strict=True)]
    z, y, x = np.meshgrid(*lines, indexing="ij", sparse=True)
    ball = blurred(((x**2 + y**2 + z**2 < radius_mm**2) & (head.labels > 0)).astype(np.float32), 0.7)
    dark = float(np.percentile(head.image[head.labels > 0], 3))
    return Volume(head.image + ball * np.minimum(dark - head.image, 0), head.grid)


def scanned_again(head: Head, noise: float) -> Volume:
    """Return a head turned, on a grid of its own, with other noise and another bias field."""
    rng = generator(head.name, "again", noise)
    move = random_turn(rng, 12, 15, head.grid.center_lps)
    grid = moved_grid(head.grid, move, 2.0)
    return Volume(spoilt(resample(head.image, head.grid, grid, invert(move)), rng, noise), grid)


def measured(split: str) -> Iterator[tuple[str, str, float, float]]:
    """Yield the rows of the table."""
    look, heads, data = looker(), load_heads(split), shared_folder() / "data"
    plain = {head.name: look(Volume(head.image, head.grid)) for head in heads}
    values = {name: value for name, (value, _) in plain.items()}
    whole = usual_limit([*values.values()])
    for head in heads:
        limit = usual_limit([value for name, value in values.items() if name != head.name])
        yield head.name, "as it is", values[head.name], limit
        for radius in RADII_MM:
            yield head.name, f"lesion of {radius} mm", look(with_lesion(head, radius))[0], limit
        for kind, noise in ((AGAIN, NOISE[1]), (NOISY, STRONG_NOISE)):
            yield head.name, kind, float(look(scanned_again(head, noise))[1] @ plain[head.name][1]), ALIKE
    for one, other in combinations(plain, 2):
        yield f"{one} {other}", TWO, float(plain[one][1] @ plain[other][1]), UNLIKE[1]
    for kind, place in ZOO.items():
        yield "zoo", kind, look(load_volume(data / place))[0], whole
    first, second = (look(load_volume(data / place))[1] for place in VISITS)
    yield "patient12", REAL, float(first @ second), ALIKE


def report(path: Path) -> None:
    """Print how many are found, by kind."""
    with path.open(newline="") as file:
        rows = [(row["kind"], float(row["value"]), float(row["limit"])) for row in csv.DictReader(file)]
    kinds = dict.fromkeys(kind for kind, _, _ in rows)
    print("asymmetry: above the limit")
    for kind in kinds:
        own = [(value, limit) for name, value, limit in rows if name == kind]
        if kind == AGAIN:
            print(f"folds: two scans correlate, {ALIKE} and more is one person, {UNLIKE[0]} to {UNLIKE[1]} two people")
        if kind in (AGAIN, NOISY, TWO, REAL):
            low, high = min(value for value, _ in own), max(value for value, _ in own)
            alike, unlike = sum(v >= ALIKE for v, _ in own), sum(UNLIKE[0] <= v <= UNLIKE[1] for v, _ in own)
            print(
                f"  {kind:31s} {low:.2f} to {high:.2f}  one person {alike:3d}  two people {unlike:3d}  of {len(own):3d}"
            )
        else:
            print(f"  {kind:31s} {sum(value > limit for value, limit in own):3d} of {len(own):3d}")


def main() -> None:
    """Measure, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--measure", action="store_true")
    parser.add_argument("--split", choices=("dev", "validation"), default="dev")
    options = parser.parse_args()
    if options.measure:
        with options.csv.open("w", newline="") as file:
            table = csv.writer(file, lineterminator="\n")
            table.writerow(COLUMNS)
            for head, kind, value, limit in measured(options.split):
                table.writerow([head, kind, f"{value:.4f}", f"{limit:.4f}"])
                file.flush()
    report(options.csv)


if __name__ == "__main__":
    main()
