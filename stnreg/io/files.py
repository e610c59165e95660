"""Files as people count on them: checked with a clear word, written whole or not at all."""

import os
from collections.abc import Iterable
from pathlib import Path

from stnreg.errors import DataError, UsageProblem


def check_input(path: str | os.PathLike[str]) -> Path:
    """Return the path of a readable file.

    Raises
    ------
    DataError
        If there is none, or it is a folder, empty, or not ours to read.
    """
    found = Path(path)
    try:
        if found.is_dir():
            raise DataError(f"{found}: is a folder; a file was expected. (DICOM? Convert it with dcm2niix first.)")
        if not found.exists():
            raise DataError(f"{found}: there is no such file.")
        if found.is_file() and found.stat().st_size == 0:
            raise DataError(f"{found}: the file is empty.")
    except OSError as error:
        raise DataError(f"{found}: cannot be read ({error.strerror or error}).") from error
    if not os.access(found, os.R_OK):
        raise DataError(f"{found}: cannot be read (permission denied).")
    return found


def check_output(path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """Return a path that can be written, before any work is done for it.

    Parameters
    ----------
    path : path
        The output.
    inputs : paths
        Files that the output must not be.

    Raises
    ------
    DataError
        If its folder is missing or not ours to write.
    UsageProblem
        If it is also an input.
    """
    output = Path(path)
    folder = output.parent
    if output.is_dir():
        raise DataError(f"{output}: is a folder; give the name of a file.")
    if not folder.is_dir():
        raise DataError(f"{output}: there is no folder {folder}. Make it first.")
    if not os.access(folder, os.W_OK):
        raise DataError(f"{output}: cannot be written (permission denied in {folder}).")
    for other in inputs:
        if output == Path(other) or (output.exists() and Path(other).exists() and output.samefile(other)):
            raise UsageProblem(f"{output}: is an input too, and would be overwritten. Choose another output.")
    return output


def write_atomic(path: str | os.PathLike[str], *parts: bytes | memoryview) -> None:
    """Write a file whole or not at all: beside its place first, then renamed into it.

    Parameters
    ----------
    path : path
        Where the file ends up; a link is followed.
    *parts : bytes
        Written one after the other.

    Raises
    ------
    DataError
        If it cannot be written; nothing is left behind.
    """
    final = Path(os.path.realpath(path))
    if final.exists() and not final.is_file():  # /dev/null, /dev/stdout, a pipe: nothing to rename onto
        _write(final, parts, path)
        return
    beside = final.with_name(f".{final.name}.{os.getpid()}.part")
    try:
        _write(beside, parts, path)
        try:
            os.replace(beside, final)
        except OSError as error:
            raise DataError(f"{path}: cannot be written ({error.strerror or error}).") from error
    finally:
        beside.unlink(missing_ok=True)


def _write(target: Path, parts: Iterable[bytes | memoryview], path: str | os.PathLike[str]) -> None:
    try:
        with open(target, "wb") as stream:
            stream.writelines(parts)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}).") from error
