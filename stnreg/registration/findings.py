"""The result of the stages of a registration."""

from dataclasses import dataclass

from stnreg.geometry.matrix import Matrix
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.deformable.stage import Deformation
from stnreg.registration.quality import Verdict
from stnreg.registration.refine.refined import Refined
from stnreg.transforms.base import Transform

Encodings = tuple[Encoding, Encoding]


@dataclass(frozen=True, eq=False)
class Findings:
    """The transform of a pair, and the results of each stage.

    Attributes
    ----------
    transform : Transform
        Fixed points to moving points, LPS mm.
    affine : (4, 4) float64
        The linear part, LPS mm: what `transform` is where nothing was deformed.
    verdict : Verdict
        Whether the registration is accepted, and the reasons if not.
    encodings : tuple of Encoding, or None
        Of fixed and moving; None for a pair network.
    refined : Refined or None
        The result of the refinement; None without refinement.
    deformation : Deformation or None
        The result of the deformable stage; None without deformation.
    """

    transform: Transform
    affine: Matrix
    verdict: Verdict
    encodings: Encodings | None = None
    refined: Refined | None = None
    deformation: Deformation | None = None
