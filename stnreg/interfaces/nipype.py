"""The commands as interfaces of nipype: `Register`, `ApplyTransform`, `Evaluate`, `Series`, `Batch`.

Their inputs are the options of the commands (`fixed_mask` for `--fixed-mask`); what is not set is left to the command.
An output that nobody names is written under a plain name in the folder of the node, as `moved.nii.gz`. A registration
that is rejected stops its node as any failed command does; `on_fail="warn"` lets it pass.

Examples
--------
    from nipype import Node
    from stnreg.interfaces.nipype import Register

    node = Node(Register(fixed="MNI152", moving="/data/sub-01_T1w.nii.gz", to="rigid"), name="acpc")
    print(node.run().outputs.output_file)
"""

import os
import shlex
from typing import Any

from stnreg import __version__
from stnreg.interfaces import VERBS, class_name
from stnreg.interfaces.declared import Option, executable, options_of, words
from stnreg.interfaces.written import outputs_of, with_outputs, written_options

try:
    from nipype.interfaces.base import (
        CommandLine,
        CommandLineInputSpec,
        Directory,
        File,
        InputMultiObject,
        TraitedSpec,
        isdefined,
        traits,
    )
except ImportError as error:
    raise ImportError("stnreg.interfaces.nipype needs nipype: pip install 'stnreg[nipype]'") from error

__all__ = ["ApplyTransform", "Batch", "Evaluate", "Register", "Series"]


class StnregCommand(CommandLine):
    """A command of stnreg as a node; its subclasses are generated."""

    verb: str

    def __init__(self, **inputs: Any) -> None:
        self._cmd = shlex.join(executable(self.verb))
        super().__init__(**inputs)

    @property
    def version(self) -> str:
        """The version of stnreg."""
        return __version__

    def _values(self) -> dict[str, Any]:
        given = {option.name: getattr(self.inputs, option.name) for option in options_of(self.verb)}
        return with_outputs(self.verb, {name: value for name, value in given.items() if isdefined(value)})

    def _run_interface(self, runtime: Any, correct_return_codes: Any = (0,)) -> Any:
        """Run the command; nipype itself lets a command pass that exits with another status but leaves its outputs."""
        runtime = super()._run_interface(runtime, correct_return_codes)
        if runtime.returncode not in correct_return_codes:
            said = (runtime.stderr or runtime.merged or "").strip()
            raise RuntimeError(f"{runtime.cmdline}\nended with status {runtime.returncode}: {said}")
        return runtime

    def _parse_inputs(self, skip: Any = None) -> list[str]:
        more = [self.inputs.args] if isdefined(self.inputs.args) else []
        return [shlex.quote(word) for word in words(self.verb, self._values())] + more

    def _list_outputs(self) -> dict[str, Any]:
        values, found = self._values(), {}
        for name, output in outputs_of(self.verb).items():
            path = output.find(values)
            if path:
                found[name] = [os.path.abspath(p) for p in path] if isinstance(path, list) else os.path.abspath(path)
        return found


def _trait(verb: str, option: Option) -> Any:
    about = {"desc": option.help, "mandatory": option.is_required and option.name not in written_options(verb)}
    if option.choices:
        one = traits.Enum(*option.choices, **about)
    elif option.kind is bool:
        return traits.Bool(**about)
    elif option.kind in (int, float):
        one = {int: traits.Int, float: traits.Float}[option.kind](**about)
    elif option.kind is str or option.name in written_options(verb):
        one = traits.Str(**about)
    else:  # the folder of a DICOM series is an image too
        kinds = [File(exists=True), Directory(exists=True), *([traits.Str()] if option.takes_template else [])]
        one = traits.Either(*kinds, **about)
    return InputMultiObject(one, **about) if option.is_many else one


def _interface(verb: str) -> type[StnregCommand]:
    name = class_name(verb)
    fields = {option.name: _trait(verb, option) for option in options_of(verb)}
    results = {}
    for key, output in outputs_of(verb).items():
        kind = Directory if output.is_folder else File
        results[key] = traits.List(kind(exists=True), desc=output.help) if output.is_many else kind(desc=output.help)
    body = {
        "__doc__": f"`stnreg {verb}` as a node; `help()` lists its inputs and outputs.",
        "verb": verb,
        "_cmd": f"stnreg {verb}",
        "input_spec": _named(f"{name}InputSpec", CommandLineInputSpec, fields),
        "output_spec": _named(f"{name}OutputSpec", TraitedSpec, results),
    }
    return _named(name, StnregCommand, body)


def _named(name: str, base: type, body: dict[str, Any]) -> Any:
    """Return a class that can be found under its name in this module, as pickling requires."""
    globals()[name] = made = type(name, (base,), {"__module__": __name__} | body)
    return made


Register, ApplyTransform, Evaluate, Series, Batch = (_interface(verb) for verb in VERBS)
