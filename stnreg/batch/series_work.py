"""The work of one subject: register the series, write its outputs, and return a row of the table of subjects."""

import time
from contextlib import suppress

from stnreg.batch.series_task import SeriesTask
from stnreg.batch.table import ERROR, FAILED, PASSED, Row
from stnreg.batch.task import digest_file
from stnreg.core.files import check_output, sweep_partial
from stnreg.errors import StnregError
from stnreg.images.volume import Volume, save_volume
from stnreg.registration.series.register import register_series
from stnreg.registration.series.result import ERROR as UNREADABLE
from stnreg.registration.series.result import SeriesResult
from stnreg.reports import series as report
from stnreg.reports.series_page import write_series_page
from stnreg.reports.streams import write_json
from stnreg.transforms.io.files import save_transform


def run_series(task: SeriesTask) -> Row:
    """Register one subject, write the outputs and return the row; errors become the reason of the row."""
    began = time.perf_counter()
    try:
        row = _register(task)
    except StnregError as error:
        row = {"status": ERROR, "reasons": str(error)}
    except OSError as error:
        row = {"status": ERROR, "reasons": f"{error.filename or task.id}: {error.strerror or error}"}
    except MemoryError:
        row = {"status": ERROR, "reasons": "not enough memory; run fewer jobs at once"}
    except Exception as error:  # an error must not affect other subjects
        row = {"status": ERROR, "reasons": f"internal error (please report), {type(error).__name__}: {error}"}
    return {"id": task.id} | row | {"total_s": round(time.perf_counter() - began, 3)}


def _register(task: SeriesTask) -> Row:
    subject, out = task.subject, task.outputs
    places = [out.template, out.page, *task.wanted, *out.between.values()]
    places += [path for visit in out.visits.values() for path in vars(visit).values()]
    for path in places:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_output(path, (*subject.images, *subject.excludes.values()))
        sweep_partial(path)
    fingerprint = None
    with suppress(OSError):  # a visit that cannot be read is told below
        fingerprint = task.fingerprint(digest_file)
    masks = {name: str(path) for name, path in subject.excludes.items()}
    result = register_series([str(path) for path in subject.images], subject.sessions, task.options, masks)
    written = _write(task, result)
    document = report.describe_series(result, out.entities) | {"id": task.id, "fingerprint": fingerprint}
    write_json(document | {"outputs": written}, out.document)
    report.write_visits(out.table, result)
    if result.changes is not None:
        report.write_table(out.changes, report.CHANGE_COLUMNS, report.change_rows(result))
    return _row(task, result) | {"fingerprint": fingerprint, "tries": 1}


def _write(task: SeriesTask, result: SeriesResult) -> dict[str, object]:
    """Write images and transforms; return their paths by what they are. Files of an earlier run are removed."""
    out = task.outputs
    kept = {visit.name for visit in result.kept}
    for name, files in out.visits.items():
        stale = vars(files).values() if name not in kept else () if result.changes else (files.change_map,)
        for path in (*stale, *(() if task.image else (files.image,))):
            path.unlink(missing_ok=True)
    for pair, path in out.between.items():
        if not set(pair) <= kept:
            path.unlink(missing_ok=True)
    if result.template is None:
        for path in (out.template, out.page, out.changes):
            path.unlink(missing_ok=True)
        return {}
    template = result.template
    save_volume(out.template, template.array, like=template, threads=result.options.thread_count)
    named = Volume(template.array, template.grid, template.header, str(out.template), differs=template.differs)
    shown = {}
    for visit in result.kept:
        files = out.visits[visit.name]
        assert visit.image is not None
        assert visit.space_to_visit is not None
        save_transform(files.transform, visit.space_to_visit)
        save_transform(files.lta, visit.space_to_visit, fixed=named, moving=visit.image)
        moved = result.resampled(visit)
        if task.image:
            save_volume(files.image, moved, like=template, threads=result.options.thread_count)
        shown[visit.name] = moved if moved.ndim == 3 else moved.mean(axis=0)
    for (first, second), path in out.between.items():
        if {first, second} <= kept:
            save_transform(path, result.between(first, second))
    maps = {}
    if result.changes is None:
        out.changes.unlink(missing_ok=True)
    else:
        maps = {visit.name: one for visit, one in zip(result.kept, result.changes.log_jacobian, strict=True)}
        for name, one in maps.items():
            save_volume(out.visits[name].change_map, one, like=template, threads=result.options.thread_count)
    write_series_page(out.page, result, shown, maps, title=task.id)
    absent = {what for what, made in (("image", task.image), ("change_map", bool(maps))) if not made}
    return {
        "template": out.template,
        "page": out.page,
        "visits": {
            name: {what: path for what, path in vars(files).items() if what not in absent}
            for name, files in out.visits.items()
            if name in kept
        },
        "between": {f"{a} to {b}": path for (a, b), path in out.between.items() if {a, b} <= kept},
    }


def _row(task: SeriesTask, result: SeriesResult) -> Row:
    out = [visit for visit in result.visits if visit.space_to_visit is None]
    reasons = "; ".join(f"{visit.name}: {visit.reason}" for visit in out)
    judged = FAILED if out else PASSED
    status = ERROR if any(visit.status == UNREADABLE for visit in out) else judged
    row: Row = {
        "status": status,
        "reasons": reasons,
        "visits": len(result.visits),
        "kept": len(result.kept),
        "left_out": " ".join(visit.name for visit in out),
        "warnings": "; ".join([*(w for visit in result.visits for w in visit.warnings), *result.warnings]),
    }
    if not result.kept:
        return row
    if result.changes is not None:
        percent, error = result.change_percent("brain", result.kept[0], result.kept[-1])
        row |= {"brain_change_percent": percent, "brain_change_error_percent": error}
    return row | {
        "score": min(visit.score for visit in result.kept if visit.score is not None),
        "disagreement_mm": max(visit.disagreement_mm or 0.0 for visit in result.kept),
        "motion_mm": max(result.motion_mm(visit) for visit in result.kept),
        "template": task.outputs.template,
    }
