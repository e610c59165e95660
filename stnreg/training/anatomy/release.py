"""Export of anatomy networks: the sidecar with template, volumes and names of the structures.

How far its centroids lie off, and its thresholds, are measured afterwards: `stnreg calibrate` adds them.
"""

from typing import Any

from stnreg.core.structures import GROUPS, NAMES
from stnreg.networks.anatomy import AnatomyMaps, AnatomyShape
from stnreg.training.anatomy.pack import VALIDATION_SCANS
from stnreg.training.released import Released


def anatomy_network(config: dict[str, Any]) -> Released:
    """Rebuild an anatomy network from the config of its checkpoint, without its weights."""
    anatomy = config["anatomy"]
    shape = AnatomyShape(
        tuple(anatomy["shape"]), float(anatomy["spacing_mm"]), int(anatomy["maps"]), tuple(anatomy["widths"])
    )
    card = {
        "kind": "anatomy" if anatomy["pass"] == "fine" else "anatomy-pose",
        "size": max(shape.shape),
        "shape": list(shape.shape),
        "spacing_mm": shape.spacing_mm,
        "normalise": "percentile 1 to 99.5, clipped at 1.5",
        "names": list(NAMES if anatomy["pass"] == "fine" else GROUPS),
        "template_lps_mm": anatomy["template_lps_mm"],
        "volumes_mm3": anatomy["volumes_mm3"],
        "validation_scans": anatomy.get("validation_scans", VALIDATION_SCANS),
    }
    if anatomy["pass"] == "fine":
        card["pose"] = "anatomy-pose"
    return Released(AnatomyMaps(shape), "scan", "maps", (1, 1, *shape.shape), card)
