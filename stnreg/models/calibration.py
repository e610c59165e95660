"""Numbers that belong to one network: thresholds that were measured with it, and stand in its sidecar.

Another network finds structures more or less exactly, so its thresholds are others. `stnreg calibrate` measures them
and writes them into the sidecar as `calibration`. The defaults here are for encodings that no network made, as in
tests: a network without a calibration is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Self

from stnreg.errors import DataError


@dataclass(frozen=True)
class _FromCard:
    @classmethod
    def from_card(cls, card: Mapping[str, Any], where: object) -> Self:
        """Read the block `calibration` of a sidecar.

        Parameters
        ----------
        card : mapping
            The sidecar.
        where : object
            Its path, for messages.

        Raises
        ------
        DataError
            If the block is missing, or a number in it is.
        """
        block = card.get("calibration")
        if not isinstance(block, Mapping):
            raise DataError(f"{where}: has no calibration; measure it with `stnreg calibrate` on this network")
        try:
            return cls(**{field.name: float(block[field.name]) for field in fields(cls)})
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{where}: its calibration is incomplete ({error!r}); measure it again") from error


@dataclass(frozen=True)
class PoseCalibration(_FromCard):
    """Of the network that finds the head in a cube.

    Attributes
    ----------
    accept_mm : float
        A pose whose structures fit the template's to this (`fit_residual_mm`) is accepted without further search.
    clear_mm : float
        The same for a head far from the middle of the cube: whole heads leave about 2 mm.
    upright_deg, center_mm : float
        A head turned by more than this, or further from the middle of the cube, is encoded again, upright and centred.
    same_pose_mm : float
        Poses nearer to each other than this lead to the same place.
    """

    accept_mm: float = 4.5
    clear_mm: float = 2.5
    upright_deg: float = 20.0
    center_mm: float = 25.0
    same_pose_mm: float = 12.0


@dataclass(frozen=True)
class Calibration(_FromCard):
    """Of the network that maps structures in the upright brain.

    Attributes
    ----------
    accept_mm : float
        An encoding whose structures fit the template's to this (`fit_residual_mm`) ends the search for a pose.
    repeat_mm : float
        The brain is encoded again where the first time moved it by more than this.
    min_score : float
        Least agreement of the structures of both images for a registration to be accepted, 0 to 1.
    max_residual_mm : float
        Structures that lie further than this (root mean square) from where a head has them are not those of a head.
    min_common_share : float
        Least part of one brain that must be in view in the other image: a few structures can agree by chance.
    min_correlation : float
        Least local correlation that refinement must find inside the brain, 0 to 1.
    min_partial_correlation : float
        The same where part of a brain is out of view.
    whole_head_error_mm : float
        Structures of two whole heads determine an affine to less than this standard error over the brain; above it,
        part of the brain is extrapolated.
    """

    accept_mm: float = 4.0
    repeat_mm: float = 8.0
    min_score: float = 0.72
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
    """

    max_log_jacobian_sd: float = 0.6
    min_agreement: float = 0.7
    min_gain: float = 0.0
