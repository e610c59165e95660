"""Calibration: thresholds that were measured with a network and are stored in its sidecar.

They depend on the accuracy of the network. `stnreg calibrate` measures them and writes them into the sidecar as
`calibration`. A network without a calibration is an error. The defaults here are for encodings without a network, as in
tests.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Self

from stnreg.errors import DataError


@dataclass(frozen=True)
class _FromCard:
    later: ClassVar[tuple[str, ...]] = ()
    """Names that sidecars of earlier versions lack; their default then holds."""

    @classmethod
    def from_card(cls, card: Mapping[str, Any], where: object) -> Self:
        """Read the block `calibration` of a sidecar.

        Parameters
        ----------
        card : mapping
            The sidecar.
        where : object
            Its path, for error messages.

        Raises
        ------
        DataError
            If the block or one of its numbers is missing.
        """
        block = card.get("calibration")
        if not isinstance(block, Mapping):
            raise DataError(f"{where}: has no calibration; measure it with `stnreg calibrate` on this network")
        try:
            given = {**{name: getattr(cls, name) for name in cls.later}, **block}
            return cls(**{field.name: float(given[field.name]) for field in fields(cls)})
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{where}: its calibration is incomplete ({error!r}); measure it again") from error


@dataclass(frozen=True)
class PoseCalibration(_FromCard):
    """Calibration of the pose network.

    Attributes
    ----------
    accept_mm : float
        A pose with a `fit_residual_mm` of at most this is accepted without further search.
    clear_mm : float
        The same for a head that is turned or far from the centre of the cube. Whole heads have about 2 mm.
    upright_deg, center_mm : float
        A head rotated by more than this, or further from the centre of the cube, is encoded again, upright and centred,
        unless its structures fit clearly.
    same_pose_mm : float
        Poses closer than this are treated as one.
    no_head_ml : float
        An image in which the volume of the structures times their sharpness is at most this, in each of the first
        rotations, shows no head.
    """

    later: ClassVar[tuple[str, ...]] = ("no_head_ml",)

    accept_mm: float = 4.5
    clear_mm: float = 2.5
    upright_deg: float = 20.0
    center_mm: float = 25.0
    same_pose_mm: float = 12.0
    no_head_ml: float = 0.0


@dataclass(frozen=True)
class Calibration(_FromCard):
    """Calibration of the fine network, which maps structures in the upright brain.

    Attributes
    ----------
    accept_mm : float
        An encoding with a `fit_residual_mm` of at most this ends the search for a pose.
    repeat_mm : float
        The brain is encoded again if its pose changed by more than this.
    min_score : float
        Minimum agreement of the structures of both images for an accepted registration, 0 to 1.
    min_one_person_score : float
        The same where the intensities show one person: then they say that the transform is right, and structures that
        agree less (a tumour, large ventricles, a slab) do not speak against it.
    max_stretch : float
        Largest ratio of the largest to the smallest singular value of the affine between two people's heads. Beyond it
        lie other animals.
    max_residual_mm : float
        Maximum root mean square residual of the fit to the template. Above it the image is taken as no head.
    min_common_share : float
        Minimum ratio of the brain volumes in the two fields of view: a few structures can agree by chance.
    min_correlation : float
        Minimum local correlation inside the brain after refinement, 0 to 1.
    min_partial_correlation : float
        The same if part of a brain is outside the field of view.
    whole_head_error_mm : float
        Upper limit of the affine standard error for two whole heads. Above it, part of the brain is extrapolated.
    """

    later: ClassVar[tuple[str, ...]] = ("min_one_person_score", "max_stretch")

    accept_mm: float = 4.0
    repeat_mm: float = 8.0
    min_score: float = 0.72
    min_one_person_score: float = 0.4
    max_stretch: float = 1.65
    max_residual_mm: float = 9.0
    min_common_share: float = 0.2
    min_correlation: float = 0.3
    min_partial_correlation: float = 0.5
    whole_head_error_mm: float = 1.3


@dataclass(frozen=True)
class DeformationLimits(_FromCard):
    """Of a velocity network: where a deformation is rejected.

    Attributes
    ----------
    max_log_jacobian_sd : float
        Largest standard deviation of log J inside the brain: heads differ by less.
    min_agreement : float
        Least agreement of the structures of both images after the deformation, 0 to 1.
    min_gain : float
        Least growth of that agreement over the affine's; a deformation that does not bring structures together failed.
    min_agreement_before : float
        Least of that agreement under the affine alone. Farther from each other, heads may be drawn together smoothly
        and wrongly, which no figure of the deformation itself tells.
    """

    later: ClassVar[tuple[str, ...]] = ("min_agreement_before",)

    max_log_jacobian_sd: float = 0.6
    min_agreement: float = 0.7
    min_gain: float = 0.0
    min_agreement_before: float = 0.0


@dataclass(frozen=True)
class PairCalibration(_FromCard):
    """Of a pair network: where a refined registration is rejected. All of it is measured on the intensities.

    Attributes
    ----------
    min_correlation : float
        Least local correlation inside both objects, 0 to 1.
    min_overlap : float
        Least fraction of an object inside the other image; the smaller of both directions.
    max_there_and_back_mm : float
        Largest distance between the estimate and that for the images exchanged, each refined. Two images of one object
        are accepted whatever it is: their correlation says enough.
    """

    min_correlation: float = 0.3
    min_overlap: float = 0.3
    max_there_and_back_mm: float = 5.0
