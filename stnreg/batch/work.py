"""The work of one task: register the pair, write its outputs, and return a row of the table."""

import threading
import time
from typing import Any

from stnreg.batch.naming import is_stripped
from stnreg.batch.prefetch import Prefetcher
from stnreg.batch.table import COLUMNS, ERROR, FAILED, LOST, NOT_JUDGED, PASSED, Row
from stnreg.batch.task import BatchTask, digest_file
from stnreg.core.files import check_input, check_output, sweep_partial
from stnreg.errors import StnregError
from stnreg.images.inputs import as_volume
from stnreg.images.label_maps import blurred
from stnreg.images.volume import Volume, load_volume
from stnreg.models.card import find
from stnreg.registration.encoding import EncodedImage, encode
from stnreg.registration.methods import method_of
from stnreg.registration.register import register_pair
from stnreg.registration.result import RegistrationResult
from stnreg.reports import description, figure, streams, study
from stnreg.reports.outlines import outlines_of
from stnreg.resampling.apply import save_moved

MADE = ("transform", "warp")
"""Columns of pairs that a row has from what was written, not from the table."""
STATUS = {True: PASSED, False: FAILED, None: NOT_JUDGED}


def run_task(task: BatchTask, following: BatchTask | None = None) -> Row:
    """Register one pair, write its outputs, and return its row; errors become the reason of the row.

    The moving image of the task `following`, if given, is read in the background.
    """
    began = time.perf_counter()
    moving = _ahead.take(task)
    if following is not None:
        _ahead.begin(following)
    try:
        row = _register(task, moving)
    except StnregError as error:
        row = failure_row(task, ERROR, str(error))
    except OSError as error:
        row = failure_row(task, ERROR, f"{error.filename or task.pair.id}: {error.strerror or error}")
    except MemoryError:
        row = failure_row(task, ERROR, "not enough memory; run fewer jobs at once")
    except Exception as error:  # an error must not affect other pairs
        row = failure_row(task, ERROR, f"internal error (please report), {type(error).__name__}: {error}")
    return row | {"total_s": round(time.perf_counter() - began, 3)}


def failure_row(task: BatchTask, status: str, reason: str) -> Row:
    """Return the row of a pair that has no result."""
    return _known(task) | {"status": status, "reasons": reason}


def worker_died_row(task: BatchTask, reason: str, tries: int) -> Row:
    """Return the row of a pair whose worker died twice."""
    return failure_row(task, LOST, reason) | {"tries": tries}


def _register(task: BatchTask, moving: Volume | None) -> Row:
    pair, out, settings = task.pair, task.outputs, task.settings
    for path in task.inputs:
        check_input(path, folder=True)
    for path in task.wanted:
        path.parent.mkdir(parents=True, exist_ok=True)
        check_output(path, task.inputs)
        sweep_partial(path)
    fixed_digest = digest_file(pair.fixed)
    fingerprint = task.fingerprint(lambda path: fixed_digest if path == pair.fixed else digest_file(path))
    masks = {"fixed_mask": pair.fixed_mask, "moving_mask": pair.moving_mask}
    fixed = _fixed(task, fixed_digest)
    result = register_pair(fixed, pair.moving if moving is None else moving, settings.options, masks)
    began = time.perf_counter()
    result.save(transform=out.transform, warp=out.warp)
    if result.deformation is not None:  # images follow the warp as it is written
        result = result.as_written(result.fixed_to_moving, result.warp)
    _draw(task, result)
    if pair.moving_labels is not None:
        labels = load_volume(pair.moving_labels, settings.options.header_source, series=True, constant=True)
        how: dict[str, Any] = {"threads": result.threads, "spacing_mm": settings.sampling.get("spacing_mm")}
        save_moved(out.labels, labels, result.fixed, result.transform, interp="label", **how)
    result.save(
        image=out.image if settings.image else None,
        inverse=out.inverse if settings.inverse else None,
        **settings.sampling,
    )
    document = description.describe_registration(result) | {"id": pair.id, "fingerprint": fingerprint}
    words = description.bids_words(out.fixed_name or pair.fixed, out.moving_name or pair.moving)
    for path, source in task.sidecars.items():
        said = {"Description": f"Resampled by stnreg with the transform {out.transform.name}"}
        streams.write_json(words | said | {"SkullStripped": is_stripped(source)}, path)
    streams.write_json(document | words, out.document)
    mixed = blurred(result.moving, settings.sampling.get("interp", "linear")) if settings.image else ()
    return (
        _known(task)
        | _figures(result, document, mixed)
        | {
            "fingerprint": fingerprint,
            "transform": out.transform,
            "warp": out.warp,
            "image": out.image if settings.image else None,
            "tries": 1,
            "write_s": round(time.perf_counter() - began, 3),
        }
    )


def _draw(task: BatchTask, result: RegistrationResult) -> None:
    """Write what the page of the study shows of the pair, and the picture or the page of its own."""
    images, outlines = (result.fixed, result.moving, result.transform), outlines_of(result)
    study.write_preview(task.outputs.preview, *images, outlines)
    more: dict[str, Any] = {"warp": result.warp if result.deformation is not None else None, "outlines": outlines}
    lines = [task.pair.id, *description.summary(result)]
    if task.settings.qc == "png":
        figure.write_qc_png(task.outputs.png, *images, lines, **more)
    elif task.settings.qc == "svg":
        from stnreg.reports.flicker import write_qc_svg

        write_qc_svg(task.outputs.svg, *images, lines, **more)
    elif task.settings.qc == "html":
        from stnreg.reports.page import write_qc_html

        write_qc_html(task.outputs.html, *images, lines, **more)


def _known(task: BatchTask) -> Row:
    """Return the columns that are known before registration."""
    return {name: value for name, value in vars(task.pair).items() if name in COLUMNS and name not in MADE}


def _figures(result: RegistrationResult, document: dict[str, Any], more_warnings: tuple[str, ...] = ()) -> Row:
    parameters, verdict, metrics = result.parameters, document["verdict"], document["metrics"]
    row: Row = {
        "status": STATUS[verdict["passed"]],
        "score": verdict["score"],
        "reasons": "; ".join(verdict["reasons"]),
        "same_person": verdict["same_person"],
        "local_correlation": metrics["local_correlation"],
        "overlap": metrics["overlap"],
        "dof": result.dof,
        "log_jacobian_sd": result.deformation.log_jacobian_sd if result.deformation else None,
        "folds": result.deformation.folds_digital if result.deformation else None,
        "warnings": "; ".join((*result.warnings, *more_warnings)),
    }
    for name, unit, values in (
        ("translation", "_mm", parameters.translation_mm),
        ("rotation", "_deg", parameters.rotation_deg),
        ("scale", "", parameters.scale),
    ):
        row |= {f"{name}_{axis}{unit}": float(value) for axis, value in zip("xyz", values, strict=True)}
    row |= {f"shear_{axes}": float(v) for axes, v in zip(("xy", "xz", "yz"), parameters.shear, strict=True)}
    return row | {f"{stage}_s": document["timings_s"].get(stage) for stage in ("read", "network", "refine")}


_ahead = Prefetcher()
_kept: dict[tuple[Any, ...], EncodedImage | Volume] = {}
_encoding = threading.Lock()  # a Dask worker may run tasks in threads


def _fixed(task: BatchTask, digest: str) -> EncodedImage | Volume:
    """Return the fixed image, encoded; the last one is cached for pairs that share it."""
    options, path = task.settings.options, task.pair.fixed
    names = ("model", "header_source", "volume", "device", "threads")
    settings = {name: getattr(options, name) for name in names}
    key = (path, digest, *settings.values())
    with _encoding:
        if key not in _kept:
            _kept.clear()  # before the next one is read, to save memory
            if method_of(find(options.model)).encodes_alone:
                _kept[key] = encode(path, **settings)
            else:
                _kept[key] = as_volume(path, options.header_source, series=options.volume is not None)
        return _kept[key]
