"""The options of a command as it declares them, and the command line that values of them make."""

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from stnreg.cli import Verbs
from stnreg.commands._verb import is_argument, may_be_alone
from stnreg.errors import UsageProblem


@dataclass(frozen=True)
class Option:
    """An option or argument of a command.

    Attributes
    ----------
    name : str
        That of the option with `_` for `-`, as `fixed_mask`.
    flag, off : str or None
        As `--refine` and `--no-refine`; an argument has no flag.
    kind : type
        bool, int, float, str or Path.
    choices : tuple of str
        What it may be; empty for anything.
    is_many : bool
        Whether it takes a list.
    is_required : bool
    may_be_alone : bool
        Whether it may stand without a value, which is then the empty text.
    takes_template : bool
        Whether the name of a template may stand for a file.
    help : str
    """

    name: str
    flag: str | None
    off: str | None
    kind: type
    choices: tuple[str, ...]
    is_many: bool
    is_required: bool
    may_be_alone: bool
    takes_template: bool
    help: str


@cache
def options_of(verb: str) -> tuple[Option, ...]:
    """Return the options of a command, but not those that print something and exit, as `--help`."""
    command: Any = Verbs().get_command(None, verb)
    return tuple(_option(parameter) for parameter in command.params if not parameter.is_eager)


def _option(parameter: Any) -> Option:
    argument = is_argument(parameter)
    kind = parameter.type_descriptor.annotation
    while get_origin(kind) is list:
        (kind,) = get_args(kind)
    choices = tuple(map(str, get_args(kind))) if get_origin(kind) is Literal else ()
    flag = None if argument else next(name for name in parameter.opts if name.startswith("--"))
    return Option(
        name=parameter.name if flag is None else flag.removeprefix("--").replace("-", "_"),
        flag=flag,
        off=next(iter(parameter.secondary_opts), None),
        kind=str if choices else kind,
        choices=choices,
        is_many=parameter.nargs == -1 or bool(getattr(parameter, "multiple", False)),
        is_required=bool(parameter.required),
        may_be_alone=may_be_alone(parameter),
        takes_template=kind is Path and "template" in (parameter.help or ""),
        help=" ".join((parameter.help or "").split()),
    )


def executable(verb: str) -> list[str]:
    """Return the words that run a command with this very installation, whatever the PATH says."""
    return [sys.executable, "-m", "stnreg", verb]


def words(verb: str, values: Mapping[str, Any]) -> list[str]:
    """Return the words of a command line after the command.

    Parameters
    ----------
    verb : str
    values : mapping
        By name of the option; None where it is not given.

    Raises
    ------
    UsageProblem
        If there is no such option.
    """
    known = {option.name for option in options_of(verb)}
    if unknown := sorted(set(values) - known):
        raise UsageProblem(f"stnreg {verb} has no option {', '.join(unknown)}; it has {', '.join(sorted(known))}")
    arguments, rest = [], []
    for option in options_of(verb):
        value = values.get(option.name)
        if value is None:
            continue
        if option.flag is None:
            arguments += _list_of(value)
        elif option.kind is bool:
            rest += [flag for flag in (option.flag if value else option.off,) if flag is not None]
        elif option.may_be_alone and not str(value):
            rest.append(option.flag)
        else:
            rest += [word for one in _list_of(value) for word in (option.flag, one)]
    return [*arguments, *rest]


def _list_of(value: Any) -> list[str]:
    is_list = isinstance(value, Sequence) and not isinstance(value, str)
    return [str(one) for one in value] if is_list else [str(value)]
