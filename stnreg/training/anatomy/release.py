"""Export of anatomy networks: the sidecar with template, spread and names of the structures."""

from typing import Any

import numpy as np

from stnreg.core.structures import GROUPS, NAMES
from stnreg.networks.anatomy import AnatomyMaps, AnatomyShape
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
        "spread_mm": anatomy["spread_mm"],
        "volumes_mm3": anatomy["volumes_mm3"],
    }
    if anatomy["pass"] == "fine":
        card["pose"] = "anatomy-pose"
    return Released(AnatomyMaps(shape), "scan", "maps", (1, 1, *shape.shape), card)


def rows(points: np.ndarray) -> list[list[float] | None]:
    """Return points for JSON: None for a row of NaN, else three numbers."""
    return [None if np.isnan(p).any() else [round(float(v), 3) for v in p] for p in points]
