"""From words of a command line to values, without pydantic: typer loads it for that, in each process, for 0.1 s.

Only values that are plainly right are converted here. All others go to typer, which says what is wrong with them.
"""

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

INTEGER = re.compile(r"[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class NotPlainError(ValueError):
    """A value is wrong, or of a kind that is not known here."""


class PlainValue:
    """What typer asks to convert the value of a parameter, in place of its own `RuntimeParam`."""

    def coerce(self, value: Any, param: Any, ctx: Any) -> Any:
        """Return the value as the command takes it.

        Parameters
        ----------
        value : str, list of str, or a default that is converted already
        param, ctx
            Of typer.

        Raises
        ------
        typer.BadParameter
            By typer itself, if the value is wrong.
        """
        if value is None:
            return () if param.multiple or param.nargs == -1 else None
        try:
            return plain_value(value, param.type_descriptor.annotation, param.type_descriptor.parameter_info)
        except NotPlainError:
            param._runtime_param = None  # typer then makes its own
            return param.get_runtime_param().coerce(value, param=param, ctx=ctx)


def convert_plainly(parameters: Iterable[Any]) -> None:
    """Have the values of parameters of typer converted here, as far as they are plain."""
    for parameter in parameters:
        parameter._runtime_param = PlainValue()


def plain_value(value: Any, kind: Any, info: Any) -> Any:
    """Convert a value to str, bool, int, float, Path, one of a Literal, or a list of these.

    Parameters
    ----------
    value : str, list, or what is converted already
    kind : type
        The annotation of the parameter.
    info
        What typer knows of it; `min` and `max` are looked at.

    Raises
    ------
    NotPlainError

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> plain_value(["a.nii", "b.nii"], list[str], SimpleNamespace())
    ['a.nii', 'b.nii']
    >>> plain_value("12", Literal[6, 12], SimpleNamespace())
    12
    """
    if get_origin(kind) is list:
        if not isinstance(value, (list, tuple)):
            raise NotPlainError
        return [plain_value(one, get_args(kind)[0], info) for one in value]
    if get_origin(kind) is Literal:
        chosen = [choice for choice in get_args(kind) if value == choice or value == str(choice)]
        if not chosen:
            raise NotPlainError
        return chosen[0]
    if kind in (str, bool) and type(value) is kind:
        return value
    if kind is Path and isinstance(value, (str, Path)):
        return Path(value)
    if kind in (int, float):
        return _number(value, kind, info)
    raise NotPlainError


def _number(value: Any, kind: type, info: Any) -> int | float:
    if isinstance(value, str):
        if not (INTEGER if kind is int else NUMBER).fullmatch(value):
            raise NotPlainError
    elif type(value) is not kind:
        raise NotPlainError
    found: int | float = kind(value)
    low, high = getattr(info, "min", None), getattr(info, "max", None)
    if (low is not None and found < low) or (high is not None and found > high):
        raise NotPlainError
    return found
