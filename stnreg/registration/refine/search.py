"""The passes of a refinement, coarse to fine: by local correlation, from its mirror, and across contrasts."""

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

from stnreg.geometry.affine import nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.anchor import Anchor
from stnreg.registration.refine.degrees_of_freedom import supported_dof
from stnreg.registration.refine.gauss_newton import Pass
from stnreg.registration.refine.information import InformedHead, refine_one_head
from stnreg.registration.refine.linearization import (
    Linearizations,
    linearize_both,
    mean_correlation,
    mean_raw_correlation,
    total_cost,
)
from stnreg.registration.refine.mirror import check_mirror
from stnreg.registration.refine.one_person import LevelPair, SampledPair, run_pass, sample_both
from stnreg.registration.refine.pair_type import is_nearly_same_person, is_same_contrast, is_same_person
from stnreg.registration.refine.parallel import Side
from stnreg.registration.refine.refined import CORRELATION, INFORMATION, SIMULATED
from stnreg.registration.refine.region import BRAIN_SHARE, INNER_SHARE
from stnreg.registration.refine.samples import extent, middle, motion_mm
from stnreg.registration.refine.simulated import SimulatedHead, refine_blurred

PASSES = (Pass(8.0, 6_000, 15, 0.2), Pass(4.0, 20_000, 12, 0.05), Pass(2.0, 30_000, 8, 0.03))
MIRROR_LEVEL = 1
KEPT_OVERLAP = 0.7  # share of the overlap that a transform of higher local correlation keeps
SLACK = 0.005  # by which a rigid transform of one head may correlate less than the affine; of two people 0.013 and more
LOST_MM = 8.0  # farther than this from where local correlation ended, it had begun too far off: the coarsest voxels


@dataclass(frozen=True)
class PyramidResult:
    """The result of all pyramid levels; `before` and `after` are linearized at the finest of them.

    They ended `returned_mm` from the initial transform, which is kept if it is better.
    """

    start: Matrix
    fixed_to_moving: Matrix
    dof: int
    same_contrast: bool
    before: Linearizations
    after: Linearizations
    steps: tuple[int, ...]
    sampled: SampledPair
    returned_mm: float
    one_head: bool = False  # which was decided, whatever the correlation at the end
    rigid: bool = False  # because one head needs no more

    @property
    def improved(self) -> bool:
        """Whether the cost is lower than at the initial transform, or the local correlation is higher.

        What lies outside the other image has a cost, so that no transform leads away from it. Of a part of a head, a
        transform that stretches it covers more of the other head, and would cost less whatever is there.
        """
        if self.one_head or total_cost(self.after, self.before) < total_cost(self.before, self.before):
            return True
        overlaps = [min(v.overlap for v in both) for both in (self.before, self.after)]
        rises = mean_correlation(self.after) > mean_correlation(self.before)
        return rises and overlaps[1] >= KEPT_OVERLAP * overlaps[0]

    @property
    def same_person(self) -> bool:
        """Whether both images show the same person."""
        return self.one_head or is_same_person(mean_correlation(self.after))

    @property
    def start_is_best(self) -> bool:
        """Whether there was nothing to improve: one head, and the passes came back to where it lay."""
        return not self.improved and self.same_person and self.returned_mm <= PASSES[-1].stop_mm


@dataclass(frozen=True)
class Search:
    """All passes from a start, coarse to fine.

    Attributes
    ----------
    levels : list of (PyramidLevel, PyramidLevel)
    dof : int
    pool : Executor or None
    anchors : sequence of Anchor
    moving_mirror : (4, 4) float64 or None
        The reflection in the moving head's midplane, LPS mm.
    """

    levels: list[LevelPair]
    dof: int
    pool: Executor | None
    anchors: Sequence[Anchor]
    moving_mirror: Matrix | None

    def run(self, start: Matrix) -> tuple[PyramidResult, float | None]:
        """Refine by local correlation, and check the mirror; return the result and the gain of the mirror."""
        result, gain = self._coarse_to_fine(start), None
        if self.moving_mirror is not None:
            result, gain = self._escape_mirror(result, self.moving_mirror)
        return (self._alone_if_nearly_one_person(result) if self.anchors else result), gain

    def across_contrasts(
        self, sides: tuple[Side, Side], result: PyramidResult, gain: float | None
    ) -> tuple[PyramidResult, float | None, str]:
        """Refine one head across resolutions or contrasts, if the images show one.

        Where that leads far away, local correlation began too far off to say anything: it begins again from there. It
        may show one person then, or that left and right are exchanged.

        Returns
        -------
        result : PyramidResult
        gain : float or None
            Of the mirror.
        similarity : str
            What was maximised.
        """
        similarity = SIMULATED
        found: SimulatedHead | InformedHead | None = refine_blurred(sides, self.levels[-1], result.start, self.pool)
        if found is None and not result.same_contrast:
            similarity = INFORMATION
            found = refine_one_head(sides, result.start, result.fixed_to_moving, self.pool)
        if found is None:
            return result, gain, CORRELATION
        end = found.fixed_to_moving
        if motion_mm(*result.sampled, result.fixed_to_moving, end) > LOST_MM:
            again, gain = self.run(end)
            if again.same_person:
                return replace(again, start=result.start, before=result.before), gain, CORRELATION
        after = linearize_both(*result.sampled, end, middle(*result.sampled, end), self.pool)
        correlates_less = mean_correlation(after) < mean_correlation(result.after) - SLACK
        if isinstance(found, InformedHead) and found.shares_little and correlates_less:
            return result, gain, CORRELATION
        changed = {"fixed_to_moving": end, "dof": 6, "after": after, "steps": result.steps + found.steps}
        return replace(result, **changed, one_head=True, rigid=True), gain, similarity

    def _coarse_to_fine(self, start: Matrix) -> PyramidResult:
        first = sample_both(self.levels[0], PASSES[0].samples)
        usable = supported_dof(self.dof, *extent(*first, start))
        initial = nearest_dof(start, middle(*first, start), self.dof)
        current = nearest_dof(initial, middle(*first, initial), usable)
        steps, same_contrast = [], False
        for pair, level_pass in zip(self.levels, PASSES, strict=True):
            sampled = sample_both(pair, level_pass.samples, INNER_SHARE if same_contrast else BRAIN_SHARE)
            outcome = run_pass(sampled, current, usable, level_pass, self.pool, self.anchors)
            current = outcome.fixed_to_moving
            steps.append(outcome.steps)
            if level_pass is PASSES[-2]:
                same_contrast = is_same_contrast(outcome.correlation, mean_raw_correlation(outcome.linearized))
        before = linearize_both(*sampled, initial, middle(*sampled, initial), self.pool)
        returned = motion_mm(*sampled, initial, current)
        after, done = outcome.linearized, tuple(steps)
        result = PyramidResult(initial, current, usable, same_contrast, before, after, done, sampled, returned)
        return result if result.improved else replace(result, fixed_to_moving=initial, dof=self.dof, after=before)

    def _escape_mirror(self, result: PyramidResult, moving_mirror: Matrix) -> tuple[PyramidResult, float]:
        """Check the mirror; return the better of the result and its restart, and the gain of the mirror."""
        level = self.levels[MIRROR_LEVEL]
        check = check_mirror(level, result.fixed_to_moving, moving_mirror, result.dof, self.pool)
        if check.unmirrored_restart is None:
            return result, check.gain
        again = self._coarse_to_fine(check.unmirrored_restart)
        if mean_correlation(again.after) > mean_correlation(result.after):
            result = replace(again, start=result.start, before=result.before)
        return result, check.gain

    def _alone_if_nearly_one_person(self, result: PyramidResult) -> PyramidResult:
        """Let the intensities alone decide where they almost show one person: structures are less precise."""
        if result.same_person or not is_nearly_same_person(mean_correlation(result.after)):
            return result
        alone = run_pass(result.sampled, result.fixed_to_moving, result.dof, PASSES[-1], self.pool)
        found = replace(result, fixed_to_moving=alone.fixed_to_moving, after=alone.linearized)
        return found if found.same_person else result
