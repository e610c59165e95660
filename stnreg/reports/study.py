"""The HTML page of a study, on which someone decides: all pairs, worst first, in one file that works offline."""

import hashlib
import html
import json
import math
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np

from stnreg.core.files import write_atomic
from stnreg.geometry.affine import Parameters, from_parameters
from stnreg.images.templates import is_shipped
from stnreg.images.volume import Volume
from stnreg.reports.assets import asset, filled, look_bar, script_json
from stnreg.reports.hints import Hints, find_hints
from stnreg.reports.tiles import Outlines, describe_tiles
from stnreg.resampling.apply import TransformLike

SPACING_MM = 1.6
"""Of the slices: 500 pairs fit into 30 MB, also without a fixed image in common."""
INLINE_CHARACTERS = 28_000_000
"""Of pictures in a page; pairs after that are lines without a picture."""
WORST_FIRST = ("lost", "error", "failed", "not judged", "passed")
FIGURES = {
    "correlation": "local_correlation", "overlap": "overlap", "same person": "same_person", "dof": "dof",
    "SD of log J": "log_jacobian_sd", "folds": "folds", "seconds": "total_s", "fixed": "fixed", "moving": "moving",
    "warnings": "warnings",
}  # fmt: skip
"""What is said of a pair besides its measures, and the columns of the table it is in."""


def write_preview(
    path: str | os.PathLike[str], fixed: Volume, moving: Volume, fixed_to_moving: TransformLike, outlines: Outlines
) -> None:
    """Write what the page of a study shows of a pair: about 50 kB of JSON, see `describe_tiles`.

    Raises
    ------
    DataError
        If the file cannot be written.
    """
    write_atomic(path, json.dumps(describe_tiles(fixed, moving, fixed_to_moving, outlines, SPACING_MM)).encode())


def write_study_page(
    path: Path, rows: Sequence[Mapping[str, Any]], files_of: Mapping[str, Mapping[str, Path]]
) -> list[str]:
    """Write one page of all pairs of a study.

    Parameters
    ----------
    path : Path
    rows : sequence of mappings
        Rows of the table of results, typed or as text.
    files_of : mapping
        The files of each pair, by id and name. `preview` is shown; the other files that exist are linked, relative to
        the folder of the page.

    Returns
    -------
    lines : list of str
        What a person should look at in pairs that passed, see `stnreg.reports.hints`.

    Raises
    ------
    DataError
        If the page cannot be written.
    """
    folder = path.absolute().parent
    previews = {str(row["id"]): _preview(files_of.get(str(row["id"]), {})) for row in rows}
    passed = [str(row["id"]) for row in rows if row["status"] == "passed"]
    deformed = {str(row["id"]) for row in rows if row.get("log_jacobian_sd") not in (None, "")}
    hints = find_hints(previews, passed, deformed)
    counts = Counter(str(row["status"]) for row in rows)
    filters = "\n  ".join(
        f'<button data-filter="{html.escape(status)}" aria-pressed="true">'
        f'<span class="{status.replace(" ", "-")}">{html.escape(status)}</span> {counts[status]}</button>'
        for status in WORST_FIRST
        if counts[status]
    )
    page = filled(
        "study.html",
        title=html.escape(f"{len(rows)} registrations in {folder.name}"),
        style=asset("style.css"),
        filters=filters,
        decide=asset("decide.html"),
        look=look_bar(),
        data=script_json(_data(rows, previews, hints, files_of, folder)),
        script=asset("picture.js") + asset("viewer.js") + asset("decide.js") + asset("study.js"),
    )
    write_atomic(path, page.encode())
    return hints.lines()


def decision_key(place: Path) -> str:
    """Return the name under which a browser keeps the decisions of a page: of its absolute path."""
    return hashlib.sha256(str(place.absolute()).encode()).hexdigest()[:16]


def _data(
    rows: Sequence[Mapping[str, Any]],
    previews: Mapping[str, dict[str, Any] | None],
    hints: Hints,
    files_of: Mapping[str, Mapping[str, Path]],
    folder: Path,
) -> dict[str, Any]:
    shared: dict[str, str] = {}
    pairs, room = [], INLINE_CHARACTERS
    for row in sorted(rows, key=_badness):
        own = {name: file for name, file in files_of.get(str(row["id"]), {}).items() if file.is_file()}
        own.pop("preview", None)
        pair, held = _pair(row, {name: _link(file, folder) for name, file in own.items()}), len(shared)
        pair |= {"sides": None, "asymmetry": None, "hints": hints.of.get(pair["id"], [])} | hints.measures.get(
            pair["id"], {}
        )
        preview = previews[pair["id"]]
        if preview is not None and room > 0:
            pair["tiles"] = tiles = _shared(preview, shared)
            new = [*shared.values()][held:]
            room -= sum(len(text) for text in (*tiles.values(), *new) if isinstance(text, str))
        pairs.append(pair)
    return {"key": decision_key(folder), "pairs": pairs, "shared": shared, "limits": hints.limits}


def _preview(files: Mapping[str, Path]) -> dict[str, Any] | None:
    file = files.get("preview")
    return json.loads(file.read_text(encoding="utf-8")) if file is not None and file.is_file() else None


def _shared(tiles: dict[str, Any], shared: dict[str, str]) -> dict[str, Any]:
    """Replace the pictures of a fixed image by names, so that those of a template are in the page once."""
    for name in ("fixed", "fixed_codes"):
        digest = hashlib.sha256(tiles[name].encode()).hexdigest()[:16]
        shared[digest] = tiles[name]
        tiles[name] = digest
    return tiles


def _pair(row: Mapping[str, Any], links: Mapping[str, str]) -> dict[str, Any]:
    left_out = {"same person"} if is_shipped(str(row.get("fixed"))) else set()  # a template is nobody
    return {
        "id": str(row["id"]),
        "status": str(row["status"]),
        "score": number(row.get("score")),
        "correlation": number(row.get("local_correlation")),
        "rotation": _rotation(row),
        "scale": _scale(row),
        "reasons": str(row.get("reasons") or ""),
        "figures": measures(row)
        | {
            name: _told(name, row[column])
            for name, column in FIGURES.items()
            if name not in left_out and row.get(column) not in (None, "")
        },
        "links": dict(links),
        "tiles": None,
    }


def measures(row: Mapping[str, Any]) -> dict[str, str]:
    """Return rotation and scale as people read them."""
    told = {}
    for name, unit, digits, columns in (
        ("rotation about x, y, z", "°", 1, [f"rotation_{axis}_deg" for axis in "xyz"]),
        ("translation along x, y, z", " mm", 1, [f"translation_{axis}_mm" for axis in "xyz"]),
        ("scale along x, y, z", "", 3, [f"scale_{axis}" for axis in "xyz"]),
    ):
        values = [number(row.get(column)) for column in columns]
        if None not in values:
            told[name] = ", ".join(f"{value:.{digits}f}" for value in values) + unit
    return told


def _rotation(row: Mapping[str, Any]) -> float | None:
    """Return the angle of the whole rotation, degrees."""
    angles = [number(row.get(f"rotation_{axis}_deg")) for axis in "xyz"]
    if any(angle is None for angle in angles):
        return None
    matrix = from_parameters(Parameters(rotation_deg=tuple(angles)), (0, 0, 0))  # type: ignore[arg-type]
    return math.degrees(math.acos(float(np.clip((np.trace(matrix[:3, :3]) - 1) / 2, -1, 1))))


def _scale(row: Mapping[str, Any]) -> float | None:
    """Return the mean scale: the cube root of the change of volume."""
    scales = [number(row.get(f"scale_{axis}")) for axis in "xyz"]
    if any(scale is None or scale <= 0 for scale in scales):
        return None
    return float(np.prod([scale for scale in scales if scale]) ** (1 / 3))


def _badness(row: Mapping[str, Any]) -> tuple[int, float, str]:
    status, score = str(row["status"]), number(row.get("score"))
    rank = WORST_FIRST.index(status) if status in WORST_FIRST else 0
    return rank, -1.0 if score is None else score, str(row["id"])


def number(value: Any) -> float | None:
    """Return a finite number of a cell, typed or as text; None if it holds none."""
    try:
        found = float(value) if isinstance(value, float | str | int) and not isinstance(value, bool) else math.nan
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def short(value: Any) -> str:
    """Return a cell as people read it: a number with four digits."""
    found = None if isinstance(value, bool | int) else number(value)
    return str(value) if found is None else f"{found:.4g}"


def _told(name: str, value: Any) -> str:
    if name == "same person":
        return {"True": "yes", "False": "no"}.get(str(value), str(value))
    return "MNI152" if name == "fixed" and is_shipped(str(value)) else short(value)


def _link(file: Path, folder: Path) -> str:
    return quote(Path(os.path.relpath(file, folder)).as_posix())
