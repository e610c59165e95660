"""Encode an image once and register it many times: `stnreg.encode`."""

from stnreg.core.threads import default_threads
from stnreg.errors import UsageProblem
from stnreg.images.inputs import Image, as_volume, take_volume
from stnreg.images.volume import HeaderSource
from stnreg.models.card import find
from stnreg.registration.anatomy.encoded import EncodedImage
from stnreg.registration.anatomy.load import open_encoder
from stnreg.registration.anatomy.stored import stored_encoding
from stnreg.registration.methods import method_of
from stnreg.registration.options import DEFAULT_MODEL

__all__ = ["EncodedImage", "Seen", "encode", "look"]


def encode(
    image: Image,
    *,
    model: str = DEFAULT_MODEL,
    header_source: HeaderSource = "auto",
    volume: str | int | None = None,
    device: str = "auto",
    threads: int | None = None,
) -> EncodedImage:
    """Read an image and encode it with an anatomy network: its pose, its structures and its brain.

    Parameters
    ----------
    image, model, header_source, volume, device, threads
        As `register` takes them. The encoding of a template that comes with stnreg is not computed, but read.

    Raises
    ------
    DataError
        If the image or the network cannot be used.
    UsageProblem
        If the network is a pair network: its input is both images.
    """
    weights = find(model)
    if not method_of(weights).encodes_alone:
        raise UsageProblem(f"{weights.name}: sees both images of a pair at once, so no image can be encoded alone")
    encoder = open_encoder(weights, threads or default_threads(), device)
    whole = as_volume(image, header_source, series=volume is not None)
    chosen = take_volume(whole, volume)
    stored = stored_encoding(chosen.path, weights)
    return EncodedImage(whole, chosen, stored or encoder.encode(chosen), weights)


look, Seen = encode, EncodedImage
"""The names of `encode` and `EncodedImage` in earlier versions; they stay for scripts that use them."""
