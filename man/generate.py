"""Write the man pages from the command line itself: man/stnreg.1 and one page per command.

`python man/generate.py` writes them beside this file and removes pages of commands that are gone;
`--check` writes nothing and exits 1 if a page is stale. The pages hold no date, so the same command line gives
the same bytes.
"""

import re
import sys
from functools import cache
from pathlib import Path
from typing import Any

import typer

from stnreg import cli
from stnreg.bids_app import command as bids_app

HERE = Path(__file__).resolve().parent

TRANSFORMS = """A transform takes fixed points to moving points, in LPS millimetres: what ITK stores and
what resampling needs. The ITK formats hold one AffineTransform_double_3_3 with its centre at 0, which ANTs, elastix,
3D Slicer and nitransforms read alike; use .tfm for Greedy, which reads a .mat as the identity. Give it to
antsApplyTransforms as it stands."""

EXIT_STATUS = (
    ("0", "Done."),
    ("1", "Internal error; run it again with --debug and report the traceback."),
    ("2", "Wrong usage."),
    ("3", "Done, but rejected by the quality assessment; the outputs are written."),
    ("4", "An input that cannot be read or used, or an output that cannot be written."),
    ("130, 143", "Interrupted; terminated."),
)

EXAMPLES = {
    "register": (
        ("A scan to MNI152, which comes with stnreg:", "stnreg register MNI152 sub-01_T1w.nii.gz -o in-mni.nii.gz"),
        ("The same, only turned upright (AC-PC):", "stnreg register MNI152 scan.nii.gz -o acpc.nii.gz --to rigid"),
        (
            "Align a head to another; moved.tfm is written too:",
            "stnreg register fixed.nii.gz moving.nii.gz -o moved.nii.gz",
        ),
        (
            "Two scans of one person, six degrees of freedom, with a picture:",
            "stnreg register first.nii.gz second.nii.gz -o second-on-first.nii.gz --dof 6 --qc check.png",
        ),
        (
            "A page that alternates between the two images, before and after, and scrolls through the slices:",
            "stnreg register fixed.nii.gz moving.nii.gz -o moved.nii.gz --qc check.html",
        ),
    ),
    "batch": (
        (
            "Every pair of a table, as many at once as the machine allows; look at out/index.html afterwards:",
            "stnreg batch pairs.csv -o out",
        ),
        ("Go on after an interruption, or after some scans were changed:", "stnreg batch pairs.csv -o out --resume"),
        ("Many scans to MNI152:", "stnreg batch --fixed MNI152 'sub-*/anat/*_T1w.nii.gz' -o out"),
        (
            "A BIDS dataset to a template, named as derivatives, transforms alone:",
            "stnreg batch --bids DATASET --fixed MNI152 -o derivatives --no-image",
        ),
        ("On the workers of a Dask cluster:", "stnreg batch pairs.csv -o out --dask tcp://scheduler:8786"),
    ),
    "apply-transform": (
        (
            "Bring labels along:",
            "stnreg apply-transform labels.nii.gz -r fixed.nii.gz -t moved.tfm -o moved-labels.nii.gz --interp label",
        ),
    ),
    "evaluate": (
        (
            "Label overlap and surface distance of a result:",
            "stnreg evaluate fixed.nii.gz moved.nii.gz --metrics dice,hd95,assd "
            "--fixed-labels fixed-labels.nii.gz --moved-labels moved-labels.nii.gz",
        ),
        (
            "The same from the moving labels and the transform, without and with it:",
            "stnreg evaluate fixed.nii.gz moving.nii.gz --warp --before --transform moved.tfm --metrics dice "
            "--fixed-labels fixed-labels.nii.gz --moved-labels moving-labels.nii.gz",
        ),
        (
            "Target error in mm against the truth:",
            "stnreg evaluate fixed.nii.gz moved.nii.gz --metrics tre --transform moved.tfm --truth truth.tfm",
        ),
        (
            "The mean Dice alone, for a script:",
            "stnreg evaluate ... | awk -F'\\t' '$1 == \"dice\" && $2 == \"mean\" {print $3}'",
        ),
    ),
    "baseline": (
        (
            "SimpleITK as an able user sets it up:",
            "stnreg baseline fixed.nii.gz moving.nii.gz -o sitk.nii.gz --method sitk-affine",
        ),
        ("What Greedy would be told:", "stnreg baseline --method greedy --print-recipe"),
    ),
    "simulate": (
        (
            "Twenty pairs of painted heads with label maps, on all cores:",
            "stnreg simulate heads -o pairs --labels anatomies/ --split 0,0,20",
        ),
        (
            "Follow-ups of one person, then measure a method on them:",
            "stnreg simulate heads --follow-up -o visits --labels anatomies/ --split 0,0,30",
        ),
        (
            "Known rotations of one scan:",
            "stnreg simulate rotated -o rotated --image head.nii.gz --split 1000,500,1000",
        ),
    ),
    "stnreg-bids": (
        ("Two people of a dataset:", "stnreg-bids DATASET OUT participant --participant-label 01 02"),
        ("Then one table and one page of all who were registered:", "stnreg-bids DATASET OUT group"),
        (
            "In a container:",
            "docker run --rm -v DATASET:/data:ro -v OUT:/out stnreg /data /out participant",
        ),
    ),
    "doctor": (("Is the network on the GPU?", "stnreg doctor | grep 'runs on'"),),
    "preprocess": (
        ("The cube that the network sees:", "stnreg preprocess head.nii.gz -o cubes --size 170 --spacing 1.5"),
    ),
    "pairs": (
        (
            "Every scan of a BIDS dataset to a template:",
            "stnreg pairs bids DATASET -o PAIRS.csv --fixed TEMPLATE.nii.gz",
        ),
        (
            "Two visits of each person of an ADNI download, with TADPOLE's table; what is missing goes to a list:",
            "stnreg pairs adni ADNI -o PAIRS.csv --kind longitudinal --table TADPOLE_D1_D2.csv --sequence 'MPR*Scaled' "
            "--split 1000,500,1000 --missing missing.csv",
        ),
    ),
    "calibrate": (
        (
            "From both exported networks to one that register takes:",
            "stnreg calibrate weights/anatomy.onnx --scans DATA",
        ),
        ("Is the sidecar what is measured today?", "stnreg calibrate weights/anatomy.onnx --scans DATA --check"),
    ),
    "train": (
        (
            "The published setting on pairs of one's own, on four GPUs:",
            "torchrun --nproc-per-node 4 -m stnreg train PAIRS.csv -o RUN --preset paper-separate",
        ),
        (
            "Go on with it:",
            "stnreg train -o RUN --resume",
        ),
        (
            "The network that register uses, from folders ixi/ and labelmaps/ in DATA:",
            "stnreg train -o RUN --model anatomy --scans DATA",
        ),
    ),
}


def pages() -> dict[str, str]:
    """Build every page.

    Returns
    -------
    pages : dict of str to str
        File name to roff.
    """
    group, context = _command_line()
    commands = {name: group.get_command(context, name) for name in group.list_commands(context)}
    built = {"stnreg.1": _page("stnreg", group, commands)}
    for name, command in commands.items():
        built[f"stnreg-{name}.1"] = _page(f"stnreg {name}", command, commands)
    built["stnreg-bids.1"] = _page("stnreg-bids", bids_app.command(), commands)
    return built


def stale() -> list[str]:
    """Name the files in man/ that differ from what this would write, or should not be there."""
    wanted = pages()
    found = {path.name: path.read_text() for path in HERE.glob("*.1")}
    return sorted(name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name))


@cache
def _command_line() -> tuple[Any, Any]:
    """The group of all commands, and the context that Typer asks for everywhere."""
    group: Any = typer.main.get_command(cli.app)
    return group, group.context_class(group, info_name="stnreg")


def _page(path: str, command: Any, commands: dict[str, Any]) -> str:
    name = path.replace(" ", "-")
    paragraphs = [" ".join(p.split()) for p in (command.help or "").split("\n\n")]
    lines = [f'.TH {name.upper()} 1 "" "stnreg" "User Commands"', ".SH NAME"]
    lines += [f"{_plain(name)} \\- {_plain(paragraphs[0].rstrip('.'))}"]
    lines += [".SH SYNOPSIS", f".B {path}", _synopsis(command)]
    lines += [".SH DESCRIPTION", "\n.PP\n".join(_plain(p) for p in paragraphs)]
    if hasattr(command, "list_commands"):
        lines += [".SH COMMANDS"]
        for verb, one in commands.items():
            lines += [".TP", rf"\fBstnreg\-{_plain(verb)}\fR(1)", _plain(one.get_short_help_str(200))]
    options = [p for p in command.params if p.param_type_name == "option" and "completion" not in p.name]
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    if arguments:
        lines += [".SH ARGUMENTS"]
        for parameter in arguments:
            lines += [".TP", rf"\fI{_plain(parameter.metavar)}\fR", _plain(_help(parameter))]
    lines += [".SH OPTIONS"]
    for parameter in options:
        lines += [".TP", _flags(parameter), _plain(_help(parameter))]
    lines += [".TP", r"\fB\-h\fR, \fB\-\-help\fR", "Show this message and exit."]
    lines += [".SH TRANSFORMS", _plain(" ".join(TRANSFORMS.split())), ".SH EXIT STATUS"]
    for status, meaning in EXIT_STATUS:
        lines += [".TP", rf"\fB{status}\fR", _plain(meaning)]
    examples = EXAMPLES.get(path.partition(" ")[2] or path, ())
    if examples:
        lines += [".SH EXAMPLES"]
    for says, line in examples:
        lines += [".PP", _plain(says), ".PP", ".nf", ".RS", _plain(line), ".RE", ".fi"]
    others = ["stnreg", *(f"stnreg-{verb}" for verb in commands), "stnreg-bids"]
    lines += [".SH SEE ALSO", ", ".join(rf"\fB{_plain(other)}\fR(1)" for other in others if other != name)]
    return "\n".join(lines) + "\n"


def _synopsis(command: Any) -> str:
    if hasattr(command, "list_commands"):
        return r"[\fIOPTIONS\fR] \fICOMMAND\fR [\fIARGS\fR]..."
    required = [p for p in command.params if p.param_type_name == "option" and p.required]
    arguments = [p for p in command.params if p.param_type_name == "argument"]
    words = []
    for parameter in arguments:
        name = rf"\fI{_plain(parameter.metavar)}\fR" + ("..." if parameter.nargs == -1 else "")
        words.append(name if parameter.required else f"[{name}]")
    words += [rf"{_flags(parameter)}" for parameter in required]
    return " ".join([*words, r"[\fIOPTIONS\fR]"])


def _flags(parameter: Any) -> str:
    flags = sorted([*parameter.opts, *parameter.secondary_opts], key=lambda flag: flag.startswith("--"))
    text = ", ".join(rf"\fB{_plain(flag)}\fR" for flag in flags)
    return text if parameter.is_flag else rf"{text} \fI{_plain(parameter.metavar)}\fR"


def _help(parameter: Any) -> str:
    text = " ".join((getattr(parameter, "help", None) or "").split())
    default = parameter.default
    shown = default not in (None, False, (), []) and not callable(default) and getattr(parameter, "show_default", True)
    shown = shown and "left out" not in text and default is not True and default is not ...
    return f"{text} Default: {default}." if shown else text


def _plain(text: str) -> str:
    """Escape what roff would read as its own."""
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"^([.'])", r"\\&\1", text, flags=re.MULTILINE).replace("`", "")


def main() -> int:
    """Write the pages, or say which are stale."""
    outdated = stale()
    if "--check" in sys.argv[1:]:
        for name in outdated:
            print(f"man/{name} is stale: run `make man`", file=sys.stderr)
        return bool(outdated)
    wanted = pages()
    for name in outdated:
        if name in wanted:
            (HERE / name).write_text(wanted[name])
        else:
            (HERE / name).unlink()
        print(f"man/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
