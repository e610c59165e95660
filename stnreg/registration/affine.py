"""Affine registration from the encodings of two images: estimate, refine, assess."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import ClassVar

import numpy as np

from stnreg.core.clock import Clock
from stnreg.geometry.affine import nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.anatomy.fit import affine_standard_error_mm, fit_pair, trusted_structures
from stnreg.registration.explained import explained_contrast
from stnreg.registration.findings import Encodings, Findings
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.pair import ImagePair
from stnreg.registration.quality import RefinementStats, assess
from stnreg.registration.refine.anchor import Structures
from stnreg.registration.refine.refined import Refined
from stnreg.registration.refine.refinement import refine_affine
from stnreg.registration.stages import StageResult, run_stage
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform

ONE_SHAPE = 1.4  # of `Structures.misfit`: more, and the images show two people


def register_affine(
    pair: ImagePair,
    encodings: Encodings,
    initial: Matrix | None,
    options: RegistrationOptions,
    clock: Clock | None = None,
) -> Findings:
    """Estimate an affine from the encodings of a pair, refine it, assess it.

    Parameters
    ----------
    pair : ImagePair
    encodings : tuple of Encoding
        Of fixed and moving.
    initial : (4, 4) float64 or None
        A fixed_to_moving, LPS mm, in place of the estimate.
    options : RegistrationOptions
    clock : Clock, optional
        To time the stages with.

    Returns
    -------
    Findings

    Raises
    ------
    DataError
        If an array is not on its grid.
    """
    clock = clock or Clock()
    found = run_stage(Estimate(encodings, options.dof), pair, None if initial is None else Affine(initial), clock)
    refined = None
    # Where structures were found in places that make no sense, the least squares on them can be a reflection: no start.
    if options.refine and not is_reflection(found.transform):
        stage_of_dof = partial(Refine, encodings, threads=options.thread_count, by_structures=initial is None)
        found = run_stage(stage_of_dof(options.dof), pair, found.transform, clock)
        refined = confirm_mirror(found.findings, pair, stage_of_dof, clock)
    estimated = initial is None and options.dof >= 9
    stage = Assess(encodings, options.dof, refined, estimated, options.min_score)
    found = run_stage(stage, pair, found.transform, clock)
    matrix = found.transform.matrix
    assert matrix is not None
    return Findings(found.transform, matrix, found.findings, encodings, refined)


def is_reflection(transform: Transform) -> bool:
    """Return whether an affine exchanges left and right, or is flat."""
    return transform.matrix is not None and float(np.linalg.det(transform.matrix[:3, :3])) <= 0


def confirm_mirror(refined: Refined, pair: ImagePair, stage_of_dof: Callable[[int], "Refine"], clock: Clock) -> Refined:
    """Return a refinement whose mirror gain is the smaller of two, where it says that left and right are exchanged.

    Two contrasts, or two almost symmetric heads, can fit a little better mirrored by chance, and chance depends on what
    else may change. Where left and right are exchanged, the mirror fits better at 6 and at 12 degrees of freedom, or at
    6 alone where one head is found not to support more.

    Parameters
    ----------
    refined : Refined
    pair : ImagePair
    stage_of_dof : callable
        From degrees of freedom to the stage that refines.
    clock : Clock
    """
    if not refined.mirrored or refined.mirror_gain is None:
        return refined
    other = stage_of_dof(6 if refined.dof > 6 else 12)
    again: Refined = run_stage(other, pair, Affine(refined.fixed_to_moving), clock).findings
    gains = [gain for gain in (refined.mirror_gain, again.mirror_gain) if gain is not None]
    return replace(refined, mirror_gain=min(gains))


@dataclass(frozen=True)
class Estimate:
    """Least squares on the centroids of the structures of both images; or the initial transform, if given."""

    encodings: Encodings
    dof: int
    name: ClassVar[str] = "fit"

    def __call__(self, pair: ImagePair, transform: Transform | None) -> StageResult:
        """Return an affine of `dof` degrees of freedom."""
        initial = None if transform is None else transform.matrix
        fixed_to_moving = fit_pair(*self.encodings, dof=self.dof) if initial is None else initial
        if initial is not None or self.dof == 9:  # scales along the axes of a grid that the encodings do not know
            fixed_to_moving = nearest_dof(fixed_to_moving, pair.fixed.grid.center_lps, self.dof)
        return StageResult(Affine(fixed_to_moving))


@dataclass(frozen=True)
class Refine:
    """Gauss-Newton on the intensities inside both brain masks; its findings are `Refined`.

    With `by_structures` the structures of both heads count too; not where an initial transform replaces them.
    """

    encodings: Encodings
    dof: int
    threads: int
    by_structures: bool
    name: ClassVar[str] = "refine"

    def __call__(self, pair: ImagePair, transform: Transform | None) -> StageResult:
        """Return the refined affine."""
        assert transform is not None
        assert transform.matrix is not None
        fixed, moving = self.encodings
        structures = structures_of(fixed, moving)
        has_one_shape = structures is None or structures.misfit <= ONE_SHAPE
        refined = refine_affine(
            *pair.images,
            transform.matrix,
            fixed_brain=(fixed.brain, fixed.maps_grid),
            moving_brain=(moving.brain, moving.maps_grid),
            moving_mirror=moving.mirror,
            structures=structures if self.by_structures else None,
            across_contrasts=fixed.is_placed and moving.is_placed and has_one_shape,
            means=pair.means,
            **pair.masks,
            dof=self.dof,
            threads=self.threads,
        )
        return StageResult(Affine(refined.fixed_to_moving), refined)


@dataclass(frozen=True)
class Assess:
    """Accept the transform or reject it; its findings are the `Verdict`."""

    encodings: Encodings
    dof: int
    refined: Refined | None
    estimated: bool
    min_score: float | None
    name: ClassVar[str] = "verdict"

    def __call__(self, pair: ImagePair, transform: Transform | None) -> StageResult:
        """Return the transform as it is, and whether it is accepted."""
        assert transform is not None
        assert transform.matrix is not None
        stats = refinement_stats(self.refined, pair, self.encodings)
        verdict = assess(
            *self.encodings,
            transform.matrix,
            self.min_score,
            dof=self.dof,
            refinement=stats,
            estimated=self.estimated,
        )
        return StageResult(transform, verdict)


def structures_of(fixed: Encoding, moving: Encoding) -> Structures | None:
    """Return the centroids of the structures of both heads; None if the field of view cuts them, which biases them."""
    if affine_standard_error_mm(fixed, moving) > fixed.calibration.whole_head_error_mm:
        return None
    return Structures(*trusted_structures(fixed, moving))


def refinement_stats(refined: Refined | None, pair: ImagePair, encodings: Encodings) -> RefinementStats | None:
    """Return the results of a refinement that the assessment uses; None without refinement."""
    if refined is None:
        return None

    def explained() -> tuple[float, float]:
        fixed, moving = (explained_contrast(*one) for one in zip(pair.means, encodings, strict=True))
        return fixed, moving

    return RefinementStats(refined.local_correlation, refined.same_person, refined.mirrored, explained)
