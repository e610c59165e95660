"""Descriptions of a series: JSON in BIDS words, and the table of visits."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.core.files import write_atomic
from stnreg.registration.series.result import SeriesResult, VisitResult
from stnreg.reports.description import versions

SUBJECT = "subject"
"""The space of the template, in BIDS words."""
VISIT_COLUMNS = (
    *("visit", "status", "reason", "score", "local_correlation", "disagreement_mm", "motion_mm"),
    *(f"translation_{axis}_mm" for axis in "xyz"),
    *(f"rotation_{axis}_deg" for axis in "xyz"),
    *(f"scale_{axis}" for axis in "xyz"),
    *(f"scale_{axis}_error" for axis in "xyz"),
    *(
        "volume_factor",
        "volume_factor_error",
        "skull_volume_factor",
        "skull_volume_factor_error",
        "intensity_factor",
        "skull_used",
        "image",
    ),
)


def describe_series(result: SeriesResult, entities: Mapping[str, str]) -> dict[str, Any]:
    """Return the JSON of a series, without outputs.

    Parameters
    ----------
    result : SeriesResult
    entities : mapping of str to str
        The name of the space of each visit in BIDS words, such as `ses01`.
    """
    kept = [visit.name for visit in result.kept]
    transforms = [
        {
            "name": f"from-{entities[visit.name]}_to-{SUBJECT}_mode-image_xfm",
            "template_to_visit_lps": _matrix(visit),
        }
        for visit in result.kept
    ]
    between = [
        {
            "name": f"from-{entities[a]}_to-{entities[b]}_mode-image_xfm",
            "from": a,
            "to": b,
            "first_to_second_lps": result.between(a, b).tolist(),
        }
        for k, a in enumerate(kept)
        for b in kept[k + 1 :]
    ]
    template = result.template
    return {
        "Sources": [visit.path for visit in result.kept],
        "SpatialReference": SUBJECT if result.options.reference == "unbiased" else result.options.reference,
        "GeneratedBy": [{"Name": "stnreg", "Version": versions()["stnreg"]}],
        "template": None
        if template is None
        else {
            "average": result.options.average,
            "reference": result.options.reference,
            "size": list(template.grid.size),
            "spacing_mm": template.grid.spacing.tolist(),
            "center_lps_mm": result.center_lps.tolist(),
        },
        "dof": result.options.dof,
        "visits": [_visit(result, visit) for visit in result.visits],
        "transforms": transforms,
        "between": between,
        **({"changes": change_rows(result)} if result.changes is not None else {}),
        "moved_mm": list(result.moved_mm),
        "timings_s": {name: round(value, 4) for name, value in result.timings_s.items()},
        "model": {
            "name": result.model.name,
            "sha256": result.model.sha256,
            "pose_sha256": result.model.pose.sha256 if result.model.pose else None,
        },
        "threads": result.options.thread_count,
        "warnings": list(result.warnings),
        "versions": versions(),
    }


CHANGE_COLUMNS = ("from", "to", "region", "template_ml", "change_percent", "error_percent", "scale")


def change_rows(result: SeriesResult) -> list[dict[str, Any]]:
    """Return a row of `CHANGE_COLUMNS` for each region: each interval, and from the first to the last visit."""
    found, kept = result.changes, result.kept
    if found is None:
        return []
    intervals = [(kept[k], kept[k + 1]) for k in range(len(kept) - 1)]
    if len(kept) > 2:
        intervals.append((kept[0], kept[-1]))
    rows = []
    for earlier, later in intervals:
        for region, volume_ml in found.volume_ml.items():
            percent, error = result.change_percent(region, earlier, later)
            row = {"from": earlier.name, "to": later.name, "region": region, "template_ml": round(volume_ml, 3)}
            rows.append(row | {"change_percent": percent, "error_percent": error, "scale": result.scale_source()})
    return rows


def visit_rows(result: SeriesResult) -> list[dict[str, Any]]:
    """Return a row of `VISIT_COLUMNS` for each visit, in the order given."""
    return [_row(result, visit) for visit in result.visits]


def write_visits(path: Path, result: SeriesResult) -> None:
    """Write the table of visits, tab-separated; `n/a` where there is no value, as BIDS has it."""
    write_table(path, VISIT_COLUMNS, visit_rows(result))


def write_table(path: Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows as a TSV."""
    lines = ["\t".join(columns), *("\t".join(_cell(row.get(column)) for column in columns) for row in rows), ""]
    write_atomic(path, "\n".join(lines).encode())


def _visit(result: SeriesResult, visit: VisitResult) -> dict[str, Any]:
    row = _row(result, visit)
    return {"name": row.pop("visit"), **row, "warnings": list(visit.warnings)}


def _row(result: SeriesResult, visit: VisitResult) -> dict[str, Any]:
    row: dict[str, Any] = {
        "visit": visit.name,
        "status": visit.status,
        "reason": visit.reason or None,
        "image": os.path.abspath(visit.path) if os.path.exists(visit.path) else visit.path,
    }
    if visit.space_to_visit is None:
        return row
    parameters = result.parameters(visit)
    row |= {
        "score": visit.score,
        "local_correlation": visit.correlation,
        "disagreement_mm": visit.disagreement_mm,
        "motion_mm": result.motion_mm(visit),
        "volume_factor": float(np.linalg.det(visit.space_to_visit[:3, :3])),
        "volume_factor_error": None if visit.scale_error is None else visit.scale_error.volume,
        "skull_volume_factor": None if visit.skull_log_volume is None else float(np.exp(visit.skull_log_volume)),
        "skull_volume_factor_error": visit.skull_error,
        "intensity_factor": visit.gain,
        "skull_used": visit.has_skull,
    }
    errors = (None,) * 3 if visit.scale_error is None else visit.scale_error.axes
    for name, unit, values in (
        ("translation", "_mm", parameters.translation_mm),
        ("rotation", "_deg", parameters.rotation_deg),
        ("scale", "", result.scale(visit)),
        ("scale", "_error", errors),
    ):
        row |= {f"{name}_{axis}{unit}": value for axis, value in zip("xyz", values, strict=True)}
    return row


def _matrix(visit: VisitResult) -> list[list[float]]:
    assert visit.space_to_visit is not None
    return visit.space_to_visit.tolist()


def _cell(value: Any) -> str:
    if value is None:
        return "n/a"
    if isinstance(value, bool):
        return str(value).lower()
    text = f"{value:.10g}" if isinstance(value, float) else str(value)
    return " ".join(text.split()) or "n/a"
