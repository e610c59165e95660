"""Register a pair with a pair network, whose input is both images, as in the published method."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from stnreg.core.clock import Clock
from stnreg.geometry.affine import nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.models.card import Weights
from stnreg.models.runtime import open_session
from stnreg.registration.findings import Findings
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.pair import ImagePair
from stnreg.registration.pairnet.predict import predict_pair
from stnreg.registration.quality import NOT_ASSESSED
from stnreg.transforms.affine import Affine

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True)
class PairNetworkRegistration:
    """An open pair network."""

    weights: Weights
    session: "InferenceSession"

    def register(self, pair: ImagePair, initial: Matrix | None, options: RegistrationOptions, clock: Clock) -> Findings:
        """Register a pair from an initial transform; by default the centres of both grids are aligned."""
        with clock.stage("network"):
            estimate = predict_pair(
                pair.fixed, pair.moving, self.weights, self.session, initial=initial, threads=options.thread_count
            )
        fixed_to_moving = nearest_dof(estimate.fixed_to_moving, pair.fixed.grid.center_lps, options.dof)
        return Findings(Affine(fixed_to_moving), fixed_to_moving, NOT_ASSESSED)


class PairNetworkMethod:
    """Networks of the kind `pair`."""

    encodes_alone = False
    refines = False
    deforms = False

    def open(self, weights: Weights, threads: int, device: str, images: int) -> PairNetworkRegistration:
        """Open the network."""
        return PairNetworkRegistration(weights, open_session(weights, threads=threads, device=device))
