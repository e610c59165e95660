"""What users of FSL, ANTs, NiftyReg and FreeSurfer type out of habit, and how it is said here."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from stnreg.transforms.io.ants_notation import ants_hint

FIXED_FIRST = "FIXED (first, without an option)"
MOVING_SECOND = "MOVING (second, without an option)"
MOVING_ALONE = "MOVING (without an option)"
NOTHING = "nothing"

_ALIGN = {
    "-ref": FIXED_FIRST,
    "-in": MOVING_SECOND,
    "-out": "-o OUT.nii.gz",
    "-omat": "-t OUT.fslmat",
    "-init": "--init fsl:FILE",
    "-dof": "--dof N",
    "-interp": "--interp NAME",
    "-inweight": "--moving-mask FILE",
    "-refweight": "--fixed-mask FILE",
    "-applyxfm": "the command stnreg apply-transform",
    "-d": NOTHING,
    "-f": FIXED_FIRST,
    "-m": MOVING_SECOND,
    "-i": "FIXED MOVING (without an option)",
    "-x": "--fixed-mask FILE",
    "-n": "--interp NAME",
    "-flo": MOVING_SECOND,
    "-aff": "-t OUT.tfm",
    "-res": "-o OUT.nii.gz",
    "--fixed": FIXED_FIRST,
    "--fixed-image": FIXED_FIRST,
    "--reference": FIXED_FIRST,
    "--dst": FIXED_FIRST,
    "--targ": FIXED_FIRST,
    "--moving": MOVING_SECOND,
    "--moving-image": MOVING_SECOND,
    "--input": MOVING_SECOND,
    "--mov": MOVING_SECOND,
    "--mapmov": "-o OUT.nii.gz",
    "--lta": "-t OUT.lta",
}
_APPLY = {
    "-ref": "-r REFERENCE",
    "-in": MOVING_ALONE,
    "-out": "-o OUT.nii.gz",
    "-init": "-t fsl:FILE",
    "-omat": "--write-composed OUT.fslmat",
    "-applyxfm": NOTHING,
    "-interp": "--interp NAME",
    "-d": NOTHING,
    "-i": MOVING_ALONE,
    "-m": MOVING_ALONE,
    "-f": "--background X",
    "-n": "--interp NAME",
    "-flo": MOVING_ALONE,
    "-trans": "-t FILE",
    "-res": "-o OUT.nii.gz",
    "--input": MOVING_ALONE,
    "--mov": MOVING_ALONE,
    "--moving": MOVING_ALONE,
    "--reference-image": "-r REFERENCE",
    "--fixed": "-r REFERENCE",
    "--targ": "-r REFERENCE",
    "--interpolation": "--interp NAME",
    "--default-value": "--background X",
    "--dimensionality": NOTHING,
    "--lta": "-t FILE.lta",
    "--o": "-o OUT.nii.gz",
}
HABITS = {"register": _ALIGN, "baseline": _ALIGN, "apply-transform": _APPLY}
EXAMPLES = {
    "register": "stnreg register FIXED MOVING -o OUT.nii.gz -t OUT.tfm",
    "baseline": "stnreg baseline FIXED MOVING -o OUT.nii.gz -t OUT.tfm --method greedy",
    "apply-transform": "stnreg apply-transform MOVING -r REFERENCE -t FILE.tfm -o OUT.nii.gz",
}


def foreign_options(verb: str, words: Sequence[str]) -> str | None:
    """Return what to write instead of another tool's options; None where there are none.

    Parameters
    ----------
    verb : str
    words : sequence of str
        The command line after the verb, without what the verb knows as its own.
    """
    known = HABITS.get(verb, {})
    options = list(words[: words.index("--")] if "--" in words else words)
    found = list(dict.fromkeys(word for word in options if word in known and not Path(word).exists()))
    if found:
        instead = "; ".join(f"{known[word]} for {word}" for word in found)
        return f"these are not options of stnreg {verb}: {', '.join(found)}. Write {instead}. Example: {EXAMPLES[verb]}"
    return _split_inverse(options)


def _split_inverse(words: Iterable[str]) -> str | None:
    """Find `[x.tfm, 1]`, which a shell takes apart at the blank."""
    previous = ""
    for word in words:
        if previous.startswith("[") and previous.endswith(",") and word in ("0]", "1]"):
            return ants_hint(previous + word)
        previous = word
    return None
