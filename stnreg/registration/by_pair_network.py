"""Register a pair with a pair network, whose input is both images, as in the published method; and refine it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stnreg.core.clock import Clock
from stnreg.geometry.affine import invert, nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.models.calibration import PairCalibration
from stnreg.models.card import Weights
from stnreg.models.runtime import open_session
from stnreg.registration.findings import Findings
from stnreg.registration.object_quality import NOT_REFINED, assess_objects
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.pair import ImagePair
from stnreg.registration.pairnet.predict import OpenPass, predict_pair
from stnreg.registration.refine.whole_object import refine_objects
from stnreg.transforms.affine import Affine


@dataclass(frozen=True)
class PairNetworkRegistration:
    """An open pair network.

    Attributes
    ----------
    passes : sequence of OpenPass
        The network, and that of its last pass where it has one.
    limits : PairCalibration or None
        Of the verdict; None for a network without a calibration, whose registrations are not assessed.
    """

    passes: Sequence[OpenPass]
    limits: PairCalibration | None

    def register(self, pair: ImagePair, initial: Matrix | None, options: RegistrationOptions, clock: Clock) -> Findings:
        """Register a pair from an initial transform; by default the centres of both grids are aligned."""
        with clock.stage("network"):
            there = self._estimate(pair, initial, options)
            starts = [there]
            if options.refine and initial is None:
                exchanged = replace(pair, fixed=pair.moving, moving=pair.fixed)
                starts.append(invert(self._estimate(exchanged, None, options)))
        if not options.refine:
            found = nearest_dof(there, pair.fixed.grid.center_lps, options.dof)
            return Findings(Affine(found), found, NOT_REFINED)
        with clock.stage("refine"):
            refined = refine_objects(
                *pair.images_as_read, starts, **pair.masks, dof=options.dof, threads=options.thread_count
            )
        with clock.stage("verdict"):
            verdict = assess_objects(refined, self.limits, options.min_score)
        return Findings(Affine(refined.fixed_to_moving), refined.fixed_to_moving, verdict, refined=refined)

    def _estimate(self, pair: ImagePair, initial: Matrix | None, options: RegistrationOptions) -> Matrix:
        found = predict_pair(pair.fixed, pair.moving, self.passes, initial=initial, threads=options.thread_count)
        return found.fixed_to_moving


class PairNetworkMethod:
    """Networks of the kind `pair`."""

    encodes_alone = False
    refines = True
    deforms = False

    def open(self, weights: Weights, threads: int, device: str, images: int) -> PairNetworkRegistration:
        """Open the network."""
        limits = PairCalibration.from_card(weights.card, weights.path) if "calibration" in weights.card else None
        networks = [weights] if weights.last is None else [weights, weights.last]
        passes = [OpenPass(one, open_session(one, threads=threads, device=device)) for one in networks]
        return PairNetworkRegistration(passes, limits)
