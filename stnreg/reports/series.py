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
    *("volume_factor", "volume_factor_error", "intensity_factor", "skull_used", "image"),
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
        "volume_factor_error": visit.scale_error,
        "intensity_factor": visit.gain,
        "skull_used": visit.has_skull,
    }
    for name, unit, values in (
        ("translation", "_mm", parameters.translation_mm),
        ("rotation", "_deg", parameters.rotation_deg),
        ("scale", "", parameters.scale),
    ):
        row |= {f"{name}_{axis}{unit}": float(value) for axis, value in zip("xyz", values, strict=True)}
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
