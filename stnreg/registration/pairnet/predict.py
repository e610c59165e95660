"""Estimate the affine between two scans by a pair network, run as a cascade, and by its last pass."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnreg.errors import DataError
from stnreg.geometry.affine import check_affine
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.geometry.theta import affine_from_theta
from stnreg.images.volume import Volume
from stnreg.models.card import Weights
from stnreg.models.runtime import run_network
from stnreg.preprocessing.cube import shrink_volume
from stnreg.preprocessing.initial_transform import center_geometry, center_of_foreground
from stnreg.preprocessing.pipeline import prepare_image

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

KINDS = ("pair", "pair-last")
PASSES = 3
SMALLEST_VOLUME_CHANGE = 0.05  # determinants below this are rejected as collapsed
SMALLEST_STEP_MM = 1.0  # after a last pass that moves less than this, another changes 0.1 mm and gains nothing
Array = NDArray[np.float32]


@dataclass(frozen=True)
class OpenPass:
    """A network and its session."""

    weights: Weights
    session: "InferenceSession"


@dataclass(frozen=True, eq=False)
class Estimate:
    """The estimate of one network.

    Attributes
    ----------
    fixed_to_moving : (4, 4) float64
        Maps fixed LPS points to moving LPS points, mm: the one of `steps` with the lowest `mse`.
    steps : tuple of (4, 4) float64
        The initial transform, and the affine after each pass of the cascade.
    mse : tuple of float
        Mean squared difference on the whole fixed cube under each of `steps`, intensities in [0, 1].
    """

    fixed_to_moving: Matrix
    steps: tuple[Matrix, ...]
    mse: tuple[float, ...]


def predict_pair(
    fixed: Volume,
    moving: Volume,
    networks: Sequence[OpenPass],
    *,
    initial: ArrayLike | None = None,
    passes: int = PASSES,
    threads: int | None = None,
) -> Estimate:
    """Estimate the affine between two scans.

    Each network starts from the estimate of the one before. In each of its passes it gets the moving scan, resampled
    from the original through the current affine, and its output is composed with that. The pass with the lowest mean
    squared difference is taken, or the start if that is lower.

    Parameters
    ----------
    fixed, moving : Volume
        Scans as loaded.
    networks : sequence of OpenPass
        A network of kind `pair`, whose cube is about the centre of the fixed grid; then, where there is one, that of
        kind `pair-last`, whose cube is about the fixed foreground. Both cubes run along the LPS axes.
    initial : (4, 4) float64, optional
        Initial `fixed_to_moving`; by default the centres of the grids are aligned.
    passes : int
        Maximum number of runs of each network.
    threads : int, optional
        Of ITK.

    Raises
    ------
    DataError
        If a network is of another kind.
    """
    for one in networks:
        if one.weights.kind not in KINDS:
            raise DataError(f"{one.weights.path}: expected a pair network, this one is of kind {one.weights.kind!r}")
    start = center_geometry(fixed.grid, moving.grid) if initial is None else check_affine(initial)
    center_lps, finest_mm = fixed.grid.center_lps, networks[0].weights.spacing_mm / 2
    fixed, moving = shrink_volume(fixed, finest_mm), shrink_volume(moving, finest_mm)
    for one in networks:
        if one.weights.kind == "pair-last":
            center_lps = center_of_foreground(fixed)
        cube = Grid.cube(center_lps, one.weights.size, one.weights.spacing_mm)
        found = _estimate(fixed, cube, moving, one, start, passes, threads)
        start = found.fixed_to_moving
    return found


def _estimate(
    fixed: Volume, fixed_cube: Grid, moving: Volume, network: OpenPass, start: Matrix, passes: int, threads: int | None
) -> Estimate:
    """Run the passes of one network on a cube in fixed space."""
    weights = network.weights
    fixed_array = prepare_image(fixed, fixed_cube, weights.normalise, threads)

    def moved_by(fixed_to_moving: Matrix) -> tuple[Grid, Array]:
        """Map the fixed cube into moving space, and resample the moving scan on it."""
        cube = Grid(fixed_cube.size, fixed_to_moving @ fixed_cube.index_to_lps)
        return cube, prepare_image(moving, cube, weights.normalise, threads)

    moving_cube, moved = moved_by(start)
    steps, mse = [start], [_mse(moved, fixed_array)]
    for _ in range(passes):
        theta = _theta(network, fixed_array, moved)
        if not _is_usable(theta):
            break
        steps.append(affine_from_theta(theta, fixed_cube, moving_cube))
        moving_cube, moved = moved_by(steps[-1])
        mse.append(_mse(moved, fixed_array))
        if weights.kind == "pair-last" and _step_mm(theta, fixed_cube) < SMALLEST_STEP_MM:
            break
    return Estimate(steps[int(np.argmin(mse))], tuple(steps), tuple(mse))


def _theta(network: OpenPass, fixed: Array, moved: Array) -> Matrix:
    """Run a network on two cubes: (3, 4)."""
    weights = network.weights
    theta = run_network(network.session, weights, {"pair": np.stack([fixed, moved])[None]}, "theta")
    if theta.shape != (1, 3, 4):
        raise DataError(f"{weights.path}: expected an answer of (1, 3, 4), got {theta.shape}")
    return theta[0].astype(np.float64)


def _step_mm(theta: Matrix, cube: Grid) -> float:
    """Return how far theta moves points half-way between the middle and the corners of a cube, mean, mm."""
    signs = np.stack(np.meshgrid(*[(-0.5, 0.5)] * 3), axis=-1).reshape(-1, 3)
    moved = signs @ theta[:, :3].T + theta[:, 3] - signs
    return float(np.linalg.norm(moved, axis=1).mean() * cube.size[0] * cube.spacing[0] / 2)


def _mse(moved: Array, fixed: Array) -> float:
    return float(np.square(moved - fixed).mean(dtype=np.float64))


def _is_usable(theta: Matrix) -> bool:
    """Return whether theta is finite, not collapsed and not a reflection; the `affine` head does not ensure it."""
    return bool(np.isfinite(theta).all() and np.linalg.det(theta[:, :3]) > SMALLEST_VOLUME_CHANGE)
