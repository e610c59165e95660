"""What is known of a pair once it is registered."""

from dataclasses import dataclass

from stnreg.geometry.matrix import Matrix
from stnreg.registration.anatomy.encode import Encoding
from stnreg.registration.deformable.stage import Deformation
from stnreg.registration.quality import Verdict
from stnreg.registration.refine.refinement import Refined
from stnreg.transforms.base import Transform

Encodings = tuple[Encoding, Encoding]


@dataclass(frozen=True, eq=False)
class Findings:
    """The transform of a pair, and what each stage found on the way to it.

    Attributes
    ----------
    transform : Transform
        Fixed points to moving points, LPS mm.
    affine : (4, 4) float64
        The linear part, LPS mm: what `transform` is where nothing was deformed.
    verdict : Verdict
        Whether the registration is accepted, and why not.
    encodings : tuple of Encoding, or None
        Of fixed and moving; None from a network that sees both at once.
    refined : Refined or None
        What the refinement did; None where there was none.
    deformation : Deformation or None
        What the deformable stage did; None where there was none.
    """

    transform: Transform
    affine: Matrix
    verdict: Verdict
    encodings: Encodings | None = None
    refined: Refined | None = None
    deformation: Deformation | None = None
