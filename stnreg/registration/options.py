"""What can be asked of a registration: one object for the command line, for batches and for Python."""

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from stnreg.core.threads import default_threads
from stnreg.errors import UsageProblem
from stnreg.images.volume import HeaderSource

Dof = Literal[6, 7, 9, 12]
DEFAULT_MODEL = "anatomy"
MAX_STIFFNESS_MM = 50.0


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
        Initial transform. `auto`: estimated by the network; `header`: the identity, both headers are trusted;
        `geometry`, `moments`: centres of the grids or centres of mass on each other; or a transform file, `inv:` and
        `fsl:` as in a chain. Anatomy networks encode each image alone and need none: theirs is replaced by any other
        than `auto`. Pair networks start from it, `auto` being `geometry`.
    header_source : {"auto", "sform", "qform"}
        Which form of a NIfTI header to use where the two differ; `auto` is the sform, with a warning.
    refine : bool
        Whether to refine the estimate on the intensities inside both brains, as an anatomy network maps them. A pair
        network maps no brain, and its estimate stands.
    deform : bool
        Whether to deform the moving brain onto the fixed one after the affine, by a smooth map without folds. Needs an
        anatomy network.
    stiffness_mm : float
        How far neighbouring tissue moves together: the standard deviation of a Gaussian that the velocity of the
        deformation is smoothed by, mm. 0 leaves it as the network predicts it; larger is smoother and fits less.
    volume : int or "mean", optional
        Which volume of a 4-D image to register by, from 0. Needed where an image has several.
    min_score : float, optional
        Least score at which a registration is accepted, 0 to 1; the network's own, calibrated, when left out.
    device : str
        `auto`, `cpu`, `cuda` or `cuda:N`.
    threads : int, optional
        `stnreg.core.threads.default_threads()` when left out.

    Raises
    ------
    UsageProblem
        If dof is none of these, or the stiffness is out of range or without a deformation.
    """

    dof: int = 12
    model: str = DEFAULT_MODEL
    init: str = "auto"
    header_source: HeaderSource = "auto"
    refine: bool = True
    deform: bool = False
    stiffness_mm: float = 0.0
    volume: str | int | None = None
    min_score: float | None = None
    device: str = "auto"
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.dof not in get_args(Dof):
            raise UsageProblem(f"dof is 6, 7, 9 or 12, got {self.dof}")
        if not 0 <= self.stiffness_mm <= MAX_STIFFNESS_MM:
            raise UsageProblem(f"stiffness is 0 to {MAX_STIFFNESS_MM:g} mm, got {self.stiffness_mm:g}")

        if self.stiffness_mm and not self.deform:
            raise UsageProblem("a stiffness is that of a deformation, which was not asked for: add --deform")

    @property
    def thread_count(self) -> int:
        """Threads to use."""
        return self.threads or default_threads()

    @property
    def outcome(self) -> dict[str, Any]:
        """The options that a result depends on beyond its last digits: all but threads and device."""
        known = asdict(self)
        return {name: value for name, value in known.items() if name not in ("threads", "device")}
