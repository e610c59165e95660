"""Right and failed registrations of a pair network, and what the verdict measures of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stnreg.core.clock import Clock
from stnreg.datasets.pair_table import load_pairs
from stnreg.errors import DataError
from stnreg.geometry.affine import apply_affine, compose, mean_error_mm
from stnreg.geometry.fitting import fit_affine
from stnreg.images.volume import Volume, load_volume
from stnreg.registration.by_pair_network import PairNetworkRegistration
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.pair import ImagePair
from stnreg.registration.refine.object_level import radius
from stnreg.registration.refine.refined import Refined
from stnreg.registration.refine.region import FOREGROUND_SHARE
from stnreg.registration.refine.whole_object import refine_objects
from stnreg.simulation.moves import RANGES
from stnreg.training.anatomy.outcomes import WRONG, wrong_move
from stnreg.training.anatomy.validation_scans import TURNED, LabelledScan, load_validation_scans, moved
from stnreg.transforms.io.files import load_transform

Array = np.ndarray
RIGHT_SHARE, FAILED_SHARE = 0.035, 0.07  # of the radius of an object: 2.5 and 5 mm of a head of 70 mm
PEOPLE_RIGHT_MM, PEOPLE_FAILED_MM = 8.0, 12.0  # over the brain, from least squares on the centroids of the labels
SCANS = 6  # the last by name, each in three pairs
POINTS = 997  # every such voxel of an object is a point at which errors are measured
MISLED = tuple(kind for kind in WRONG if kind != "mirrored")  # a mirrored object may be as good a fit


@dataclass(frozen=True, eq=False)
class Case:
    """Two images with a known transform.

    Attributes
    ----------
    name : str
    fixed, moving : Volume
    truth : (4, 4) float64
        Fixed to moving, LPS mm.
    points : (N, 3) float64
        At which errors are measured, fixed LPS mm.
    right_mm, failed_mm : float
        Mean error up to which a registration is right, and from which on it failed; what lies between is not counted.
    """

    name: str
    fixed: Volume
    moving: Volume
    truth: Array
    points: Array
    right_mm: float
    failed_mm: float


@dataclass(frozen=True)
class PairOutcome:
    """One registration: whether it is right, and what the verdict measures of it.

    Those that are `misled` were refined from wrong estimates, whose distance from each other means nothing.
    """

    case: str
    misled: bool
    is_right: bool
    error_mm: float
    correlation: float
    overlap: float
    there_and_back_mm: float


def outcomes_of(
    network: PairNetworkRegistration,
    cases: list[Case],
    threads: int,
    progress: Callable[[int, int], None] = lambda done, count: None,
    seed: int = 0,
) -> list[PairOutcome]:
    """Register every case as `register` does, and once more from wrong estimates.

    Parameters
    ----------
    network : PairNetworkRegistration
    cases : list of Case
    threads : int
    progress : callable
        Told how many cases are done, of how many.
    seed : int
        Of the wrong estimates.
    """
    rng = np.random.default_rng(seed)
    options = RegistrationOptions(threads=threads)
    found = []
    for number, case in enumerate(cases, start=1):
        pair = ImagePair(case.fixed, case.moving)
        refined = network.register(pair, None, options, Clock()).refined
        assert refined is not None
        middle = case.points.mean(0)
        wrong = [compose(case.truth, wrong_move(str(kind), middle, rng)) for kind in rng.choice(MISLED, 2)]
        misled = refine_objects(*pair.images, wrong, threads=threads)
        found += [outcome for one in (refined, misled) for outcome in _judged(case, one, one is misled)]
        progress(number, len(cases))
    return found


def _judged(case: Case, refined: Refined, misled: bool) -> Iterator[PairOutcome]:
    """Yield the outcome of a registration; nothing where it is neither right nor failed."""
    error_mm = mean_error_mm(refined.fixed_to_moving, case.truth, case.points)
    if error_mm <= case.right_mm or error_mm > case.failed_mm:
        apart_mm = refined.there_and_back_mm
        assert apart_mm is not None
        is_right = error_mm <= case.right_mm
        yield PairOutcome(
            case.name, misled, is_right, error_mm, float(refined.local_correlation), float(refined.overlap), apart_mm
        )


def cases_of(scans: Path, validation: int | None, seed: int = 0) -> list[Case]:
    """Return the cases of a folder of labelled scans, or of a table of pairs.

    Parameters
    ----------
    scans : Path
        Folder with `ixi/`, as `stnreg train` takes it, whose last scans by name are moved; or a PAIRS.csv whose pairs
        have a `truth`, as `stnreg simulate` writes it.
    validation : int, optional
        Number of scans or pairs; `SCANS`, or all pairs, when left out.
    seed : int
        Of the moves.

    Raises
    ------
    DataError
        If there is nothing to calibrate on.
    """
    if scans.suffix == ".csv":
        return _cases_of_table(scans, validation)
    labelled = load_validation_scans(scans, validation or SCANS)
    return list(_cases_of_scans(labelled, np.random.default_rng(seed)))


def _cases_of_scans(scans: list[LabelledScan], rng: np.random.Generator) -> Iterator[Case]:
    """Pair each scan with itself, moved, with the next, and with another that is turned by up to 180 degrees."""
    for k, scan in enumerate(scans):
        for step, ranges in ((0, RANGES["rototranslated"]), (1, RANGES["rototranslated"]), (2, TURNED)):
            other = scans[(k + step) % len(scans)]
            version = moved(other, rng, ranges)
            between = np.eye(4) if other is scan else _between(scan, other)
            size_mm = radius(scan.array, scan.grid)
            limits = (RIGHT_SHARE * size_mm, FAILED_SHARE * size_mm)
            yield Case(
                f"{scan.name}-{other.name}-{step}",
                Volume(scan.array, scan.grid),
                Volume(version.array, version.grid),
                compose(version.scan_to_image, between),
                scan.brain_points_lps,
                *(limits if other is scan else (PEOPLE_RIGHT_MM, PEOPLE_FAILED_MM)),
            )


def _between(fixed: LabelledScan, moving: LabelledScan) -> Array:
    """Return the least-squares affine between two people, on the centroids of their labels."""
    a, b = fixed.centroids_lps, moving.centroids_lps
    both = ~np.isnan(a[:, 0]) & ~np.isnan(b[:, 0])
    return fit_affine(a[both], b[both])


def _cases_of_table(table: Path, count: int | None) -> list[Case]:
    cases = []
    for pair in load_pairs(table)[:count]:
        if pair.truth is None:
            continue
        fixed, moving = load_volume(pair.fixed), load_volume(pair.moving)
        points = object_points(fixed.array, fixed)
        size_mm = radius(fixed.array, fixed.grid)
        truth = load_transform(pair.truth)
        cases.append(Case(pair.id, fixed, moving, truth, points, RIGHT_SHARE * size_mm, FAILED_SHARE * size_mm))
    if not cases:
        raise DataError(f"{table}: no pair has a truth; `stnreg simulate` writes tables whose pairs have one")
    return cases


def object_points(array: Array, image: Volume) -> Array:
    """Return some points of the foreground of an image, (N, 3) float64, LPS mm."""
    inside = np.argwhere(array > FOREGROUND_SHARE * np.percentile(array, 99.5))[::POINTS, ::-1]
    return apply_affine(image.grid.index_to_lps, inside.astype(float))
