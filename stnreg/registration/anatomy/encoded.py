"""An image with its encoding, for many pairs."""

from dataclasses import dataclass

from stnreg.images.volume import Volume
from stnreg.models.card import Weights
from stnreg.registration.anatomy.encoding import Encoding


@dataclass(frozen=True, eq=False)
class EncodedImage:
    """An image and its encoding. `register` accepts it in place of the image.

    Attributes
    ----------
    whole : Volume
        As read: all volumes of a series.
    volume : Volume
        The volume that is registered: `whole`, or one volume of it.
    encoding : Encoding
        Pose, structures and brain mask.
    model : Weights
        The network that encoded it.
    """

    whole: Volume
    volume: Volume
    encoding: Encoding
    model: Weights
