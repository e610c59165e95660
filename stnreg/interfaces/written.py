"""What a command writes when it gets certain values: the outputs of its node."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stnreg.commands.outputs import holds_warp, parse_also, transform_outputs, warp_beside

Values = Mapping[str, Any]
Found = Path | list[Path] | None


@dataclass(frozen=True)
class Output:
    """An output of a node: a file, a list of files, or a folder.

    Attributes
    ----------
    help : str
    find : callable
        From the values of the options to the path, relative to the folder that the command runs in; None where it is
        not written.
    is_many, is_folder : bool
    """

    help: str
    find: Callable[[Values], Found]
    is_many: bool = False
    is_folder: bool = False


def outputs_of(verb: str) -> dict[str, Output]:
    """Return the outputs of a command's node, by name."""
    return _OUTPUTS[verb]


def written_options(verb: str) -> tuple[str, ...]:
    """Return the names of the options that name what is written."""
    return _WRITTEN[verb]


def with_outputs(verb: str, values: Values) -> dict[str, Any]:
    """Return the values with a name for the output, where none of them names one."""
    given = {name: value for name, value in values.items() if value is not None}
    if any(given.get(name) for name in _WRITTEN[verb]):
        return given
    return given | _default(verb, given)


def _default(verb: str, values: Values) -> dict[str, str]:
    if verb == "apply-transform" and values.get("points"):
        return {"output": "points.csv"}
    return _DEFAULT[verb]


def _named(option: str) -> Callable[[Values], Found]:
    def find(values: Values) -> Found:
        value = values.get(option)
        return None if value is None or str(value) == "-" else Path(value)

    return find


def _inside(
    name: str, only_with: tuple[str, ...] = (), only_without: tuple[str, ...] = ()
) -> Callable[[Values], Found]:
    """Find a file of the folder of the outputs, which may depend on options that are given or not."""

    def find(values: Values) -> Found:
        given = {option for option, value in values.items() if value not in (None, [], False)}
        is_written = (not only_with or bool(given & set(only_with))) and not given & set(only_without)
        return Path(values["output"]) / name if is_written else None

    return find


def _transforms(values: Values) -> Found:
    return list(transform_outputs(_path(values, "output"), [str(one) for one in values.get("transform") or ()]))


def _warp(values: Values) -> Found:
    """Follow `stnreg register`: the warp stands beside the image, unless it is named or a transform holds it."""
    if values.get("warp"):
        return Path(values["warp"])
    output, transforms = _path(values, "output"), _transforms(values)
    deforms = values.get("deform") or values.get("to") == "deform"
    if not deforms or output is None or any(holds_warp(path) for path in transforms or ()):  # type: ignore[union-attr]
        return None
    return warp_beside(output)


def _also(values: Values) -> Found:
    return [parse_also(text, "linear").output for text in values.get("also") or ()]


def _path(values: Values, name: str) -> Path | None:
    return Path(values[name]) if values.get(name) else None


_DEFAULT = {
    "register": {"output": "moved.nii.gz"},
    "apply-transform": {"output": "resampled.nii.gz"},
    "evaluate": {"csv": "measures.csv"},
    "series": {"output": "series"},
    "batch": {"output": "batch"},
}
_WRITTEN = {
    "register": ("output", "transform", "also", "inverse", "warp", "inverse_warp", "jacobian", "qc", "json"),
    "apply-transform": ("output", "write_composed"),
    "evaluate": ("json", "csv"),
    "series": ("output",),
    "batch": ("output",),
}
_MANY_PEOPLE = ("table", "bids")
_OUTPUTS = {
    "register": {
        "output_file": Output("The moved image.", _named("output")),
        "transform_files": Output("The transforms, fixed to moving.", _transforms, is_many=True),
        "also_files": Output("The further images, moved.", _also, is_many=True),
        "inverse_file": Output("FIXED on the grid of MOVING.", _named("inverse")),
        "warp_file": Output("The warp.", _warp),
        "inverse_warp_file": Output("The inverse warp.", _named("inverse_warp")),
        "jacobian_file": Output("The logarithm of the Jacobian determinant.", _named("jacobian")),
        "qc_file": Output("The picture or page.", _named("qc")),
        "json_file": Output("The results as JSON.", _named("json")),
    },
    "apply-transform": {
        "output_file": Output("The resampled image, or the table of points.", _named("output")),
        "composed_file": Output("The whole chain as one transform.", _named("write_composed")),
    },
    "evaluate": {
        "json_file": Output("The results as JSON.", _named("json")),
        "csv_file": Output("The results as CSV.", _named("csv")),
    },
    "series": {
        "output_folder": Output("The folder of all outputs.", _named("output"), is_folder=True),
        "template_file": Output("The template of one person.", _inside("template.nii.gz", only_without=_MANY_PEOPLE)),
        "visits_file": Output(
            "The table of the visits of one person.", _inside("visits.tsv", only_without=_MANY_PEOPLE)
        ),
        "results_file": Output("The table of many people.", _inside("results.csv", only_with=_MANY_PEOPLE)),
        "page_file": Output("The page of one person.", _inside("index.html", only_without=_MANY_PEOPLE)),
    },
    "batch": {
        "output_folder": Output("The folder of all outputs.", _named("output"), is_folder=True),
        "results_file": Output("The table of all pairs.", _inside("results.csv")),
        "page_file": Output("The page of all pairs.", _inside("index.html")),
    },
}
