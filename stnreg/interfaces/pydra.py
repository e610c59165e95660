"""The commands as shell tasks of pydra: `Register`, `ApplyTransform`, `Evaluate`, `Series`, `Batch`.

Their inputs are the options of the commands (`fixed_mask` for `--fixed-mask`); what is not set is left to the command.
An output that nobody names is written under a plain name in the folder of the task, as `moved.nii.gz`. A registration
that is rejected stops its task as any failed command does; `on_fail="warn"` lets it pass.

Examples
--------
    from stnreg.interfaces.pydra import Register

    task = Register(name="acpc", fixed="MNI152", moving="/data/sub-01_T1w.nii.gz", to="rigid")
    print(task().output.output_file)
"""

import types
from collections.abc import Callable
from pathlib import Path
from typing import Any, Union

from stnreg.images.templates import locate
from stnreg.interfaces import VERBS, class_name
from stnreg.interfaces.declared import Option, executable, options_of, words
from stnreg.interfaces.written import Output, outputs_of, with_outputs, written_options

try:
    import attrs
    from fileformats.generic import Directory, File
    from pydra.engine.specs import ShellOutSpec, ShellSpec, SpecInfo
    from pydra.engine.task import ShellCommandTask
except ImportError as error:
    raise ImportError("stnreg.interfaces.pydra needs pydra: pip install 'stnreg[pydra]'") from error

__all__ = ["ApplyTransform", "Batch", "Evaluate", "Register", "Series"]


class StnregTask(ShellCommandTask):
    """A command of stnreg as a task; its subclasses are generated."""

    verb: str

    def __init__(self, name: str | None = None, **inputs: Any) -> None:
        inputs.setdefault("executable", executable(self.verb))
        for option in options_of(
            self.verb
        ):  # pydra hashes files by content, so the name of a template becomes its file
            if option.takes_template and isinstance(inputs.get(option.name), str):
                inputs[option.name] = locate(inputs[option.name]).path
        super().__init__(name=name or type(self).__name__, **inputs)

    def command_args(self, root: str | None = None) -> list[str]:
        """Return the words of the command line."""
        if root is not None:
            raise NotImplementedError(
                "tasks of stnreg run where stnreg is installed; run the whole workflow in a container"
            )
        more = self.inputs.args
        more = [] if more is None or more is attrs.NOTHING else [more] if isinstance(more, str) else list(more)
        return [*self.inputs.executable, *words(self.verb, _values(self.verb, self.inputs)), *more]


def _values(verb: str, inputs: Any) -> dict[str, Any]:
    given = {option.name: getattr(inputs, option.name) for option in options_of(verb)}
    return with_outputs(verb, {name: value for name, value in given.items() if value is not attrs.NOTHING})


def _field(verb: str, option: Option) -> tuple[str, Any, dict[str, Any]]:
    is_written = option.name in written_options(verb)
    kind: Any = option.kind
    if kind is Path:  # the folder of a DICOM series is an image too
        kind = str if is_written else Union[File, Directory]  # noqa: UP007
    about: dict[str, Any] = {"help_string": option.help, "argstr": option.flag or ""}
    if option.choices:
        about["allowed_values"] = list(option.choices)
    if option.is_required and not is_written:
        about["mandatory"] = True
    return option.name, list[kind] if option.is_many else kind, about


def _result(verb: str, name: str, output: Output) -> tuple[str, Any, dict[str, Any]]:
    kind: Any = Directory if output.is_folder else File
    about = {"help_string": output.help, "callable": _finder(verb, output)}
    return name, list[kind] if output.is_many else kind, about


def _finder(verb: str, output: Output) -> Callable[..., Any]:
    """Return what finds an output once the command has run."""

    def find(output_dir: Path, inputs: Any) -> Any:
        path = output.find(_values(verb, inputs))
        if not path:
            return attrs.NOTHING
        return [Path(output_dir) / one for one in path] if isinstance(path, list) else Path(output_dir) / path

    return find


def _task(verb: str) -> type[StnregTask]:
    name = class_name(verb)
    fields = [_field(verb, option) for option in options_of(verb)]
    results = [_result(verb, key, output) for key, output in outputs_of(verb).items()]

    def fill(own: dict[str, Any]) -> None:
        own["__module__"] = __name__
        own["__doc__"] = f"`stnreg {verb}` as a task; its inputs are the options of the command."
        own["verb"] = verb
        own["input_spec"] = SpecInfo(name=f"{name}Inputs", fields=fields, bases=(ShellSpec,))
        own["output_spec"] = SpecInfo(name=f"{name}Outputs", fields=results, bases=(ShellOutSpec,))

    return types.new_class(name, (StnregTask,), exec_body=fill)


Register, ApplyTransform, Evaluate, Series, Batch = (_task(verb) for verb in VERBS)
