"""The table of Sloan et al.: errors of networks that regress rigid parameters, in 3-D and, as theirs, in slices.

    python -m benchmarks.paper.sloan measure [--pairs 60] [--methods A,B]
    python -m benchmarks.paper.sloan show

Every pair is one scan under two rigid moves, so that the truth is known. Two data sets, as theirs: `ixi`, the `dev`
heads, and `painted`, twelve heads of the column `longitudinal`, whose like no network has seen. Rows are kept
in benchmarks/results/sloan.csv.
"""

import argparse
import csv
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from benchmarks.common.heads import shared_folder
from benchmarks.paper.columns import longitudinal
from benchmarks.paper.sloan_peers import align_slices, align_volumes
from stnreg.geometry.affine import to_parameters
from stnreg.geometry.grid import Grid
from stnreg.geometry.theta import affine_from_theta
from stnreg.models.card import Weights, find
from stnreg.models.runtime import open_session, run_network
from stnreg.training.augment import step_generator
from stnreg.training.data import ScanList, Scans, pack_scans
from stnreg.training.pair import PairTask
from stnreg.training.presets import preset
from stnreg.training.slices.settings import SLICE_PRESETS, slice_preset
from stnreg.training.slices.task import SliceTask

Array = np.ndarray
ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "benchmarks/results/sloan.csv"
VARIANTS = {
    "sloan-cnn": "CNN",
    "sloan-fcn": "FCN",
    "sloan-implicit": "FCN (ICE implicit)",
    "sloan-explicit": "FCN (ICE explicit)",
    "sitk": "SimpleITK",
}
DATA = ("ixi", "painted")
PARAMETERS = {"2d": ("rotation", "x", "y"), "3d": ("rotation", "x", "y", "z")}
COLUMNS = ("dims", "data", "pair", "method", "rotation", "x", "y", "z")
LEAST_PAIRS = 30
MOST = 2.0  # degrees and voxels, mean absolute error
PAINTED = 12  # heads of the column `longitudinal`
PUBLISHED = """\
As printed in the paper, 2-D, its own data (mean absolute error and standard deviation):
                        OASIS: rotation    x              y              IXI: rotation      x              y
CNN                     2.45 (2.78)    1.66 (2.13)    1.81 (2.78)    6.81 (7.85)    4.22 (5.24)    4.66 (6.81)
FCN                     1.71 (2.35)    1.40 (1.74)    1.44 (1.82)    9.22 (11.06)   4.92 (6.08)    4.67 (5.61)
FCN (ICE implicit)      2.21 (3.06)    1.58 (2.09)    1.70 (2.17)    8.80 (10.86)   5.80 (7.20)    4.56 (5.71)
FCN (ICE explicit)      2.90 (3.80)    1.52 (2.12)    1.65 (2.20)    8.94 (10.66)   4.80 (6.25)    4.26 (5.35)
SimpleITK               3.02 (5.04)    18.97 (31.2)   17.75 (30.26)  1.59 (2.88)    21.33 (34.78)  23.90 (38.91)"""


def scans_of(data: str, work: Path, size: int, spacing_mm: float) -> Scans:
    """Pack the heads of a data set as in training; all of them are in both splits."""
    if data == "ixi":
        paths = sorted((shared_folder() / "data/dev/ixi").glob("*_T1.nii.gz"))
    else:
        pairs = longitudinal(work / "longitudinal", PAINTED, 1)
        paths = [Path(pair.fixed) for pair in pairs[:PAINTED]]
    splits = tuple("train" if k else "validation" for k in range(len(paths)))
    return pack_scans(ScanList(tuple(paths), splits), size=size, spacing_mm=spacing_mm)


def pairs_of(dims: str, data: str, work: Path, count: int) -> tuple[Array, Array, float]:
    """Draw pairs as in training, without augmentation, over the whole ranges.

    Returns
    -------
    pairs : (count, 2, [D,] H, W) float32
    truth : (count, 3, 4) or (count, 2, 3) float32
        Theta.
    spacing_mm : float
    """
    generator = step_generator(77, DATA.index(data))
    if dims == "2d":
        config = slice_preset(SLICE_PRESETS[0]).slices
        scans = scans_of(data, work, config.model.size, config.spacing_mm)
        task = SliceTask(config, scans, seed=0)
        pairs, parameters = task.draw(generator, count, np.arange(len(scans.images)))
        return pairs.numpy(), parameters.numpy(), config.spacing_mm
    pair = preset("sloan-cnn").pair
    scans = scans_of(data, work, pair.model.size, pair.spacing_mm)
    scans = Scans(**{**vars(scans), "training": np.arange(len(scans.images))})
    batch = PairTask(pair, scans, seed=0, steps=1).known_pairs(generator, count)
    return batch.inputs.numpy(), batch.truth.numpy(), pair.spacing_mm


def errors(dims: str, found: Array, truth: Array, size: int, spacing_mm: float) -> Array:
    """Return absolute errors: rotation, deg (of three axes their mean), and translations, voxels of the grid."""
    if dims == "2d":
        away = np.abs(found - truth)
        return np.r_[np.degrees(away[0]), away[1:] * size / 2]
    cube = Grid.cube((0, 0, 0), size, spacing_mm)
    a, b = (to_parameters(affine_from_theta(theta, cube, cube), (0, 0, 0)) for theta in (found, truth))
    turn = np.abs(np.subtract(a.rotation_deg, b.rotation_deg)).mean()
    return np.r_[turn, np.abs(np.subtract(a.translation_mm, b.translation_mm)) / spacing_mm]


def measure(options: argparse.Namespace) -> None:
    """Measure what is not in the CSV yet."""
    for dims in ("2d", "3d"):
        for data in DATA:
            missing = [m for m in options.methods.split(",") if (dims, data, m) not in {r[:3] for r in _read()}]
            if not missing:
                continue
            count = options.pairs if dims == "2d" else max(options.pairs // 2, LEAST_PAIRS)
            pairs, truth, spacing_mm = pairs_of(dims, data, options.work, count)
            for method in missing:
                found = np.stack(list(_answers(dims, method, pairs, spacing_mm)))
                rows = [
                    errors(dims, one, true, pairs.shape[-1], spacing_mm) for one, true in zip(found, truth, strict=True)
                ]
                _append([(dims, data, str(k), method, *(f"{v:.5g}" for v in row)) for k, row in enumerate(rows)])
                print(f"{dims} {data} {method}: {np.mean(rows, axis=0).round(2)}", flush=True)


def _answers(dims: str, method: str, pairs: Array, spacing_mm: float) -> Iterator[Array]:
    """Yield the answer to each pair: theta (3, 4), or the parameters of slices (3,)."""
    if method == "sitk":
        align = align_slices if dims == "2d" else align_volumes
        yield from (align(fixed, moving, spacing_mm) for fixed, moving in pairs)
        return
    weights: Weights = find(f"{method}-2d" if dims == "2d" else method)
    session = open_session(weights, threads=1, device="cpu")
    for pair in pairs:
        yield run_network(session, weights, {"pair": pair[None]}, "parameters" if dims == "2d" else "theta")[0]


def _read() -> list[tuple[str, str, str, Array]]:
    """Return dims, data, method and errors of every row."""
    if not RESULTS.exists():
        return []
    with RESULTS.open(newline="", encoding="utf-8") as file:
        return [
            (r["dims"], r["data"], r["method"], np.array([float(r[n]) for n in PARAMETERS[r["dims"]]]))
            for r in csv.DictReader(file)
        ]


def _append(rows: list[tuple[str, ...]]) -> None:
    is_new = not RESULTS.exists()
    with RESULTS.open("a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        if is_new:
            writer.writerow(COLUMNS)
        writer.writerows([*row, *[""] * (len(COLUMNS) - len(row))] for row in rows)


def show(options: argparse.Namespace) -> None:
    """Print the table, and who wins."""
    rows = _read()
    for dims, title in (("2d", "slices of 64 x 64 pixels of 4 mm"), ("3d", "cubes of 32 x 32 x 32 voxels of 8 mm")):
        names = PARAMETERS[dims]
        print(f"{title}: mean absolute error (standard deviation); rotation in degrees, translation in voxels")
        print(
            f"{'':22}"
            + "".join(f"{f'{data}: {name}' if not k else name:>18}" for data in DATA for k, name in enumerate(names))
        )
        means: dict[tuple[str, str], float] = {}
        within: dict[str, list[str]] = {data: [] for data in DATA}
        for method, label in VARIANTS.items():
            cells = []
            for data in DATA:
                own = np.array([r[3] for r in rows if r[:3] == (dims, data, method)])
                if len(own) < LEAST_PAIRS:
                    cells += ["-"] * len(names)
                    continue
                means[data, label] = float(own[:, 0].mean())
                if (own.mean(axis=0) <= MOST).all():
                    within[data].append(label)
                cells += [f"{m:.2f} ({s:.2f})" for m, s in zip(own.mean(0), own.std(0), strict=True)]
            print(f"{label:22}" + "".join(f"{cell:>18}" for cell in cells))
        for data in DATA:
            ranked = sorted(
                (value, label) for (of, label), value in means.items() if of == data and label != "SimpleITK"
            )
            if ranked:
                print(f"{data}: least rotation error of the networks: {ranked[0][1]} ({ranked[0][0]:.2f} degrees)")
                print(f"{data}: within {MOST:g} degrees and voxels: {', '.join(within[data]) or 'none'}")
        print()
    print(PUBLISHED)


def main() -> None:
    """Measure or show."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("verb", choices=("measure", "show"))
    parser.add_argument("--pairs", type=int, default=60, help="of slices in each data set; half as many cubes")
    parser.add_argument("--methods", default=",".join(VARIANTS), help="all when left out")
    parser.add_argument("--work", type=Path, default=ROOT / "build/paper", help="where painted heads are kept")
    options = parser.parse_args()
    torch.set_num_threads(1)
    measure(options) if options.verb == "measure" else show(options)


if __name__ == "__main__":
    main()
