"""The report of one person: what became of each image, with pictures that flicker; one file, without a script."""

import html
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stnreg import __version__
from stnreg.core.files import write_atomic
from stnreg.reports.assets import asset, filled
from stnreg.reports.study import FIGURES, measures, short

VERDICTS = {
    "passed": "accepted",
    "failed": "rejected",
    "not judged": "not assessed",
    "error": "no result",
    "lost": "no result",
}


def write_subject_page(
    path: Path, subject: str, rows: Sequence[Mapping[str, Any]], files_of: Mapping[str, Mapping[str, Path]]
) -> None:
    """Write the report of one person.

    Parameters
    ----------
    path : Path
    subject : str
        As `sub-01`.
    rows : sequence of mappings
        Rows of the table of results, one for each image.
    files_of : mapping
        The files of each image, by id and name: `flicker` is shown, the others are linked if they exist.

    Raises
    ------
    DataError
        If the page cannot be written.
    """
    folder = path.absolute().parent
    documents = [_document(files_of.get(str(row["id"]), {}).get("JSON")) for row in rows]
    names = [(f"scan-{k}", str(row["id"])) for k, row in enumerate(rows, 1)]
    sections = [("summary", "Summary"), *names, ("about", "About"), ("methods", "Methods")]
    page = filled(
        "subject.html",
        title=html.escape(f"{subject}: registration of T1w images"),
        style=asset("style.css"),
        sections="".join(f'<a href="#{place}">{html.escape(text)}</a>' for place, text in sections),
        summary=_table(_summary(rows)),
        scans="\n".join(
            _scan(place, row, files_of.get(name, {}), folder) for (place, name), row in zip(names, rows, strict=True)
        ),
        about=_table(_about(documents)),
        methods=html.escape(_methods(rows, documents)),
    )
    write_atomic(path, page.encode())


def _summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    counts = [VERDICTS.get(str(row["status"]), str(row["status"])) for row in rows]
    told = ", ".join(f"{counts.count(one)} {one}" for one in dict.fromkeys(counts))
    fixed = sorted({os.path.basename(str(row["fixed"])) for row in rows if row.get("fixed")})
    return {"T1w images": f"{len(rows)}: {told}", "Fixed image": ", ".join(fixed)}


def _scan(place: str, row: Mapping[str, Any], files: Mapping[str, Path], folder: Path) -> str:
    status, name = str(row["status"]), html.escape(str(row["id"]))
    score = f", score {short(row['score'])}" if row.get("score") not in (None, "") else ""
    said = [f'<p><strong class="{status.replace(" ", "-")}">{VERDICTS.get(status, status)}</strong>{score}</p>']
    if row.get("reasons"):
        said.append(f'<p class="why">{html.escape(str(row["reasons"]))}</p>')
    flicker = files.get("flicker")
    if flicker is not None and flicker.is_file():
        said.append(flicker.read_text(encoding="utf-8"))
    told = measures(row) | {
        key: short(row[column]) for key, column in FIGURES.items() if row.get(column) not in (None, "")
    }
    said.append(_table(told))
    links = [
        f'<a href="{quote(Path(os.path.relpath(file, folder)).as_posix())}">{html.escape(kind)}</a>'
        for kind, file in files.items()
        if kind != "preview" and file.is_file()
    ]
    said += [f"<p>Files: {', '.join(links)}</p>"] if links else []
    return f'<section id="{place}"><h2>{name}</h2>\n' + "\n".join(said) + "\n</section>"


def _about(documents: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    told = {"stnreg": __version__}
    for document in documents:
        model = document.get("model", {})
        if model:
            told["Network"] = f"{model.get('name')}, SHA-256 {model.get('sha256')}"
    return told


def _methods(rows: Sequence[Mapping[str, Any]], documents: Sequence[Mapping[str, Any]]) -> str:
    """Return what a paper would say, to be copied."""
    dof = sorted({str(row["dof"]) for row in rows if row.get("dof") not in (None, "")})
    kind = f"with {' or '.join(dof)} degrees of freedom" if dof else "with an affine transform"
    deformed = " and a smooth deformation" if any(document.get("deformation") for document in documents) else ""
    return (
        f"Each T1-weighted image was registered to the fixed image {kind}{deformed} by stnreg {__version__}: a neural "
        "network estimates the transform from the structures of both brains, and a refinement on the local "
        "correlation of the intensities improves it. The moved image was resampled once, with linear interpolation. "
        "Each result was accepted or rejected by the agreement of the structures and by the correlation of the "
        "intensities."
    )


def _document(path: Path | None) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))) if path is not None else {}
    except (OSError, ValueError):
        return {}


def _table(values: Mapping[str, str]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{html.escape(key)}</th><td>{html.escape(value)}</td></tr>'
        for key, value in values.items()
    )
    return f"<table>{rows}</table>"
