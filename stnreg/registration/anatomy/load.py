"""Load the anatomy networks: sessions, templates, calibrations."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from stnreg.core.clock import NO_DEADLINE, Deadline
from stnreg.errors import DataError
from stnreg.images.volume import Volume
from stnreg.models.calibration import Calibration, PoseCalibration
from stnreg.models.card import Weights, find
from stnreg.models.runtime import open_session, run_network
from stnreg.preprocessing.conditioning import conditioned
from stnreg.registration.anatomy.encode import encode_both, encode_means
from stnreg.registration.anatomy.encoding import AnatomyModel, Encoding
from stnreg.registration.anatomy.maps import MapNetwork, PoseNetwork
from stnreg.resampling.block_mean import BlockMeans

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@dataclass(frozen=True)
class AnatomyEncoder:
    """Both anatomy networks, open."""

    model: AnatomyModel

    def encode(self, volume: Volume) -> Encoding:
        """Encode one image as it was read."""
        return self.encode_image(_means(volume))

    def encode_image(self, means: BlockMeans, deadline: Deadline = NO_DEADLINE) -> Encoding:
        """Encode one image that is `conditioned`."""
        return encode_means(means, self.model, deadline)

    def encode_both(self, fixed: Volume, moving: Volume, threads: int) -> tuple[Encoding, Encoding]:
        """Encode two images as they were read, in parallel if there are at least two threads."""
        return self.encode_images(_means(fixed), _means(moving), threads)

    def encode_images(
        self, fixed: BlockMeans, moving: BlockMeans, threads: int, deadline: Deadline = NO_DEADLINE
    ) -> tuple[Encoding, Encoding]:
        """Encode two images that are `conditioned`, in parallel if there are at least two threads."""
        return encode_both(fixed, moving, self.model, threads, deadline)


def _means(volume: Volume) -> BlockMeans:
    return BlockMeans(*conditioned((volume.array, volume.grid)))


def open_encoder(weights: Weights, threads: int, device: str) -> AnatomyEncoder:
    """Open an anatomy network with its pose network; the two most recent are cached."""
    return _kept_open(weights.path, weights.identity, threads, device)


@lru_cache(maxsize=2)
def _kept_open(path: Path, identity: str, threads: int, device: str) -> AnatomyEncoder:
    return load(find(str(path)), threads=threads, device=device)


def load(
    weights: Weights, *, threads: int | None = None, device: str = "auto", calibrated: bool = True
) -> AnatomyEncoder:
    """Open an anatomy network and the pose network that its sidecar names.

    Parameters
    ----------
    weights : Weights
    threads, device
        As `open_session` takes them.
    calibrated : bool
        Whether a network without a calibration is an error; otherwise the default thresholds are used, and all
        structures have equal weights.

    Raises
    ------
    DataError
        If the network is of another kind, or a sidecar is incomplete.
    """
    pose = weights.pose
    if weights.kind != "anatomy" or pose is None:
        raise DataError(f"{weights.path}: expected an anatomy network with its pose network, got {weights.kind!r}")
    finds_pose, finds_structures = (_network(one, threads, device, calibrated=calibrated) for one in (pose, weights))
    return AnatomyEncoder(
        AnatomyModel(
            PoseNetwork(**finds_pose, pose_calibration=_limits(pose, PoseCalibration, calibrated)),
            MapNetwork(**finds_structures, calibration=_limits(weights, Calibration, calibrated)),
        )
    )


def _limits(weights: Weights, kind: Any, calibrated: bool) -> Any:
    if not calibrated and "calibration" not in weights.card:
        return kind()
    return kind.from_card(weights.card, weights.path.with_suffix(".json"))


def check_calibration(weights: Weights) -> None:
    """Check that a sidecar holds all that is measured after training; networks of other kinds need nothing.

    Raises
    ------
    DataError
        If something is missing; the message names `stnreg calibrate`.
    """
    where = weights.path.with_suffix(".json")
    if weights.kind == "anatomy-pose":
        PoseCalibration.from_card(weights.card, where)
    if weights.kind == "anatomy":
        Calibration.from_card(weights.card, where)
        _spread_mm(weights, calibrated=True)


def _spread_mm(weights: Weights, *, calibrated: bool) -> np.ndarray:
    """Return how far each centroid lies off, mm; all count the same in a pose network, and before a calibration."""
    if weights.kind == "anatomy" and "spread_mm" not in weights.card and calibrated:
        raise DataError(
            f"{weights.path.with_suffix('.json')}: has no spread_mm, how far its centroids lie off; measure it with "
            "`stnreg calibrate` on this network"
        )
    return np.array(weights.card.get("spread_mm", [1.0] * len(weights.card["template_lps_mm"])), float)


def _network(weights: Weights, threads: int | None, device: str, *, calibrated: bool) -> dict[str, Any]:
    """Return the arguments of a `MapNetwork`, without its calibration."""
    session = open_session(weights, threads=threads, device=device)
    try:
        template = np.array([[np.nan] * 3 if c is None else c for c in weights.card["template_lps_mm"]], float)
        spread = _spread_mm(weights, calibrated=calibrated)
        volumes = np.array(weights.card["volumes_mm3"], float) if "volumes_mm3" in weights.card else None
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{weights.path.with_suffix('.json')}: lacks the template of its maps ({error!r})") from error
    return {
        "run": _runner(session, weights),
        "size": tuple(reversed(weights.card.get("shape", [weights.size] * 3))),
        "spacing_mm": weights.spacing_mm,
        "template": template,
        "spread_mm": spread,
        "volumes_mm3": volumes,
    }


def _runner(session: "InferenceSession", weights: Weights) -> Callable[[np.ndarray], np.ndarray]:
    def run(scan: np.ndarray) -> np.ndarray:
        inputs = {"scan": np.ascontiguousarray(scan, np.float32)[None, None]}
        return run_network(session, weights, inputs, "maps")[0]

    return run
