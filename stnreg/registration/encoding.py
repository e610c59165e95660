"""What the networks see in one image, kept: an image that many pairs share is read and looked at once."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from stnreg.core.threads import default_threads
from stnreg.errors import UsageProblem
from stnreg.images.inputs import Image, as_volume, take_volume
from stnreg.images.volume import HeaderSource, Volume
from stnreg.models.card import Weights, find
from stnreg.registration.anatomy.encode import Encoding
from stnreg.registration.anatomy.load import AnatomyEncoder
from stnreg.registration.anatomy.load import load as load_encoder

DEFAULT_MODEL = "anatomy"


@dataclass(frozen=True, eq=False)
class Seen:
    """An image that an anatomy network has looked at. `register` takes it in place of the image.

    Attributes
    ----------
    whole : Volume
        As read: all volumes of a series.
    volume : Volume
        What is aligned: `whole`, or one volume of it.
    encoding : Encoding
        Pose, structures and brain.
    model : Weights
        The network that looked.
    """

    whole: Volume
    volume: Volume
    encoding: Encoding
    model: Weights


def look(
    image: Image,
    *,
    model: str = DEFAULT_MODEL,
    header_source: HeaderSource = "auto",
    volume: str | int | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> Seen:
    """Read an image and let an anatomy network look at it, once for many registrations.

    Parameters
    ----------
    image, model, header_source, volume, device, threads
        As `register`.

    Raises
    ------
    DataError
        If the image or the network cannot be used.
    UsageProblem
        If the network is one for pairs, which looks at both images at once.
    """
    weights = find(model)
    if weights.kind != "anatomy":
        raise UsageProblem(f"{weights.name}: looks at both images of a pair at once, so none can be kept")
    networks = open_networks(weights, threads or default_threads(), device)
    whole = as_volume(image, header_source, series=volume is not None)
    chosen = take_volume(whole, volume)
    return Seen(whole, chosen, networks.encode(chosen), weights)


def open_networks(weights: Weights, threads: int, device: str) -> AnatomyEncoder:
    """Open an anatomy network with its pose network; the last two are kept open."""
    return _open(weights.path, weights.identity, threads, device)


@lru_cache(maxsize=2)
def _open(path: Path, identity: str, threads: int, device: str) -> AnatomyEncoder:
    return load_encoder(find(str(path)), threads=threads, device=device)
