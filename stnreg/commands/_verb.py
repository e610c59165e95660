"""How a command shows itself: `FIXED MOVING`, `N`, `FILE`, and not the type that Python has for them.

The pages in man/ are made from the same names.
"""

from pathlib import Path
from typing import Any, Literal, get_args, get_origin

from typer.core import TyperCommand

from stnreg.commands._habits import foreign_options
from stnreg.commands._values import convert_plainly

PLACEHOLDERS = {"int": "N", "float": "X", "str": "TEXT", "Path": "FILE"}


class Verb(TyperCommand):
    """A command whose usage, help and errors name values as people write them."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for parameter in self.params:
            if parameter.metavar is None and not getattr(parameter, "is_flag", False):
                parameter.metavar = _placeholder(parameter)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse a command line; options of other tools are answered with what they are called here."""
        args = _with_empty_values(args, {name for p in self.params if may_be_alone(p) for name in p.opts})
        if not ctx.resilient_parsing:
            ours = {name for parameter in self.get_params(ctx) for name in (*parameter.opts, *parameter.secondary_opts)}
            hint = foreign_options(str(self.name), [word for word in args if word not in ours])
            if hint is not None:
                ctx.fail(hint)
        convert_plainly(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the words after the command's name: brackets are what may be left out."""
        return ["[OPTIONS]", *(usage_of(parameter) for parameter in self.params if is_argument(parameter))]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the lists of arguments and options."""
        own: list[Any] = self.params
        arguments = [(parameter.metavar, parameter.help or "") for parameter in own if is_argument(parameter)]
        shown = (parameter.get_help_record(ctx) for parameter in self.get_params(ctx) if not is_argument(parameter))
        options = [record for record in shown if record is not None]
        for title, records in (("Arguments", arguments), ("Options", options)):
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)


def is_argument(parameter: Any) -> bool:
    """Tell whether a parameter stands without an option."""
    return bool(parameter.param_type_name == "argument")


def usage_of(argument: Any) -> str:
    """Return an argument as it stands in a line of usage."""
    name = argument.metavar + ("..." if argument.nargs == -1 else "")
    return name if argument.required else f"[{name}]"


def may_be_alone(parameter: Any) -> bool:
    """Tell whether an option may stand without its value: its metavar is in brackets, as `[DATASET]`."""
    return not is_argument(parameter) and str(parameter.metavar).startswith("[")


def _with_empty_values(words: list[str], options: set[str]) -> list[str]:
    """Give an empty value to those of `options` that no folder follows."""
    filled = []
    for place, word in enumerate(words):
        filled.append(word)
        if word in options and not any(Path(following).is_dir() for following in words[place + 1 : place + 2]):
            filled.append("")
    return filled


def _placeholder(parameter: Any) -> str:
    kind = parameter.type_descriptor.annotation
    while get_origin(kind) is list:
        (kind,) = get_args(kind)
    if get_origin(kind) is Literal:
        return "|".join(map(str, get_args(kind)))
    return PLACEHOLDERS.get(getattr(kind, "__name__", ""), str(parameter.name).upper())
