"""Symmetric Gauss-Newton: an affine between two locally normalised images, each sampled in the other.

Both directions weigh alike. Fixed samples x are compared with the moving image at T x, moving samples with the fixed
image at T^-1 x. The update acts on fixed space, so exchanging the images inverts the result.
"""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.anchor import Anchor, Pull, pull_of
from stnreg.registration.refine.degrees_of_freedom import directions, step
from stnreg.registration.refine.linearization import (
    Linearizations,
    linearize,
    linearize_both,
    mean_correlation,
    total_cost,
)
from stnreg.registration.refine.samples import SampledImage, middle, motion_mm

Array = np.ndarray
MAX_HALVINGS = 4
DAMPING = 0.05


@dataclass(frozen=True)
class Pass:
    """Settings of one pyramid level: voxel spacing, samples of each image, stopping criteria (see `minimize`)."""

    spacing_mm: float
    samples: int
    max_steps: int
    stop_mm: float
    newton: bool = False


@dataclass(frozen=True)
class Outcome:
    """Result of the iterations at one level; `linearized` is at the final affine."""

    fixed_to_moving: Matrix
    steps: int
    last_step_mm: float
    linearized: Linearizations

    @property
    def correlation(self) -> float:
        """Local correlation at the end, mean of both directions."""
        return mean_correlation(self.linearized)


def minimize(
    fixed: SampledImage,
    moving: SampledImage,
    fixed_to_moving: Matrix,
    *,
    dof: int,
    max_steps: int,
    stop_mm: float,
    newton: bool = False,
    pool: Executor | None = None,
    one_way: Callable[..., Any] = linearize,
    anchors: Sequence[Anchor] = (),
) -> Outcome:
    """Minimise the robust cost by Gauss-Newton; stop when the update is small or no longer lowers the cost.

    Parameters
    ----------
    fixed, moving : SampledImage
        Both images at one pyramid level.
    fixed_to_moving : (4, 4) float64
        Initial transform, LPS mm, of at most `dof` degrees of freedom.
    dof : int
        6, 7, 9 or 12.
    max_steps : int
        Maximum number of iterations.
    stop_mm : float
        Stop when the root mean square motion of the samples falls below this.
    newton : bool
        Use `Linearization.cross` as the Hessian. It is more accurate, but only near the minimum.
    pool : Executor, optional
        A second thread for the other direction.
    anchors : sequence of Anchor
        What else is known of the affine; added to the cost.
    """
    one_way = partial(one_way, newton=True) if newton else one_way
    center_lps = middle(fixed, moving, fixed_to_moving)
    current, linearized = fixed_to_moving, linearize_both(fixed, moving, fixed_to_moving, center_lps, pool, one_way)
    pull = pull_of(anchors, current, center_lps)
    moved_mm, steps = np.inf, 0
    while steps < max_steps and moved_mm >= stop_mm:
        numbers = _solve(linearized, pull, directions(current, dof), newton)
        for _ in range(MAX_HALVINGS):
            trial = step(current, numbers, center_lps, dof)
            trial_linearized = linearize_both(fixed, moving, trial, center_lps, pool, one_way)
            trial_pull = pull_of(anchors, trial, center_lps)
            cost = total_cost(linearized, linearized) + pull.cost
            if total_cost(trial_linearized, linearized) + trial_pull.cost <= cost:
                break
            numbers = numbers / 2
        else:
            break
        moved_mm = motion_mm(fixed, moving, current, trial)
        current, linearized, pull, steps = trial, trial_linearized, trial_pull, steps + 1
    return Outcome(current, steps, float(moved_mm), linearized)


def _solve(linearized: Linearizations, pull: Pull, basis: Array, newton: bool) -> Array:
    """Solve the normal equations for the update, (12,), in the span of `basis`."""
    rhs = basis.T @ (linearized[0].rhs + linearized[1].rhs + pull.rhs)
    normal = basis.T @ (linearized[0].normal + linearized[1].normal) @ basis
    if newton:
        # Damping by the Gauss-Newton matrix: in strong noise `cross` is close to zero.
        cross = basis.T @ (linearized[0].cross + linearized[1].cross) @ basis
        values, vectors = np.linalg.eigh(cross)
        normal = (vectors * np.maximum(values, 0)) @ vectors.T + DAMPING * normal
    normal = normal + basis.T @ pull.normal @ basis
    # Minimum-norm solution: directions that the images do not determine are not changed.
    return basis @ np.linalg.lstsq(normal, rhs, rcond=1e-6)[0]
