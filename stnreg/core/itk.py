"""SimpleITK, where it is installed: a small installation goes without it."""

from functools import cache
from importlib.util import find_spec
from typing import Any

from stnreg.errors import UsageProblem


@cache
def has_itk() -> bool:
    """Return whether SimpleITK is installed."""
    return find_spec("SimpleITK") is not None


def load_itk() -> None:
    """Import SimpleITK, if it is installed: where there is time for it, since it takes 50 ms."""
    if has_itk():
        import SimpleITK  # noqa: F401


def itk_for(purpose: str) -> Any:
    """Return the module SimpleITK.

    Parameters
    ----------
    purpose : str
        What needs it, at the beginning of the message.

    Raises
    ------
    UsageProblem
        If it is not installed.
    """
    if not has_itk():
        raise UsageProblem(f"{purpose} needs SimpleITK, which is not installed here: pip install SimpleITK")
    import SimpleITK

    return SimpleITK
