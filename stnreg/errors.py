"""Exit codes and exceptions. A message says what was expected, what was found, and what to do."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of `stnreg`."""

    OK = 0
    DEFECT = 1  # internal error
    USAGE = 2
    FAILED = 3  # done, but rejected by the quality assessment
    DATA = 4  # unusable input, or an output that cannot be written
    INTERRUPTED = 130
    TERMINATED = 143


class StnregError(Exception):
    """Base class of all exceptions that stnreg raises.

    Parameters
    ----------
    message : str
    argument : str, optional
        The argument that is the remedy, under its name in Python: a command adds the option of that name.
    """

    exit_code = ExitCode.DEFECT

    def __init__(self, message: str = "", *, argument: str | None = None) -> None:
        super().__init__(message)
        self.argument = argument


class UsageProblem(StnregError):
    """Invalid arguments or options."""

    exit_code = ExitCode.USAGE


class DataError(StnregError, ValueError):
    """A file or an array that cannot be used; the message names it."""

    exit_code = ExitCode.DATA


class GeometryError(DataError):
    """An invalid grid or matrix."""


class TransformError(DataError):
    """A transform file that cannot be read, or a transform that cannot be used."""
