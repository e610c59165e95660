"""Options of a series: one object for the command line, for many subjects and for Python."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from stnreg.core.threads import default_threads
from stnreg.errors import UsageProblem
from stnreg.images.volume import HeaderSource
from stnreg.registration.options import DEFAULT_MODEL, Dof
from stnreg.registration.series.template import Average
from stnreg.resampling.resample import INTERPOLATIONS, Interpolation

Reference = Literal["unbiased", "first"]


@dataclass(frozen=True, kw_only=True)
class SeriesOptions:
    """How to bring the visits of one person together.

    Attributes
    ----------
    dof : {6, 7, 9, 12}
        Degrees of freedom of each visit: 6 for one scanner; 7 or 9 if the scale of scanners may differ (one factor, or
        one along each axis of the visit); 12 affine.
    reference : str
        The space of the template. `unbiased`: the mean space of all visits; `first`: the space and the grid of the
        first visit; or the path of an image, to whose space the template is registered.
    average : {"median", "mean"}
        How the template is made of the visits.
    change : bool
        Whether to measure what changed between the visits.
    interp : {"linear", "bspline", "lanczos"}
        Interpolation of all visits.
    spacing_mm : float, optional
        Voxels of the template; the median of the visits' by default.
    model, header_source, volume, min_score, device, threads
        As in `RegistrationOptions`.

    Raises
    ------
    UsageProblem
        If a value is none of these.
    """

    dof: int = 6
    reference: str = "unbiased"
    average: Average = "median"
    change: bool = False
    interp: Interpolation = "linear"
    spacing_mm: float | None = None
    model: str = DEFAULT_MODEL
    header_source: HeaderSource = "auto"
    volume: str | int | None = None
    min_score: float | None = None
    device: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.dof not in get_args(Dof):
            raise UsageProblem(f"dof is 6, 7, 9 or 12, got {self.dof}")
        if self.average not in get_args(Average):
            raise UsageProblem(f"the template is a median or a mean, got {self.average!r}")
        if self.interp not in INTERPOLATIONS or self.interp in ("nearest", "label"):
            raise UsageProblem(f"visits are interpolated by linear, bspline or lanczos, got {self.interp!r}")
        if self.spacing_mm is not None and not 0.2 <= self.spacing_mm <= 10:
            raise UsageProblem(f"voxels of the template are 0.2 to 10 mm, got {self.spacing_mm:g}")
        if self.change and self.dof == 12:
            raise UsageProblem("change is measured with at most 9 degrees of freedom: 12 would take part of it away")

    @property
    def thread_count(self) -> int:
        """Threads to use."""
        return self.threads or default_threads()

    @property
    def outcome(self) -> dict[str, Any]:
        """The options that affect the result beyond rounding: all but threads and device."""
        return {name: value for name, value in asdict(self).items() if name not in ("threads", "device")}
