"""Estimate the affine between two scans by a pair network, run as a cascade."""

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
from stnreg.preprocessing.initial_transform import center_geometry
from stnreg.preprocessing.pipeline import cube_grid, prepare_image

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PASSES = 3
SMALLEST_VOLUME_CHANGE = 0.05  # determinants below this are rejected as collapsed


@dataclass(frozen=True, eq=False)
class Estimate:
    """The estimate of a pair network.

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
    weights: Weights,
    session: "InferenceSession",
    *,
    initial: ArrayLike | None = None,
    passes: int = PASSES,
    threads: int | None = None,
) -> Estimate:
    """Estimate the affine between two scans.

    In each pass the network gets the moving scan, resampled from the original through the current affine, and its
    output is composed with that. The pass with the lowest mean squared difference is returned, or the initial transform
    if that is lower.

    Parameters
    ----------
    fixed, moving : Volume
        Scans as loaded.
    weights : Weights
        Of kind `pair`.
    session : InferenceSession
        Of these weights.
    initial : (4, 4) float64, optional
        Initial `fixed_to_moving`; by default the centres of the grids are aligned.
    passes : int
        Maximum number of runs of the network.
    threads : int, optional
        Of ITK.

    Raises
    ------
    DataError
        If the network is of another kind.
    """
    if weights.kind != "pair":
        raise DataError(f"{weights.path}: expected a pair network, this one is of kind {weights.kind!r}")
    fixed_cube = cube_grid(fixed.grid, weights.size, weights.spacing_mm)
    finest_mm = weights.spacing_mm / 2
    fixed_array = prepare_image(shrink_volume(fixed, finest_mm), fixed_cube, weights.normalise, threads)
    start = center_geometry(fixed.grid, moving.grid) if initial is None else check_affine(initial)
    shrunk = shrink_volume(moving, finest_mm)

    def moved_by(fixed_to_moving: Matrix) -> tuple[Grid, NDArray[np.float32]]:
        """Map the fixed cube into moving space, and resample the moving scan on it."""
        cube = Grid(fixed_cube.size, fixed_to_moving @ fixed_cube.index_to_lps)
        return cube, prepare_image(shrunk, cube, weights.normalise, threads)

    moving_cube, moved = moved_by(start)
    steps, mse = [start], [_mse(moved, fixed_array)]
    for _ in range(passes):
        pair = np.stack([fixed_array, moved])[None]
        theta = run_network(session, weights, {"pair": pair}, "theta")
        if theta.shape != (1, 3, 4):
            raise DataError(f"{weights.path}: expected an answer of (1, 3, 4), got {theta.shape}")
        if not _is_usable(theta[0]):
            break
        steps.append(affine_from_theta(theta[0], fixed_cube, moving_cube))
        moving_cube, moved = moved_by(steps[-1])
        mse.append(_mse(moved, fixed_array))
    return Estimate(steps[int(np.argmin(mse))], tuple(steps), tuple(mse))


def _mse(moved: NDArray[np.float32], fixed: NDArray[np.float32]) -> float:
    return float(np.square(moved - fixed).mean(dtype=np.float64))


def _is_usable(theta: NDArray[np.float32]) -> bool:
    """Return whether theta is finite, not collapsed and not a reflection; the `affine` head does not ensure it."""
    return bool(np.isfinite(theta).all() and np.linalg.det(theta[:, :3]) > SMALLEST_VOLUME_CHANGE)
