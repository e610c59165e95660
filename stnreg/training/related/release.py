"""What an exported network of a related method carries beside its weights."""

from typing import Any

from torch import nn

from stnreg.networks.bspline import BSplineNet
from stnreg.networks.dual_guided import DualGuidedNet
from stnreg.networks.linear_deformable import LinearDeformableNet
from stnreg.training.config import merge
from stnreg.training.related.settings import PRESETS
from stnreg.training.released import Released

OPSET = 20  # the first with GridSample in three dimensions
TOLERANCE = 2e-3  # of the output's own size: a chain of resamplings, each rounded a little
NETWORKS: dict[str, type[nn.Module]] = {
    "linear-deformable": LinearDeformableNet,
    "dual-guided": DualGuidedNet,
    "bspline": BSplineNet,
}
STARTS = {"linear-deformable": "centred", "dual-guided": "affine", "bspline": "affine"}


def related_network(model: str, config: dict[str, Any]) -> Released:
    """Rebuild a network from the config of its checkpoint, without its weights.

    Its sidecar says what the two heads are to be when it sees them: `start` is `centred` (on the scanner's axes, the
    middle of either brain in the middle of the grid) or `affine` (brought together by an affine, upright).
    """
    shape = merge(PRESETS[model]["default"].related.network, config["related"]["network"])
    card = {
        "kind": "displacement",
        "model": model,
        "start": STARTS[model],
        "size": shape.shape[0],
        "shape": list(shape.shape),
        "spacing_mm": shape.spacing_mm,
        "normalise": "brain percentiles 1 and 99, clipped to -0.5 and 1.5, 0 beyond 4 voxels from the brain, at half "
        "the spacing; then means of 2 x 2 x 2 voxels",
        "validation_scans": config["validation_scans"],
    }
    network = NETWORKS[model](shape)
    return Released(network, "pair", "displacement", (1, 2, *shape.shape), card, OPSET, TOLERANCE, blobs=True)
