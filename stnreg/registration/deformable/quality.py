"""Quality assessment of a deformation: folds, strain, and whether it brought structures together."""

from collections.abc import Iterator

from stnreg.models.calibration import DeformationLimits
from stnreg.registration.deformable.stage import Deformation
from stnreg.registration.quality import Verdict


def assess_deformation(affine: Verdict, deformation: Deformation, limits: DeformationLimits) -> Verdict:
    """Assess a registration whose affine was assessed before: rejected where the affine is, or the deformation fails.

    Parameters
    ----------
    affine : Verdict
        Its score stays the registration's.
    deformation : Deformation
    limits : DeformationLimits
        Of the network that predicted the deformation.
    """
    reasons = (*affine.reasons, *_reasons(deformation, limits))
    return Verdict(bool(affine.passed) and len(reasons) == len(affine.reasons), affine.score, reasons)


def _reasons(deformation: Deformation, limits: DeformationLimits) -> Iterator[str]:
    if folds := max(deformation.folds_central, deformation.folds_digital):
        yield f"the deformation folds at {folds} voxels; a larger stiffness makes it smoother"
    if not deformation.log_jacobian_sd <= limits.max_log_jacobian_sd:
        yield (
            f"the deformation stretches the brain by more than two heads differ: the standard deviation of log J is "
            f"{deformation.log_jacobian_sd:.3f}, at most {limits.max_log_jacobian_sd:.3f} is accepted"
        )
    if not deformation.agreement_before >= limits.min_agreement_before:
        yield (
            f"the affine leaves the structures too far apart to be sure of a deformation: they agree by "
            f"{deformation.agreement_before:.3f} under it; at least {limits.min_agreement_before:.3f} is accepted"
        )
    if not deformation.agreement_after >= limits.min_agreement:
        yield (
            f"after the deformation the structures of both images agree by {deformation.agreement_after:.3f}; at least "
            f"{limits.min_agreement:.3f} is accepted"
        )
    if not deformation.agreement_after - deformation.agreement_before >= limits.min_gain:
        yield (
            f"the deformation did not bring the structures together: they agree by {deformation.agreement_after:.3f}, "
            f"and by {deformation.agreement_before:.3f} before it"
        )
