"""The related methods of `benchmarks.paper.related`, images in memory: what each network sees, and the map it gives."""

import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np

from benchmarks.deformable.methods import Found
from stnreg.geometry.affine import compose, invert
from stnreg.geometry.grid import ArrayOnGrid
from stnreg.images.volume import Volume
from stnreg.models.card import find
from stnreg.models.runtime import open_session, run_network
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.anatomy.load import AnatomyEncoder, load
from stnreg.registration.deformable.appearance import appearance
from stnreg.registration.deformable.frame import Frame, box, frame_between, frame_to_head
from stnreg.registration.options import DEFAULT_MODEL
from stnreg.registration.refine.region import Region
from stnreg.transforms.affine import Affine
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField

Array = np.ndarray
FOLDER = Path(__file__).parents[2] / "weights/related"
OURS = "stnreg"
NETWORKS = ("linear-deformable", "dual-guided", "bspline", "bspline-unbounded", "bspline-penalty")
METHODS = (OURS, *NETWORKS)


@dataclass(frozen=True, eq=False)
class Prepared:
    """A pair, and what every method may start from.

    Attributes
    ----------
    fixed, moving : Volume
    encodings : tuple of Encoding
        Of fixed and moving.
    affine : (4, 4) float64
        Of `stnreg register`, fixed to moving, LPS mm.
    encode_s, affine_s : float
        Processor seconds of either; the affine encodes for itself.
    """

    fixed: Volume
    moving: Volume
    encodings: tuple[Encoding, Encoding]
    affine: Array
    encode_s: float
    affine_s: float


@cache
def encoder() -> AnatomyEncoder:
    """Return the default anatomy network."""
    return load(find(DEFAULT_MODEL), threads=1, device="cpu")


def prepare(fixed: ArrayOnGrid, moving: ArrayOnGrid) -> Prepared:
    """Encode two images, and register them by an affine."""
    import stnreg

    volumes = Volume(*fixed), Volume(*moving)
    heads = encoder()
    began = time.process_time()
    encodings = heads.encode_both(*volumes, 1)
    encoded = time.process_time()
    affine = stnreg.register(*volumes, device="cpu", threads=1).fixed_to_moving
    return Prepared(*volumes, encodings, affine, encoded - began, time.process_time() - encoded)


def run(method: str, pair: Prepared) -> tuple[Found, float, str]:
    """Return what a method finds, its processor seconds from images to map, and the SHA-256 of its network."""
    return _ours(pair) if method == OURS else _related(method, pair)


def _ours(pair: Prepared) -> tuple[Found, float, str]:
    import stnreg

    began = time.process_time()
    found = stnreg.register(pair.fixed, pair.moving, deform=True, device="cpu", threads=1)
    seconds = time.process_time() - began
    return Found(found.warp, found.fixed_to_moving), seconds, find("velocity").sha256


def _related(method: str, pair: Prepared) -> tuple[Found, float, str]:
    weights = find(str(FOLDER / f"{method}.onnx"))
    session = _session(method)
    began = time.process_time()
    centred = weights.card["start"] == "centred"
    frame = centred_frame(pair.encodings) if centred else upright_frame(pair)
    z, y, x = weights.card["shape"]
    spacing_mm = weights.spacing_mm
    fine = box((2 * z, 2 * y, 2 * x), spacing_mm / 2)
    images = []
    for volume, encoding, to_image in zip(
        (pair.fixed, pair.moving), pair.encodings, (frame.to_fixed, frame.to_moving), strict=True
    ):
        region = Region((encoding.brain, encoding.maps_grid))
        seen = appearance((volume.array, volume.grid), region, to_image, fine, 1).image
        images.append(seen.reshape(z, 2, y, 2, x, 2).mean((1, 3, 5)))
    given = {"pair": np.stack(images)[None].astype(np.float32)}
    vectors = run_network(session, weights, given, "displacement")[0]
    field = DisplacementField(vectors, box((z, y, x), spacing_mm))
    affine = compose(frame.to_moving, invert(frame.to_fixed))
    whole = Chain((Affine(invert(frame.to_fixed)), field, Affine(frame.to_moving), Affine(invert(affine))))
    found = Found(whole.to_displacement(pair.fixed.grid), affine)
    seconds = time.process_time() - began
    return found, seconds + (pair.encode_s if centred else pair.affine_s), weights.sha256


@cache
def _session(method: str):
    return open_session(find(str(FOLDER / f"{method}.onnx")), threads=1, device="cpu")


def upright_frame(pair: Prepared) -> Frame:
    """Return the frame halfway between two heads that an affine has brought together, as `stnreg register` does."""
    network = encoder().model.fine
    a, b = (frame_to_head(encoding, network) for encoding in pair.encodings)
    return frame_between(a, b, pair.affine)


def centred_frame(encodings: tuple[Encoding, Encoding]) -> Frame:
    """Return a frame on the axes of the scanner, in which the middles of both brains lie at the origin."""
    network = encoder().model.fine
    middles = []
    for encoding in encodings:
        to_head = np.eye(4)
        to_head[:3, 3] = frame_to_head(encoding, network)[:3, 3]
        middles.append(to_head)
    return Frame(*middles)
