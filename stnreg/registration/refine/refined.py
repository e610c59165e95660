"""The result of a refinement."""

from dataclasses import dataclass

from stnreg.geometry.matrix import Matrix
from stnreg.registration.refine.mirror import is_mirrored

CORRELATION, INFORMATION = "local correlation", "mutual information"
SIMULATED = "local correlation with a simulated image"


@dataclass(frozen=True)
class Refined:
    """The result of a refinement.

    Parameters
    ----------
    fixed_to_moving : (4, 4) float64
        LPS mm, of `dof` degrees of freedom to rounding.
    improved : bool
        Whether the cost is lower than at the initial transform; otherwise the initial transform is kept.
    dof : int
        Degrees of freedom of the result: fewer than requested if the overlap or the images do not support them.
    same_person, same_contrast : bool
        Whether both images show the same person, and in the same contrast.
    local_correlation, start_correlation : float
        Inside the brain at the finest level, after and before; 0 to 1.
    overlap : float
        Fraction of the samples inside the other image; the smaller of both directions.
    residual : float
        Median absolute residual, in local standard deviations; the larger of both directions.
    motion_mm : float
        Root mean square displacement of the brain from the initial transform.
    mirror_gain : float or None
        Gain in local correlation of the mirrored moving image (`stnreg.registration.refine.mirror`); None if not
        checked.
    steps : tuple of int
        Iterations per level, coarse to fine.
    timings_s : dict
        Wall time of building the levels and of the iterations, seconds.
    notes : tuple of str
        Notes for the user.
    similarity : str
        What was maximised: `CORRELATION`; `SIMULATED` for one head in a sharp and a blurred image; or `INFORMATION` for
        one in two contrasts that share few edges.
    there_and_back_mm : float or None
        How far the refined estimate and the one for the images exchanged are apart; None where there is one estimate.
    """

    fixed_to_moving: Matrix
    improved: bool
    dof: int
    same_person: bool
    same_contrast: bool
    local_correlation: float
    start_correlation: float
    overlap: float
    residual: float
    motion_mm: float
    mirror_gain: float | None
    steps: tuple[int, ...]
    timings_s: dict[str, float]
    notes: tuple[str, ...] = ()
    similarity: str = CORRELATION
    there_and_back_mm: float | None = None

    @property
    def mirrored(self) -> bool:
        """Whether the mirrored moving image fits clearly better."""
        return self.mirror_gain is not None and is_mirrored(self.mirror_gain)
