"""Options of a registration: one object for the command line, for batches and for Python."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from stnreg.core.threads import default_threads
from stnreg.errors import UsageProblem
from stnreg.images.volume import HeaderSource

Dof = Literal[6, 7, 9, 12]
DEFAULT_MODEL = "anatomy"
MAX_STIFFNESS_MM = 50.0
TWO_PEOPLE_STIFFNESS_MM, ONE_PERSON_STIFFNESS_MM = 1.5, 12.0
"""Without a stiffness of the user's. One head changes smoothly, and noise must not read as change."""


@dataclass(frozen=True, kw_only=True)
class RegistrationOptions:
    """How to register a pair.

    Attributes
    ----------
    dof : {6, 7, 9, 12}
        Degrees of freedom: rigid, similarity, rigid with a scale per axis of the fixed grid, affine.
    model : str
        A network in `weights/`, or the path of an `.onnx` that `stnreg export` wrote.
    init : str
        Initial transform. `auto`: estimated by the network; `header`: the identity, from the headers alone;
        `geometry`, `moments`: the centres of the grids or the centres of mass are aligned; or a transform file, with
        the prefixes `inv:` and `fsl:` as in a chain. For anatomy networks it replaces the estimate. Pair networks start
        from it; their `auto` is `geometry`.
    header_source : {"auto", "sform", "qform"}
        Which form of a NIfTI header to use where the two differ; `auto` is the sform, with a warning.
    refine : bool
        Whether to refine the estimate on the intensities: inside both brain masks for an anatomy network, on the whole
        objects for a pair network, which is not assessed without it.
    deform : bool
        Whether to estimate a deformation after the affine, a smooth map without folds. Anatomy networks only.
    stiffness_mm : float, optional
        Standard deviation of the Gaussian that the velocity of the deformation is smoothed by, mm. 0 leaves it as the
        network predicts it; larger is smoother and fits less. By default 1.5 between two people, and 12 where the
        local correlation of the refined affine showed one person.
    volume : int or "mean", optional
        Which volume of a 4-D image to register, from 0. Required if an image has several.
    max_seconds : float, optional
        Wall time after which no other pose of a head is tried, counted from when the images were read. A pair that is
        rejected then says that its time was up. No limit by default: the number of poses is limited anyway.
    min_score : float, optional
        Minimum score of an accepted registration, 0 to 1; the calibrated value of the network by default.
    device : str
        `auto`, `cpu`, `cuda` or `cuda:N`.
    threads : int, optional
        `stnreg.core.threads.default_threads()` by default.

    Raises
    ------
    UsageProblem
        If dof is none of these, max_seconds is not above 0, or the stiffness is out of range or without a deformation.
    """

    dof: int = 12
    model: str = DEFAULT_MODEL
    init: str = "auto"
    header_source: HeaderSource = "auto"
    refine: bool = True
    deform: bool = False
    stiffness_mm: float | None = None
    volume: str | int | None = None
    max_seconds: float | None = None
    min_score: float | None = None
    device: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.dof not in get_args(Dof):
            raise UsageProblem(f"dof is 6, 7, 9 or 12, got {self.dof}")
        if self.stiffness_mm is not None and not 0 <= self.stiffness_mm <= MAX_STIFFNESS_MM:
            raise UsageProblem(f"stiffness is 0 to {MAX_STIFFNESS_MM:g} mm, got {self.stiffness_mm:g}")
        if self.max_seconds is not None and not self.max_seconds > 0:
            raise UsageProblem(f"max_seconds is a time above 0 s, got {self.max_seconds:g}")
        if self.stiffness_mm is not None and not self.deform:
            raise UsageProblem("the stiffness is that of a deformation, which was not asked for", argument="deform")

    @property
    def thread_count(self) -> int:
        """Threads to use."""
        return self.threads or default_threads()

    def stiffness_of(self, *, one_person: bool) -> float:
        """Return the stiffness to use, mm, for two images of one person or of two people."""
        if self.stiffness_mm is not None:
            return self.stiffness_mm
        return ONE_PERSON_STIFFNESS_MM if one_person else TWO_PEOPLE_STIFFNESS_MM

    @property
    def outcome(self) -> dict[str, Any]:
        """The options that affect the result beyond rounding: all but threads and device."""
        known = asdict(self)
        return {name: value for name, value in known.items() if name not in ("threads", "device")}
