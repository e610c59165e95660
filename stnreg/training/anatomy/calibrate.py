"""What a sidecar holds beside the network: how far its centroids lie off, and the thresholds of the verdict.

All of it is measured on the validation scans, by the functions that `register` runs.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.core.files import write_atomic
from stnreg.core.structures import GROUPS, NAMES
from stnreg.errors import DataError, UsageProblem
from stnreg.models.calibration import Calibration, PoseCalibration
from stnreg.models.card import Weights
from stnreg.registration.anatomy.encode import encode
from stnreg.registration.anatomy.encoding import AnatomyModel
from stnreg.registration.anatomy.load import load
from stnreg.training.anatomy.outcomes import Measurement
from stnreg.training.anatomy.pack import VALIDATION_SCANS, split
from stnreg.training.anatomy.template import group_template, mean_volumes, rows
from stnreg.training.anatomy.thresholds import Threshold, choose_thresholds, read_outcomes
from stnreg.training.anatomy.validation_scans import LabelledScan, load_validation_scans

Array = np.ndarray
TOLERANCE_MM = 0.05  # of a spread, beside the one in the sidecar


@dataclass(frozen=True)
class Measured:
    """What a calibration found.

    Attributes
    ----------
    fine, pose : Weights
        The networks, with the sidecars as they were.
    spread_mm : (structures,) float64
        NaN for the background.
    thresholds : dict of Threshold
        By the names of `Calibration`; empty where they were not asked for.
    templates : dict
        `template_lps_mm` and `volumes_mm3` of "fine" and "pose", where there were packed subjects to take them from.
    scans : int
        How many validation scans there were.
    """

    fine: Weights
    pose: Weights
    spread_mm: Array
    thresholds: dict[str, Threshold]
    templates: dict[str, dict[str, Any]]
    scans: int

    @property
    def spread_difference_mm(self) -> Array:
        """(structures,) float64: measured less what is in the sidecar; NaN where that has none."""
        return self.spread_mm - sidecar_spread_mm(self.fine)

    @property
    def agrees(self) -> bool:
        """Whether every spread in the sidecar is what was measured, to `TOLERANCE_MM`."""
        return bool((np.abs(self.spread_difference_mm[1:]) <= TOLERANCE_MM).all())


def measure(
    weights: Weights,
    root: Path,
    *,
    validation: int | None = None,
    packed: Path | None = None,
    outcomes: Path | None = None,
    thresholds: bool = True,
    check: bool = False,
    threads: int | None = None,
    device: str = "cpu",
    progress: Callable[[int, int], None] = lambda done, count: None,
) -> Measured:
    """Measure what belongs into the sidecars of an anatomy network and its pose network.

    Parameters
    ----------
    weights : Weights
        The network that finds structures; its sidecar names the pose network.
    root : Path
        As `stnreg train` takes it: `ixi/` and `labelmaps/`.
    validation : int, optional
        How many scans, the last by name, were kept for validation; as the sidecar says, or 18, when left out.
    packed : Path, optional
        Packed subjects, as training leaves them, to take templates and volumes from too.
    outcomes : Path, optional
        A table of outcomes (columns kind, outcome, score, gate, and same_person) to choose the scores on instead.
    thresholds : bool
        Whether thresholds are chosen.
    check : bool
        Measure with the templates that the sidecars hold, whatever the packed subjects say.
    threads, device
        Of the networks.
    progress : callable
        Told how much is done, of how much.

    Raises
    ------
    DataError
        If a file cannot be used, or the network finds nothing.
    """
    count = validation or int(weights.card.get("validation_scans", VALIDATION_SCANS))
    model = load(weights, threads=threads, device=device, calibrated=False).model
    pose = weights.pose
    assert pose is not None  # `load` has used it
    templates = {} if packed is None else _templates(packed, count)
    if templates and not check:
        fine_template, pose_template = (_points(templates[name]["template_lps_mm"]) for name in ("fine", "pose"))
        fine_mm3, pose_mm3 = (np.array(templates[name]["volumes_mm3"], float) for name in ("fine", "pose"))
        model = AnatomyModel(
            replace(model.pose, template=pose_template, volumes_mm3=pose_mm3),
            replace(model.fine, template=fine_template, volumes_mm3=fine_mm3),
        )
    scans = load_validation_scans(root, count)
    spread_mm = measure_spread(scans, model)
    chosen: dict[str, Threshold] = {}
    if thresholds:
        # As `register` will run it, but for the thresholds that are to be chosen.
        fine = replace(model.fine, spread_mm=spread_mm, calibration=Calibration())
        found = Measurement(scans, replace(model, fine=fine)).run(root, progress)
        chosen = choose_thresholds(found, None if outcomes is None else read_outcomes(outcomes))
    return Measured(weights, pose, spread_mm, chosen, templates, len(scans))


def measure_spread(scans: Sequence[LabelledScan], model: AnatomyModel) -> Array:
    """Return the mean distance of each structure's centroid, as it is found, from that of its labels, mm.

    The sidecar's own spread and thresholds have no part in it. A head away from the middle of its field of view has its
    pose estimated again, upright and centred, however well the first estimate fits (`clear_mm` is 0): what is measured
    is the network that finds structures, seen from the best pose there is.

    Returns
    -------
    (structures,) float64
        NaN for the background. A structure that is found in no scan has the largest distance of the others.
    """
    model = AnatomyModel(
        replace(model.pose, pose_calibration=replace(PoseCalibration(), clear_mm=0.0)),
        replace(model.fine, spread_mm=np.ones(len(model.fine.template)), calibration=Calibration()),
    )
    found = [encode(scan.array, scan.grid, model).centroids_lps for scan in scans]
    distance = np.array([np.linalg.norm(f - s.centroids_lps, axis=1) for f, s in zip(found, scans, strict=True)])
    counted = ~np.isnan(distance)
    if not counted.any():
        raise DataError("the network finds no structure in any validation scan: train it for longer")
    spread_mm = np.where(counted, distance, 0).sum(0) / np.maximum(counted.sum(0), 1)
    spread_mm = np.where(counted.any(0), spread_mm, spread_mm.max())
    spread_mm[0] = np.nan
    return spread_mm


def sidecar_spread_mm(weights: Weights) -> Array:
    """Return the spread that a sidecar holds, (structures,) float64; NaN where it has none."""
    values = weights.card.get("spread_mm", [None] * len(weights.card["template_lps_mm"]))
    spread_mm = np.array(values, float)
    spread_mm[0] = np.nan
    return spread_mm


def _templates(packed: Path, count: int) -> dict[str, dict[str, Any]]:
    training, _ = split(packed, count)
    points = {"fine": np.load(packed / "template.npy"), "pose": group_template(packed, training)}
    sizes = {"fine": len(NAMES), "pose": len(GROUPS)}
    return {
        name: {
            "template_lps_mm": rows(points[name][: sizes[name]]),
            "volumes_mm3": mean_volumes(packed, training, grouped=name == "pose"),
        }
        for name in points
    }


def _points(values: list[list[float] | None]) -> Array:
    return np.array([[np.nan] * 3 if row is None else row for row in values], float)


def write_thresholds(found: Measured, names: Sequence[str]) -> Path:
    """Write some thresholds into the sidecar of the fine network, whole or not at all, and return its path.

    Raises
    ------
    UsageProblem
        If a name is not that of a threshold that was measured.
    """
    if unknown := [name for name in names if name not in found.thresholds]:
        raise UsageProblem(f"{', '.join(unknown)}: expected thresholds out of {', '.join(found.thresholds)}")
    chosen, card = {name: found.thresholds[name] for name in names}, dict(found.fine.card)
    card["calibration"] = {**card.get("calibration", {}), **{name: one.value for name, one in chosen.items()}}
    known = card.get("calibrated", {"scans": found.scans, "how": {}})
    card["calibrated"] = {**known, "how": {**known["how"], **{name: one.how for name, one in chosen.items()}}}
    path = found.fine.path.with_suffix(".json")
    write_atomic(path, (json.dumps(card, indent=2) + "\n").encode())
    return path


def write_sidecars(found: Measured) -> tuple[Path, Path]:
    """Write what was measured into both sidecars, each whole or not at all, and return their paths."""
    pose = {**found.pose.card, **found.templates.get("pose", {})}
    pose.setdefault("calibration", asdict(PoseCalibration()))
    fine = {**found.fine.card, **found.templates.get("fine", {})}
    fine["spread_mm"] = [None if np.isnan(v) else round(float(v), 2) for v in found.spread_mm]
    if found.thresholds:
        fine["calibration"] = {name: one.value for name, one in found.thresholds.items()}
        fine["calibrated"] = {"scans": found.scans, "how": {name: one.how for name, one in found.thresholds.items()}}
    paths = []
    for weights, card in ((found.pose, pose), (found.fine, fine)):  # the model's own last: with it, all is there
        path = weights.path.with_suffix(".json")
        write_atomic(path, (json.dumps(card, indent=2) + "\n").encode())
        paths.append(path)
    return paths[0], paths[1]


def table(found: Measured) -> list[tuple[str, float, float | str, str]]:
    """Return every figure as name, measured, in the sidecar (empty where it holds none), and the rule."""
    old = sidecar_spread_mm(found.fine)
    names = found.fine.card.get("names", [str(k) for k in range(len(old))])
    rule = f"mean distance of the centroid on {found.scans} scans, mm"
    lines: list[tuple[str, float, float | str, str]] = [
        (f"spread_mm {names[k]}", round(float(found.spread_mm[k]), 2), "" if np.isnan(old[k]) else float(old[k]), rule)
        for k in range(1, len(old))
    ]
    apart = np.abs(found.spread_difference_mm[1:])
    if not np.isnan(apart).any():
        lines += [
            ("spread_mm, largest difference", round(float(apart.max()), 4), TOLERANCE_MM, "at most this is the same"),
            ("spread_mm, mean difference", round(float(apart.mean()), 4), "", ""),
        ]
    for name, weights in (("fine", found.fine), ("pose", found.pose)):
        if name in found.templates and "template_lps_mm" in weights.card:
            new, old = (_points(card["template_lps_mm"]) for card in (found.templates[name], weights.card))
            lines.append(
                (f"template_lps_mm of {weights.name}, largest difference", float(np.nanmax(abs(new - old))), "", "mm")
            )
    block = found.fine.card.get("calibration", {})
    lines += [(name, one.value, block.get(name, ""), one.how) for name, one in found.thresholds.items()]
    return lines
