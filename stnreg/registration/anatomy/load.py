"""The anatomy networks from their files: sessions, templates, and how to run them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from stnreg.errors import DataError
from stnreg.images.volume import Volume
from stnreg.models.card import Weights
from stnreg.models.runtime import open_session, run_network
from stnreg.registration.anatomy.encode import AnatomyModel, Encoding, encode, encode_both
from stnreg.registration.anatomy.maps import MapNetwork

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True)
class AnatomyEncoder:
    """Both networks, ready to look at images."""

    model: AnatomyModel

    def encode(self, volume: Volume) -> Encoding:
        """Find pose, structures and brain of one image."""
        return encode(volume.array, volume.grid, self.model)

    def encode_both(self, fixed: Volume, moving: Volume, threads: int) -> tuple[Encoding, Encoding]:
        """Look at two images, at once where there are threads for it."""
        return encode_both((fixed.array, fixed.grid), (moving.array, moving.grid), self.model, threads)


def load(weights: Weights, *, threads: int | None = None, device: str = "auto") -> AnatomyEncoder:
    """Open an anatomy network and the pose network that its sidecar names.

    Raises
    ------
    DataError
        If it is a network of another kind, or a sidecar lacks something.
    """
    pose = weights.pose
    if weights.kind != "anatomy" or pose is None:
        raise DataError(f"{weights.path}: expected an anatomy network with its pose network, got {weights.kind!r}")
    return AnatomyEncoder(AnatomyModel(_network(pose, threads, device), _network(weights, threads, device)))


def _network(weights: Weights, threads: int | None, device: str) -> MapNetwork:
    session = open_session(weights, threads=threads, device=device)
    try:
        template = np.array([[np.nan] * 3 if c is None else c for c in weights.card["template_lps_mm"]], float)
        spread = np.array(weights.card["spread_mm"], float)
        volumes = np.array(weights.card["volumes_mm3"], float) if "volumes_mm3" in weights.card else None
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{weights.path.with_suffix('.json')}: lacks the template of its maps ({error!r})") from error
    x, y, z = reversed(weights.card.get("shape", [weights.size] * 3))
    return MapNetwork(_runner(session, weights), (x, y, z), weights.spacing_mm, template, spread, volumes)


def _runner(session: "InferenceSession", weights: Weights):
    def run(scan: np.ndarray) -> np.ndarray:
        given = {"scan": np.ascontiguousarray(scan, np.float32)[None, None]}
        return run_network(session, weights, given, "maps")[0]

    return run
