"""The result of a series: each visit, its transform, and the template."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from stnreg.geometry.affine import Parameters, apply_affine, compose, invert, to_parameters
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.models.card import Weights
from stnreg.registration.series.change import ChangeResult
from stnreg.registration.series.options import SeriesOptions
from stnreg.registration.series.scale_error import ScaleError
from stnreg.registration.series.template import on_grid

KEPT, LEFT_OUT, ERROR = "kept", "left out", "error"
"""In the series; judged failed, or another person; not readable."""
RADIUS_MM = 60.0
"""At which motion is measured: about that of a brain."""


@dataclass(frozen=True, eq=False)
class VisitResult:
    """One visit of a series.

    Attributes
    ----------
    name : str
        Unique in the series.
    path : str
        Its file.
    status : {"kept", "left out", "error"}
    reason : str
        Why it was left out.
    image : Volume or None
        As read: all volumes if it is 4-D; None if it could not be.
    space_to_visit : (4, 4) float64 or None
        From the space of the template to the visit, LPS mm; None if it was left out.
    score : float or None
        Agreement of its structures with those of the other visits, mean of all pairs, 0 to 1.
    correlation : float or None
        Local correlation inside the brain with the average of the other visits, 0 to 1.
    disagreement_mm : float or None
        How far its pairs disagree with the transforms of the series: root mean square over the brain.
    gain : float or None
        Factor that gives it the mean brightness of the visits.
    has_skull : bool
        Whether skull and scalp were used for its alignment.
    skull_log_volume, skull_error : float or None
        Logarithm of the volume factor of the skull from the template to the visit, and its standard error; with
        `change` alone, and None where the skull is not in view.
    scale_error : ScaleError or None
        Standard errors of its scale over that of the template; None if its transform is rigid.
    warnings : tuple of str
    """

    name: str
    path: str
    status: str
    reason: str = ""
    image: Volume | None = None
    space_to_visit: Matrix | None = None
    score: float | None = None
    correlation: float | None = None
    disagreement_mm: float | None = None
    gain: float | None = None
    has_skull: bool = False
    skull_log_volume: float | None = None
    skull_error: float | None = None
    scale_error: ScaleError | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class SeriesResult:
    """The visits of one person in one space.

    Attributes
    ----------
    visits : tuple of VisitResult
        In the order given.
    template : Volume or None
        None if no two visits belong together.
    center_lps : (3,) float64
        The middle of the brain in the space of the template.
    options : SeriesOptions
    model : Weights
    timings_s : dict
        Wall time by stage, seconds.
    moved_mm : tuple of float
        How far the visits moved in each round with the template, the farthest of them.
    warnings : tuple of str
    changes : ChangeResult or None
        What changed; None if it was not asked for.
    """

    visits: tuple[VisitResult, ...]
    template: Volume | None
    center_lps: np.ndarray
    options: SeriesOptions
    model: Weights
    timings_s: Mapping[str, float] = field(default_factory=dict)
    moved_mm: tuple[float, ...] = ()
    warnings: tuple[str, ...] = ()
    changes: ChangeResult | None = None

    @cached_property
    def kept(self) -> tuple[VisitResult, ...]:
        """The visits in the series."""
        return tuple(visit for visit in self.visits if visit.status == KEPT)

    def between(self, first: str, second: str) -> Matrix:
        """Return the (4, 4) map from points of one visit to points of another, LPS mm."""
        maps = {visit.name: visit.space_to_visit for visit in self.kept}
        return compose(maps[second], invert(maps[first]))  # type: ignore[arg-type]

    def parameters(self, visit: VisitResult) -> Parameters:
        """Return the parameters of the map from the template to a visit, about the middle of the brain."""
        return to_parameters(visit.space_to_visit, self.center_lps)  # type: ignore[arg-type]

    def scale(self, visit: VisitResult) -> tuple[float, float, float]:
        """Return the scales from the template to a visit.

        With 9 degrees of freedom they lie along the axes of the visit's scanner, otherwise along those of the template.
        """
        if self.options.dof != 9:
            return self.parameters(visit).scale
        x, y, z = 1 / np.linalg.norm(invert(visit.space_to_visit)[:3, :3], axis=0)  # type: ignore[arg-type]
        return float(x), float(y), float(z)

    def motion_mm(self, visit: VisitResult) -> float:
        """Return how far the brain lies from where it lies in the other visits, by the headers: mean of all others."""
        center = apply_affine(visit.space_to_visit, self.center_lps)  # type: ignore[arg-type]
        points = center + RADIUS_MM * np.concatenate([np.eye(3), -np.eye(3)])
        others = [self.between(visit.name, other.name) for other in self.kept if other is not visit]
        return float(np.mean([np.linalg.norm(apply_affine(one, points) - points, axis=1).mean() for one in others]))

    def scale_source(self) -> str:
        """Return what the volumes are related to: `skull`, or `scanner` where a visit does not show it."""
        return "skull" if all(visit.skull_log_volume is not None for visit in self.kept) else "scanner"

    def change_percent(self, region: str, earlier: VisitResult, later: VisitResult) -> tuple[float, float | None]:
        """Return the change of a region's volume between two visits, in percent, and its standard error.

        The volume is that of the displacement and of the transform together, over that of the skull if all visits show
        it: so a scanner whose scale has drifted is no change.
        """
        assert self.changes is not None
        order = [self.kept.index(visit) for visit in (earlier, later)]
        percent, error = self.changes.percent(region, *order)
        logs = np.log1p(percent / 100)
        for sign, visit in ((-1, earlier), (1, later)):
            logs += sign * np.log(np.linalg.det(visit.space_to_visit[:3, :3]))  # type: ignore[index]
            if self.scale_source() == "skull":
                logs -= sign * visit.skull_log_volume  # type: ignore[operator]
        if error is not None and self.scale_source() == "skull":
            skulls = [100 * (visit.skull_error or 0.0) for visit in (earlier, later)]
            error = float(np.linalg.norm([error, *skulls]))
        return float(100 * np.expm1(logs)), error

    def resampled(self, visit: VisitResult) -> np.ndarray:
        """Return a visit on the grid of the template, (z, y, x) float32, in one interpolation; 0 outside it."""
        assert self.template is not None
        assert visit.image is not None
        assert visit.space_to_visit is not None
        image, onto = visit.image, self.template.grid

        def moved(one: np.ndarray) -> np.ndarray:
            interp, threads = self.options.interp, self.options.thread_count
            return np.nan_to_num(on_grid((one, image.grid), onto, visit.space_to_visit, interp, threads))  # type: ignore[arg-type]

        return moved(image.array) if image.array.ndim == 3 else np.stack([moved(one) for one in image.array])
