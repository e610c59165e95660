"""Whether a scan with left and right exchanged is found among others of a study (`stnreg.reports.sides`).

    python -m benchmarks.verdict.sides --measure CSV     # two minutes on one core
    python -m benchmarks.verdict.sides CSV

The 24 T1 heads of `dev/` of the shared scans, of two scanners, are registered to MNI152, each as it is and with its
voxels mirrored under the same header. Each of the 48 is then compared with drawn groups of the other heads as they are.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import stnreg
from benchmarks.common.heads import shared_folder
from stnreg.images.templates import find_template
from stnreg.images.volume import Volume, load_volume
from stnreg.reports.outlines import outlines_of
from stnreg.reports.shown import slices_of
from stnreg.reports.sides import OPPOSITE, compare, difference
from stnreg.reports.study import SPACING_MM
from stnreg.reports.tiles import describe_tiles

GROUPS, DRAWS = (9, 12, 16, 23), 10
"""Numbers of other scans, and how often each is drawn."""
COLUMNS = ("head", "others", "draw", "as_it_is", "exchanged")


def mirrored(scan: Volume) -> Volume:
    """Return a scan whose voxels are mirrored along the axis nearest to left-right, under the same header."""
    axis = int(np.argmax(np.abs(scan.grid.direction[0])))
    return replace(scan, array=np.flip(scan.array, 2 - axis).copy())


def previews() -> Iterator[tuple[str, dict[str, Any], dict[str, Any]]]:
    """Register each head as it is and mirrored; yield what a page shows of both."""
    template = find_template("MNI152")
    assert template is not None
    fixed = stnreg.encode(template.path)
    dev = shared_folder() / "data/dev"
    for path in sorted([*dev.glob("ixi/*_T1.nii.gz"), *dev.glob("ds000011/*_T1w.nii.gz")]):
        shown = []
        for scan in (load_volume(path), mirrored(load_volume(path))):
            found = stnreg.register(fixed, scan)
            pair = found.fixed, found.moving, found.transform
            shown.append(describe_tiles(*pair, outlines_of(found), SPACING_MM))
        yield path.name.partition("_T1")[0], shown[0], shown[1]


def measure(out: Path) -> None:
    """Write a row for each head and each group of others."""
    heads = [(name, *(difference(slices_of(one)) for one in shown)) for name, *shown in previews()]
    rng = np.random.default_rng(0)
    with out.open("w", newline="") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(COLUMNS)
        for k, (name, *own) in enumerate(heads):
            rest = [j for j in range(len(heads)) if j != k]
            for others in GROUPS:
                for draw in range(1 if others == len(rest) else DRAWS):
                    group = [heads[j][1] for j in rng.choice(rest, others, replace=False)]
                    votes = [True] * others + [False]
                    values = [compare([*group, one], votes)[-1] for one in own]
                    table.writerow([name, others, draw, *("" if v is None else f"{v:.4f}" for v in values)])


def report(path: Path) -> None:
    """Print how many are found, by the number of others."""
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    print(f"{len({row['head'] for row in rows})} heads, each as it is and exchanged; found below {OPPOSITE}")
    for others in GROUPS:
        own = [row for row in rows if row["others"] == str(others)]
        told = [row for row in own if row["as_it_is"]]
        found = sum(float(row["exchanged"]) < OPPOSITE for row in told)
        wrong = sum(float(row["as_it_is"]) < OPPOSITE for row in told)
        silent = f"   no answer {len(own) - len(told)}" if len(own) > len(told) else ""
        print(f"among {others:2d} others   found {found:3d}   wrongly {wrong:2d}   of {len(told):3d}{silent}")


def main() -> None:
    """Measure, or print what was measured."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("csv", type=Path)
    parser.add_argument("--measure", action="store_true")
    options = parser.parse_args()
    if options.measure:
        measure(options.csv)
    report(options.csv)


if __name__ == "__main__":
    main()
