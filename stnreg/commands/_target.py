"""What to register to, as people say it: a template by its name, and `--to rigid` for six degrees of freedom."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from stnreg.errors import UsageProblem

DOF = {"rigid": 6, "similarity": 7, "affine": 12, "deform": 12}

To = Annotated[
    Literal["rigid", "similarity", "affine", "deform"] | None,
    typer.Option(
        metavar="rigid|similarity|affine|deform",
        help="Kind of transform, in place of --dof and --deform: rigid is --dof 6, similarity --dof 7, affine --dof "
        "12, and deform --dof 12 --deform. rigid to MNI152 aligns a head to AC-PC without changing its size.",
    ),
]


def _print_templates(wanted: bool) -> None:
    if wanted:
        from stnreg.images.templates import templates_here
        from stnreg.reports.streams import show_table

        rows = [(one.name, one.about, str(one.path)) for one in templates_here()]
        show_table(("template", "what it is", "file"), rows)
        raise typer.Exit


ListTemplates = Annotated[
    bool,
    typer.Option(
        "--list-templates",
        help="List the templates that can be given by name, and exit.",
        callback=_print_templates,
        is_eager=True,
    ),
]


def target(context: Any, to: str | None, dof: int, deform: bool) -> tuple[int, bool]:
    """Return the degrees of freedom, and whether to deform.

    Parameters
    ----------
    context : typer.Context
        Knows whether --dof and --deform were given.
    to, dof, deform
        The options.

    Raises
    ------
    UsageProblem
        If --to and one of the others are given.
    """
    if to is None:
        return dof, deform
    for name in ("dof", "deform"):
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise UsageProblem(f"--to {to} and --{name}: choose one of the two")
    return DOF[to], to == "deform"


def located(image: Path) -> Path:
    """Return the file of an image argument: that of the template, if it is the name of one."""
    from stnreg.images.templates import locate
    from stnreg.reports.streams import note

    found = locate(image)
    for warning in found.warnings:
        note(f"warning: {warning}")
    return found.path
