"""The registry: for each kind of network, how a pair is registered with it."""

from typing import Protocol

from stnreg.core.clock import Clock
from stnreg.errors import DataError
from stnreg.geometry.matrix import Matrix
from stnreg.models.card import Weights
from stnreg.registration.by_anatomy import AnatomyMethod
from stnreg.registration.by_pair_network import PairNetworkMethod
from stnreg.registration.findings import Findings
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.pair import ImagePair


class Opened(Protocol):
    """A network that is ready to register pairs."""

    def register(self, pair: ImagePair, initial: Matrix | None, options: RegistrationOptions, clock: Clock) -> Findings:
        """Register a pair; `initial` is a fixed_to_moving, (4, 4) LPS mm, None where the network is to estimate it."""


class Method(Protocol):
    """How one kind of network registers a pair.

    Attributes
    ----------
    encodes_alone : bool
        Whether each image is encoded by itself, so that an encoding serves many pairs.
    refines : bool
        Whether its estimate can be refined, and masks have a meaning.
    deforms : bool
        Whether a deformation can follow.
    """

    encodes_alone: bool
    refines: bool
    deforms: bool

    def open(self, weights: Weights, threads: int, device: str, images: int) -> Opened:
        """Open a network that will have so many `images` to encode at once."""


METHODS: dict[str, Method] = {"anatomy": AnatomyMethod(), "pair": PairNetworkMethod()}


def method_of(weights: Weights) -> Method:
    """Return how pairs are registered with a network.

    Raises
    ------
    DataError
        If it is of a kind that registers no pairs.
    """
    if weights.kind not in METHODS:
        known = ", ".join(METHODS)
        raise DataError(f"{weights.path}: is a network of the kind {weights.kind!r}; pairs are registered with {known}")
    return METHODS[weights.kind]
