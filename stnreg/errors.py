"""Exit codes, and the errors that stand for them. A message says what was expected, what came, and what to do."""

from enum import IntEnum


class ExitCode(IntEnum):
    """What a shell sees after `stnreg`."""

    OK = 0
    DEFECT = 1  # ours
    USAGE = 2
    FAILED = 3  # done, but rejected by the quality assessment
    DATA = 4  # an input that cannot be used, or an output that cannot be written
    INTERRUPTED = 130
    TERMINATED = 143


class StnregError(Exception):
    """Root of everything raised on purpose.

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
    """The command line asks for something that cannot be."""

    exit_code = ExitCode.USAGE


class DataError(StnregError, ValueError):
    """A file or an array that cannot be used, named in the message."""

    exit_code = ExitCode.DATA


class GeometryError(DataError):
    """A grid or a matrix that is not what it should be."""


class TransformError(DataError):
    """A transform file that is not a linear map we can read."""
