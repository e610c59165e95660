"""The registry of methods: each kind of network, and how it registers a pair."""

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


class OpenNetwork(Protocol):
    """An open network."""

    def register(self, pair: ImagePair, initial: Matrix | None, options: RegistrationOptions, clock: Clock) -> Findings:
        """Register a pair; `initial` is a fixed_to_moving, (4, 4) LPS mm; None to estimate it with the network."""


class Method(Protocol):
    """How one kind of network registers a pair.

    Attributes
    ----------
    encodes_alone : bool
        Whether each image is encoded by itself, so that an encoding serves many pairs.
    refines : bool
        Whether its estimate can be refined. Masks are used in the refinement only.
    deforms : bool
        Whether a deformation can follow.
    """

    encodes_alone: bool
    refines: bool
    deforms: bool

    def open(self, weights: Weights, threads: int, device: str, images: int) -> OpenNetwork:
        """Open a network that will encode `images` images at a time."""


METHODS: dict[str, Method] = {"anatomy": AnatomyMethod(), "pair": PairNetworkMethod()}


def method_of(weights: Weights) -> Method:
    """Return the method of a network.

    Raises
    ------
    DataError
        If no method is registered for its kind.
    """
    if weights.kind not in METHODS:
        known = ", ".join(METHODS)
        raise DataError(f"{weights.path}: is a network of the kind {weights.kind!r}; pairs are registered with {known}")
    return METHODS[weights.kind]
