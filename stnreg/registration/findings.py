"""What is known of a pair once it is registered."""

from dataclasses import dataclass

from stnreg.geometry.matrix import Matrix
from stnreg.registration.anatomy.encode import Encoding
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
    verdict : Verdict
        Whether the registration is accepted, and why not.
    encodings : tuple of Encoding, or None
        Of fixed and moving; None from a network that sees both at once.
    refined : Refined or None
        What the refinement did; None where there was none.
    """

    transform: Transform
    verdict: Verdict
    encodings: Encodings | None = None
    refined: Refined | None = None

    @property
    def fixed_to_moving(self) -> Matrix:
        """The affine, (4, 4) float64, LPS mm."""
        matrix = self.transform.matrix
        assert matrix is not None
        return matrix
