"""Register a pair with an anatomy network: encode both images, estimate, refine, assess, retry other poses."""

from dataclasses import dataclass, replace

from stnreg.core.clock import Clock, Deadline
from stnreg.core.itk import load_itk
from stnreg.geometry.matrix import Matrix
from stnreg.models.card import Weights
from stnreg.registration.affine import register_affine
from stnreg.registration.anatomy.encode import threads_of_each
from stnreg.registration.anatomy.load import AnatomyEncoder, open_encoder
from stnreg.registration.deformable.quality import assess_deformation
from stnreg.registration.deformable.stage import Deform
from stnreg.registration.deformable.velocity import find_velocity_network
from stnreg.registration.findings import Encodings, Findings
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.pair import ImagePair
from stnreg.registration.pose_retry import register_with_retry
from stnreg.registration.refine.refined import INFORMATION, Refined
from stnreg.registration.stages import run_stage

VELOCITY_MODEL = "velocity"


@dataclass(frozen=True)
class AnatomyRegistration:
    """An open anatomy network."""

    encoder: AnatomyEncoder

    def register(self, pair: ImagePair, initial: Matrix | None, options: RegistrationOptions, clock: Clock) -> Findings:
        """Register a pair; images that are encoded already are not encoded again."""
        deadline = Deadline(options.max_seconds)
        with clock.stage("network"):
            encodings = self._encode(pair, options.thread_count, deadline)
        if not all(encoding.has_head for encoding in encodings):  # rejected, with no more work
            return register_affine(pair, encodings, initial, replace(options, refine=False), clock)
        found = register_with_retry(pair, encodings, self.encoder.model, initial, options, clock, deadline)
        return self._deformed(pair, found, options, clock) if options.deform else found

    def _deformed(self, pair: ImagePair, found: Findings, options: RegistrationOptions, clock: Clock) -> Findings:
        """Deform what an affine has brought together, and assess it once more."""
        assert found.encodings is not None
        network = find_velocity_network(VELOCITY_MODEL, options.thread_count, options.device)
        one_person = found.refined is not None and shows_one_person(found.refined)
        stage = Deform(
            found.encodings,
            self.encoder.model.fine,
            network,
            options.stiffness_of(one_person=one_person),
            options.thread_count,
            one_person,
        )
        deformed = run_stage(stage, pair, found.transform, clock)
        verdict = assess_deformation(found.verdict, deformed.findings, network.limits)
        return replace(found, transform=deformed.transform, deformation=deformed.findings, verdict=verdict)

    def _encode(self, pair: ImagePair, threads: int, deadline: Deadline) -> Encodings:
        fixed, moving = pair.fixed_encoded, pair.moving_encoded
        if fixed is None and moving is None:
            return self.encoder.encode_images(*pair.means, threads, deadline)
        return (
            self.encoder.encode_image(pair.means[0], deadline) if fixed is None else fixed.encoding,
            self.encoder.encode_image(pair.means[1], deadline) if moving is None else moving.encoding,
        )


def shows_one_person(refined: Refined) -> bool:
    """Return whether the local correlation shows one person, whose deformation then follows the intensities alone.

    Mutual information takes some pairs of two people in two contrasts for one, and where it is needed the local
    correlation leads nowhere: the network knows more.
    """
    return refined.same_person and refined.similarity != INFORMATION


class AnatomyMethod:
    """Networks of the kind `anatomy`, which encode each image alone."""

    encodes_alone = True
    refines = True
    deforms = True

    def open(self, weights: Weights, threads: int, device: str, images: int) -> AnatomyRegistration:
        """Open the network and its pose network; `threads` are divided among the images."""
        encoder = open_encoder(weights, threads_of_each(threads, images), device)
        load_itk()  # resamples the input of the networks; images are read meanwhile
        return AnatomyRegistration(encoder)
