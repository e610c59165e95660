"""Encode the templates that come with stnreg with the default network, and keep the encodings beside them.

    python templates/encode.py           writes templates/*_anatomy.npz
    python templates/encode.py --check   exits 1 if they are not what the network in weights/ gives

Run it after the network `anatomy` was trained again. Until then stnreg encodes a template like any other image.
"""

import sys
from pathlib import Path

import numpy as np

from stnreg.images.templates import is_shipped, templates_here
from stnreg.images.volume import load_volume
from stnreg.models.card import Weights, find
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.anatomy.load import open_encoder
from stnreg.registration.anatomy.stored import file_of, save_encoding, stored_encoding
from stnreg.registration.options import DEFAULT_MODEL

TOLERANCE = 1e-3
"""Of the maps: other processors compute other last digits."""


def is_kept(image: Path, fresh: Encoding, weights: Weights) -> bool:
    """Tell whether the stored encoding is the one that the network gives today."""
    kept = stored_encoding(image, weights)
    return kept is not None and bool(np.abs(kept.maps - fresh.maps).max() < TOLERANCE)


def main() -> int:
    """Write the encodings, or say which are stale."""
    weights, is_stale = find(DEFAULT_MODEL), False
    encoder = open_encoder(weights, 1, "cpu")
    for path in (one.path for one in templates_here() if is_shipped(one.path)):
        fresh = encoder.encode(load_volume(path))
        if "--check" not in sys.argv[1:]:
            save_encoding(file_of(path), fresh, weights)
            print(f"{file_of(path).name}: {file_of(path).stat().st_size / 1000:.0f} kB")
        elif not is_kept(path, fresh, weights):
            print(f"{file_of(path).name} is stale: run `python templates/encode.py`", file=sys.stderr)
            is_stale = True
    return is_stale


if __name__ == "__main__":
    sys.exit(main())
