"""What an exported velocity or synthesis network carries beside its weights.

At which deformations a velocity network rejects is measured afterwards: `stnreg calibrate` adds it.
"""

from typing import Any

from stnreg.networks.synthesis import SynthesisNet, SynthesisShape
from stnreg.networks.velocity import VelocityNet, VelocityShape
from stnreg.training.deformable.pack import VALIDATION_SCANS
from stnreg.training.deformable.steps import shape_of
from stnreg.training.half import coarsely_rounded
from stnreg.training.released import Released

NORMALISE = "brain percentiles 1 and 99, clipped to -0.5 and 1.5, 0 beyond 4 voxels from the brain"
OPSET = 20  # the first with GridSample in three dimensions
TOLERANCE = 2e-3  # of the output's own size: a chain of resamplings, each rounded a little


def velocity_network(config: dict[str, Any]) -> Released:
    """Rebuild a velocity network from the config of its checkpoint, without its weights."""
    shape = shape_of(config, VelocityShape)
    card = {
        "kind": "velocity",
        "size": shape.shape[0],
        "shape": list(shape.shape),
        "spacing_mm": shape.spacing_mm,
        "normalise": NORMALISE,
        "lattice_voxels": 2,
        "validation_scans": config.get("validation_scans", VALIDATION_SCANS),
    }
    return Released(VelocityNet(shape), "pair", "velocity", (1, 2, *shape.shape), card, OPSET, TOLERANCE, blobs=True)


def synthesis_network(config: dict[str, Any]) -> Released:
    """Rebuild a synthesis network from the config of its checkpoint, without its weights."""
    shape = shape_of(config, SynthesisShape)
    card = {
        "kind": "synthesis",
        "size": shape.shape[0],
        "shape": list(shape.shape),
        "spacing_mm": shape.spacing_mm,
        "normalise": NORMALISE,
        "validation_scans": config.get("validation_scans", VALIDATION_SCANS),
    }
    size = (1, 1, *shape.shape)
    return Released(
        SynthesisNet(shape), "image", "t1", size, card, tolerance=1e-3, blobs=True, rounding=coarsely_rounded
    )
