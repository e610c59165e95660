"""Right and wrong registrations of validation scans, and what the verdict measures of each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from stnreg.geometry.affine import (
    Parameters,
    apply_affine,
    compose,
    from_parameters,
    invert,
    mean_error_mm,
)
from stnreg.geometry.fitting import fit_affine, fit_similarity
from stnreg.registration.anatomy.agreement import map_agreement
from stnreg.registration.anatomy.encode import encode, encode_from
from stnreg.registration.anatomy.encoding import AnatomyModel, Encoding
from stnreg.registration.anatomy.fit import affine_standard_error_mm, fit_pair
from stnreg.registration.anatomy.pose import brain_shift_mm
from stnreg.resampling.block_mean import BlockMeans
from stnreg.simulation.moves import random_move
from stnreg.training.anatomy.validation_scans import (
    POINTS,
    TURNED,
    LabelledScan,
    half,
    painted_pairs,
    turned,
    without_brain,
)

Array = np.ndarray
GOOD_MM, FAILED_MM = 2.5, 5.0  # of one person, mean over the brain
APART_MM = 6.0  # of two people, from least squares on the centroids of their labels
RIGHT_POSE_MM = 20.0  # a pose further than this from the true one is a wrong one
WRONG = ("turned", "shifted", "scaled", "mirrored")
STRETCHED_PARTNERS = 6  # of each head, to see how much right transforms stretch
WRONG_TRIALS = 2  # transforms to failure for each pair


@dataclass(frozen=True)
class Outcomes:
    """What was measured, right and wrong apart; each a (N,) float64 array.

    Attributes
    ----------
    good_scores, failed_scores
        Agreement of the structures of both images, 0 to 1, under transforms that are right and wrong.
    right_fit_mm, wrong_fit_mm
        `Encoding.fit_residual_mm` from right poses, and from wrong ones.
    right_residual_mm, wrong_residual_mm
        `Encoding.residual_mm` from right poses, and from wrong ones or where there is no brain.
    right_stretch
        Ratio of the largest to the smallest singular value of right transforms between whole heads of two people.
    whole_error_mm, half_error_mm
        Standard error of the affine of two whole heads, and of a whole one with half a one.
    """

    good_scores: Array
    failed_scores: Array
    right_fit_mm: Array
    wrong_fit_mm: Array
    right_residual_mm: Array
    wrong_residual_mm: Array
    right_stretch: Array
    whole_error_mm: Array
    half_error_mm: Array

    @property
    def counts(self) -> tuple[int, int]:
        """Number of right and of failed registrations."""
        return len(self.good_scores), len(self.failed_scores)


@dataclass(frozen=True, eq=False)
class Image:
    """An encoded image that was made of a scan, and the true map from the scan to it (4 x 4, LPS mm)."""

    number: int
    encoding: Encoding
    scan_to_image: Array
    is_whole: bool


class Measurement:
    """Encodes validation scans, registers them rightly and wrongly, and notes what the verdict measures.

    Parameters
    ----------
    scans : sequence of LabelledScan
    model : AnatomyModel
    seed : int
    """

    def __init__(self, scans: Sequence[LabelledScan], model: AnatomyModel, seed: int = 0) -> None:
        self.scans, self.model, self.rng = scans, model, np.random.default_rng(seed)
        self.lists: dict[str, list[float]] = {field.name: [] for field in fields(Outcomes)}
        self.truths: dict[tuple[int, int], Array] = {}

    def run(self, root: Path, progress: Callable[[int, int], None]) -> Outcomes:
        """Measure everything.

        Parameters
        ----------
        root : Path
            Whose `labelmaps` are painted.
        progress : callable
            Told how many steps are done, of how many.
        """
        count = len(self.scans)
        wholes = [
            Image(k, encode(scan.array, scan.grid, self.model), np.eye(4), True) for k, scan in enumerate(self.scans)
        ]
        for k, scan in enumerate(self.scans):
            self._right_and_wrong_poses(wholes[k])
            empty = encode(without_brain(scan), scan.grid, self.model)
            self._note("wrong_residual_mm", empty.residual_mm)
            partners = {(k + step) % count for step in (1, 3)} - {k}
            pairs = [(wholes[k], wholes[other]) for other in sorted(partners)]
            for make, is_whole, step in ((turned, True, 1), (half, False, 2)):
                version = make(scan, self.rng)
                found = encode(version.array, version.grid, self.model)
                image = Image(k, found, version.scan_to_image, is_whole)
                self._right_and_wrong_poses(image)
                pairs += [(wholes[other], image) for other in sorted({k, (k + step) % count})]
            for fixed, moving in pairs:
                self._register(fixed, moving)
            progress(k + 1, count + 1)
        self._painted(root)
        self.lists["right_stretch"] = right_stretches(self.scans)
        progress(count + 1, count + 1)
        return Outcomes(**{name: np.array(values, float) for name, values in self.lists.items()})

    def _note(self, name: str, value: float) -> None:
        self.lists[name].append(float(value))

    def _right_and_wrong_poses(self, image: Image) -> None:
        """Note how well structures lie under the pose found, and under one that is turned by 90 to 180 degrees."""
        scan, found = self.scans[image.number], image.encoding
        centroids, template = apply_affine(image.scan_to_image, scan.centroids_lps), self.model.fine.template
        known = ~np.isnan(centroids[:, 0]) & ~np.isnan(template[:, 0])
        true = fit_similarity(template[known], centroids[known])
        is_right = brain_shift_mm(found.template_to_lps, true) <= RIGHT_POSE_MM
        self._note("right_fit_mm" if is_right else "wrong_fit_mm", found.fit_residual_mm)
        self._note("right_residual_mm" if is_right else "wrong_residual_mm", found.residual_mm)
        if not image.is_whole or not np.array_equal(image.scan_to_image, np.eye(4)):
            return
        angles = [0.0, 0.0, 0.0]
        angles[int(self.rng.integers(3))] = float(self.rng.uniform(90, 180))
        turn = from_parameters(Parameters((0, 0, 0), (angles[0], angles[1], angles[2])), (0, 0, 0))
        wrong = encode_from(BlockMeans(scan.array, scan.grid), compose(true, turn), self.model)
        if brain_shift_mm(wrong.template_to_lps, true) > RIGHT_POSE_MM:
            self._note("wrong_fit_mm", wrong.fit_residual_mm)
            self._note("wrong_residual_mm", wrong.residual_mm)

    def _register(self, fixed: Image, moving: Image) -> None:
        """Register two images of scans, rightly and wrongly, against the truth that the labels tell."""
        is_one = fixed.number == moving.number
        between = np.eye(4) if is_one else self._between(fixed.number, moving.number)
        true = compose(moving.scan_to_image, between, invert(fixed.scan_to_image))
        points = apply_affine(fixed.scan_to_image, self.scans[fixed.number].brain_points_lps)
        self._outcomes((fixed.encoding, moving.encoding), true, points, is_one=is_one)
        error_mm = affine_standard_error_mm(fixed.encoding, moving.encoding)
        self._note("whole_error_mm" if fixed.is_whole and moving.is_whole else "half_error_mm", error_mm)

    def _outcomes(self, encodings: tuple[Encoding, Encoding], true: Array, points: Array, *, is_one: bool) -> None:
        found = fit_pair(*encodings)
        middle = points.mean(0)
        for kind in (None, *self.rng.choice(WRONG, WRONG_TRIALS, replace=False)):
            tried = found if kind is None else compose(found, wrong_move(str(kind), middle, self.rng))
            error_mm = mean_error_mm(tried, true, points)
            if np.linalg.det(tried[:3, :3]) <= 0 or error_mm > (FAILED_MM if is_one else APART_MM):
                self._note("failed_scores", map_agreement(*encodings, tried))
            elif not is_one or error_mm <= GOOD_MM:
                self._note("good_scores", map_agreement(*encodings, tried))

    def _between(self, fixed: int, moving: int) -> Array:
        if (fixed, moving) not in self.truths:
            self.truths[fixed, moving] = between(self.scans[fixed], self.scans[moving])
        return self.truths[fixed, moving]

    def _painted(self, root: Path) -> None:
        for pair in painted_pairs(root, seed=0):
            assert pair.fixed_mask is not None
            index = np.argwhere(pair.fixed_mask.array > 0)[::POINTS, ::-1].astype(float)
            points = apply_affine(pair.fixed.grid.index_to_lps, index)
            images = (pair.fixed, pair.moving)
            fixed, moving = (encode(one.array.astype(np.float32), one.grid, self.model) for one in images)
            self._outcomes((fixed, moving), pair.fixed_to_moving, points, is_one=True)


def between(fixed: LabelledScan, moving: LabelledScan) -> Array:
    """Return the least-squares affine between two people, on the centroids of their labels, LPS mm."""
    a, b = fixed.centroids_lps, moving.centroids_lps
    both = ~np.isnan(a[:, 0]) & ~np.isnan(b[:, 0])
    return fit_affine(a[both], b[both])


def right_stretches(scans: Sequence[LabelledScan], seed: int = 0) -> list[float]:
    """Return how much right transforms between two people stretch one axis compared to another.

    One of the two was moved, scaled and sheared as `turned` does, so that the shapes differ by more than people's.
    """
    rng = np.random.default_rng([seed, len(scans)])
    found = []
    for k, fixed in enumerate(scans):
        for step in range(1, STRETCHED_PARTNERS + 1):
            moving = scans[(k + step) % len(scans)]
            move = random_move(TURNED, moving.grid.center_lps, rng)
            scales = np.linalg.svd(compose(move, between(fixed, moving))[:3, :3], compute_uv=False)
            found.append(float(scales[0] / scales[-1]))
    return found


def wrong_move(kind: str, middle: Array, rng: np.random.Generator) -> Array:
    """Return what makes a transform wrong, about the middle of the brain, LPS mm; `kind` is one of `WRONG`."""
    direction = rng.standard_normal(3)
    direction /= np.linalg.norm(direction)
    x, y, z = (float(v) for v in direction)
    if kind == "turned":
        angle = float(rng.uniform(5, 180))
        return from_parameters(Parameters((0, 0, 0), (angle * x, angle * y, angle * z)), middle)
    if kind == "shifted":
        far = float(rng.uniform(5, 60))
        return from_parameters(Parameters((far * x, far * y, far * z), (0, 0, 0)), middle)
    if kind == "scaled":
        a, b, c = (float(v) for v in rng.uniform(1.15, 1.6, 3) ** rng.choice((-1, 1)))
        return from_parameters(Parameters((0, 0, 0), (0, 0, 0), (a, b, c)), middle)
    mirror = np.diag([-1.0, 1.0, 1.0, 1.0])
    mirror[0, 3] = 2 * middle[0]
    return mirror
