"""Gauss-Newton on an affine between two locally normalised images, each sampled and looked up in the other.

Both directions count alike. Fixed samples x see the moving image at T x, moving samples see the fixed image at
T^-1 x. A step acts on fixed space, so exchanging the images only renames the step, and the result is the inverse.
"""

from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np

from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.degrees_of_freedom import directions, step
from stnreg.registration.refine.linearization import View, linearize_both, mean_correlation, total_cost
from stnreg.registration.refine.samples import Scene, middle, motion_mm

Array = np.ndarray
MAX_HALVINGS = 4
DAMPING = 0.05


@dataclass(frozen=True)
class Outcome:
    """Where the steps of one level ended: the map, how many steps, the last one's size, and the last views."""

    fixed_to_moving: Matrix
    steps: int
    last_step_mm: float
    views: tuple[View, View]

    @property
    def correlation(self) -> float:
        """Local correlation left, mean of both directions."""
        return mean_correlation(self.views)


def descend(
    fixed: Scene,
    moving: Scene,
    fixed_to_moving: Matrix,
    *,
    dof: int,
    max_steps: int,
    stop_mm: float,
    newton: bool = False,
    pool: Executor | None = None,
) -> Outcome:
    """Step until nothing moves any more, or a step no longer helps.

    Parameters
    ----------
    fixed, moving : Scene
        Both images at one level.
    fixed_to_moving : (4, 4) float64
        The start, LPS mm, of at most `dof` degrees of freedom.
    dof, max_steps : int
        Degrees of freedom, and when to give up.
    newton : bool
        Whether to step by the truer curvature, which only holds near the end.
    stop_mm : float
        Root mean square motion of the samples below which nothing moves.
    """
    center_lps = middle(fixed, moving, fixed_to_moving)
    current, views = fixed_to_moving, linearize_both(fixed, moving, fixed_to_moving, center_lps, pool)
    moved_mm, steps = np.inf, 0
    while steps < max_steps and moved_mm >= stop_mm:
        numbers = _solve(views, directions(current, dof), newton)
        for _ in range(MAX_HALVINGS):
            trial = step(current, numbers, center_lps, dof)
            seen = linearize_both(fixed, moving, trial, center_lps, pool)
            if total_cost(seen, views) <= total_cost(views, views):
                break
            numbers = numbers / 2
        else:
            break
        moved_mm = motion_mm(fixed, moving, current, trial)
        current, views, steps = trial, seen, steps + 1
    return Outcome(current, steps, float(moved_mm), views)


def _solve(views: tuple[View, View], basis: Array, newton: bool) -> Array:
    """Return the step, twelve numbers in the span of `basis`."""
    pull = basis.T @ (views[0].pull + views[1].pull)
    normal = basis.T @ (views[0].normal + views[1].normal) @ basis
    if newton:
        # A share of the Gauss-Newton curvature stays: in much noise there is next to no other.
        cross = basis.T @ (views[0].cross + views[1].cross) @ basis
        values, vectors = np.linalg.eigh(cross)
        normal = (vectors * np.maximum(values, 0)) @ vectors.T + DAMPING * normal
    # What the images do not determine stays put: least squares of smallest norm.
    return basis @ np.linalg.lstsq(normal, pull, rcond=1e-6)[0]
