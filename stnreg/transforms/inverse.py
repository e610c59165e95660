"""The inverse of a non-linear transform, computed at the requested points."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stnreg.errors import TransformError
from stnreg.geometry.affine import invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix, Points
from stnreg.transforms.base import Transform
from stnreg.transforms.sampling import moved, voxel_points

if TYPE_CHECKING:
    from stnreg.transforms.displacement import DisplacementField

TOLERANCE_MM = 1e-3
CHUNK = 1 << 16
PLAIN_STEPS = 30
NEWTON_STEPS = 20
FIT_POINTS = 20_000


@dataclass(frozen=True, eq=False)
class Inverse(Transform):
    """The map from moving points to fixed points of another transform.

    For each moving point m it finds f with |forward(f) - m| <= `tolerance_mm`: first by
    f <- f - A^-1 (forward(f) - m) with one affine A for the whole map, which is the well-known fixed-point iteration
    where A is the identity; then, for the few points where that is slow, by Newton's method with halved steps.

    Attributes
    ----------
    forward : Transform
        From fixed to moving.
    grid : Grid
        Domain of `forward`. For points outside, the best solution found is returned without a check.
    start : (4, 4) float64
        A, an affine close to `forward`, LPS mm.
    tolerance_mm : float
    guess : Transform or None
        Where the search for a fixed point begins; A^-1 without it.
    """

    forward: Transform
    grid: Grid
    start: Matrix = field(default_factory=lambda: np.eye(4))
    tolerance_mm: float = TOLERANCE_MM
    guess: Transform | None = None

    @classmethod
    def of_field(
        cls, forward: Transform, sampled: DisplacementField, guess: Transform | None = None
    ) -> Inverse:  # fmt: skip
        """Create the inverse of a transform from its samples on a grid.

        Parameters
        ----------
        forward : Transform
        sampled : DisplacementField
        guess : Transform, optional
            Close to the inverse, from moving to fixed points: where the search begins.

        Raises
        ------
        TransformError
            If the sampled field folds by the digital criterion.
        """
        folds = sampled.count_folds()
        if folds.digital:
            raise TransformError(
                f"expected a displacement field without folds, to be inverted; this one folds at {folds.digital} of "
                f"{folds.voxels} voxels ({folds.percent_volume:.2g} % of the volume). Make it smoother, or take the "
                "inverse that its own tool writes"
            )
        return cls(forward, sampled.grid, _closest_affine(sampled), guess=guess)

    def inverse(self) -> Transform:
        """Return the forward transform."""
        return self.forward

    def _map(self, points: Points) -> Points:
        found = np.empty((3, points.shape[1]))
        for start in range(0, points.shape[1], CHUNK):
            found[:, start : start + CHUNK] = self._solve(points[:, start : start + CHUNK])
        return found

    def _solve(self, targets: Points) -> Points:
        """Return fixed points (3, N) of moving points (3, N)."""
        back = invert(self.start)
        at = moved(back, targets) if self.guess is None else self.guess._map(targets)
        open_ = np.arange(targets.shape[1])
        for _ in range(PLAIN_STEPS):
            off = self._off(at, targets, open_)
            is_far = self._is_far(off)
            open_ = open_[is_far]
            if not len(open_):
                return at
            at[:, open_] -= back[:3, :3] @ off[:, is_far]
        for _ in range(NEWTON_STEPS):
            off = self._off(at, targets, open_)
            is_far = self._is_far(off)
            open_ = open_[is_far]
            if not len(open_):
                return at
            at[:, open_] = self._newton(at[:, open_], targets[:, open_], off[:, is_far])
        self._check(at, open_[self._is_far(self._off(at, targets, open_))])
        return at

    def _off(self, at: Points, targets: Points, which: NDArray[np.intp]) -> Points:
        return self.forward._map(at[:, which]) - targets[:, which]

    def _is_far(self, off: Points) -> NDArray[np.bool_]:
        return np.asarray((off**2).sum(0) > self.tolerance_mm**2)

    def _newton(self, at: Points, targets: Points, off: Points) -> Points:
        """Take one step of Newton's method, halved until it brings each point (3, N) closer."""
        step = self._full_step(at, off)
        best, best_off = at.copy(), (off**2).sum(0)
        waiting = np.arange(at.shape[1])
        for share in (1.0, 0.5, 0.25, 0.125, 0.0625):
            trial = at[:, waiting] - share * step[:, waiting]
            size = ((self.forward._map(trial) - targets[:, waiting]) ** 2).sum(0)
            is_closer = size < best_off[waiting]
            best[:, waiting[is_closer]] = trial[:, is_closer]
            waiting = waiting[~is_closer]
        return best

    def _full_step(self, at: Points, off: Points) -> Points:
        """Return J^-1 off with J by differences over a tenth of a voxel."""
        reach = 0.05 * float(self.grid.spacing.min())
        slopes = [
            (self.forward._map(at + shift) - self.forward._map(at - shift)) / (2 * reach)
            for shift in (reach * np.eye(3))[:, :, None]
        ]
        jacobian = np.stack(slopes, -1).transpose(1, 0, 2)  # (N, component, axis)
        return np.asarray((np.linalg.pinv(jacobian) @ off.T[:, :, None])[:, :, 0].T)

    def _check(self, at: Points, unsolved: NDArray[np.intp]) -> None:
        """Raise TransformError on unsolved points inside the domain."""
        index = moved(self.grid.lps_to_index, at[:, unsolved])
        last = np.array(self.grid.size)[:, None] - 1
        inside = int(((index > 0) & (index < last)).all(0).sum())
        if inside:
            raise TransformError(
                f"expected a map that can be inverted; at {inside} points no fixed point comes within "
                f"{self.tolerance_mm:g} mm of the moving point. The map folds, or nearly: make it smoother"
            )


def _closest_affine(sampled: DisplacementField) -> Matrix:
    """Fit an affine to a field, least squares over some of its voxels; the identity where that is none."""
    grid = sampled.grid
    steps = [max(round(count / FIT_POINTS ** (1 / 3)), 1) for count in grid.size]
    some = tuple(slice(None, None, step) for step in reversed(steps))
    x, y, z = (len(range(0, count, step)) for count, step in zip(grid.size, steps, strict=True))
    sparse = Grid((x, y, z), grid.index_to_lps @ np.diag([*steps, 1.0]))
    fixed = voxel_points(sparse).reshape(3, -1) - grid.center_lps[:, None]
    design = np.vstack([fixed, np.ones(fixed.shape[1])]).T
    shift, *_ = np.linalg.lstsq(design, sampled.vectors[:, *some].reshape(3, -1).T.astype(np.float64), rcond=None)
    affine = np.eye(4)
    affine[:3, :3] += shift[:3].T
    affine[:3, 3] = shift[3] + grid.center_lps - affine[:3, :3] @ grid.center_lps
    if np.linalg.det(affine[:3, :3]) < 0.01:
        return np.eye(4)
    return affine
