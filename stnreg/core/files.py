"""Check input and output files, and write files atomically."""

import os
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from glob import escape
from itertools import count
from pathlib import Path
from typing import BinaryIO

from stnreg.errors import DataError, UsageProblem

ANNEX, LARGEST_POINTER = "annex/objects/", 1024
LONGEST_NAME = 240  # bytes; file systems allow 255
MOVES_OPEN_FILES = os.name != "nt"
"""Whether a file can be renamed or removed while it is open; on Windows it has to be closed first."""


def check_input(path: str | os.PathLike[str], *, folder: bool = False) -> Path:
    """Check that a file is readable, and return its path.

    Parameters
    ----------
    path : path
    folder : bool
        Allow a folder, as of a DICOM series.

    Raises
    ------
    DataError
        If it is missing, a folder, empty, or not readable.
    """
    found = Path(path)
    try:
        if found.is_dir() and not folder:
            raise DataError(f"{found}: is a folder; a file was expected.")
        _check_fetched(found)
        if not found.exists():
            raise DataError(f"{found}: there is no such file.")
        if found.is_file() and found.stat().st_size == 0:
            raise DataError(f"{found}: the file is empty.")
    except OSError as error:
        raise DataError(f"{found}: cannot be read ({error.strerror or error}).") from error
    if not os.access(found, os.R_OK):
        raise DataError(f"{found}: cannot be read (permission denied).")
    return found


def _check_fetched(path: Path) -> None:
    """Raise DataError on what git-annex (DataLad) or Git LFS leaves in place of a file that was not fetched."""
    if path.is_symlink() and not path.exists():
        target = os.readlink(path)
        if ANNEX in target:
            raise DataError(f"{path}: is not fetched, a link of git-annex. Fetch it: datalad get {path}")
        raise DataError(f"{path}: is a link to {target}, which is not there.")
    if not path.is_file() or not 0 < path.stat().st_size <= LARGEST_POINTER:
        return
    with open(path, "rb") as stream:
        head = stream.read(LARGEST_POINTER)
    if head.startswith(b"/annex/objects/"):
        raise DataError(f"{path}: is not fetched, a pointer of git-annex. Fetch it: datalad get {path}")
    if head.startswith(b"version https://git-lfs"):
        raise DataError(f"{path}: is not fetched, a pointer of Git LFS. Fetch it: git lfs pull --include {path}")


def check_output(path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]] = ()) -> Path:
    """Check that a path can be written, before any work is done, and return it.

    Parameters
    ----------
    path : path
        The output.
    inputs : paths
        Files that the output must not overwrite.

    Raises
    ------
    DataError
        If its folder is missing or not writable.
    UsageProblem
        If it is also an input.
    """
    output = Path(path)
    try:
        _check_place(output)
    except OSError as error:  # a name that is too long, a loop of links
        raise DataError(f"{output}: cannot be written ({error.strerror or error}).") from error
    for other in inputs:
        if output == Path(other) or (output.exists() and Path(other).exists() and output.samefile(other)):
            raise UsageProblem(f"{output}: is an input too, and would be overwritten. Choose another output.")
    return output


def _check_place(output: Path) -> None:
    if output.is_dir():
        raise DataError(f"{output}: is a folder; give the name of a file.")
    folder = output.parent
    if output.is_symlink():
        folder = Path(os.path.realpath(output)).parent
    if not folder.is_dir():
        raise DataError(f"{output}: there is no folder {folder}. Make it first.")
    if output.exists() and not os.access(output, os.W_OK):
        raise DataError(f"{output}: is there already and may not be overwritten (permission denied).")
    if not os.access(folder, os.W_OK) and not (output.exists() and not output.is_file()):
        raise DataError(f"{output}: cannot be written (permission denied in {folder}).")


def write_atomic(path: str | os.PathLike[str], *parts: bytes | memoryview) -> None:
    """Write parts to a file atomically; see `open_atomic`.

    Parameters
    ----------
    path : path
        The file; links are followed.
    *parts : bytes
        Written in order.

    Raises
    ------
    DataError
        If it cannot be written; nothing is left behind.
    """
    with open_atomic(path) as stream:
        stream.writelines(parts)


@contextmanager
def open_atomic(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """Open a file for atomic writing: a partial file in the same folder, which is renamed at the end.

    A partial file of a killed run is overwritten. Two runs that write the same file use different partial files; the
    last one to finish wins.

    Parameters
    ----------
    path : path
        The file; links are followed.

    Yields
    ------
    stream : BinaryIO
        Empty. After an exception in the block the partial file is removed, and an existing file is unchanged.

    Raises
    ------
    DataError
        If it cannot be written.
    """
    final = Path(os.path.realpath(path))
    try:
        if final.exists() and not final.is_file():  # /dev/null, /dev/stdout, a pipe: nothing to rename onto
            with open(final, "wb") as stream:
                yield stream
            return
        with _beside(final) as (stream, place):
            yield stream
            stream.flush()
            if not MOVES_OPEN_FILES:
                stream.close()
            os.replace(place, final)
    except OSError as error:
        raise DataError(f"{path}: cannot be written ({error.strerror or error}).") from error


def sweep_partial(path: str | os.PathLike[str]) -> None:
    """Remove partial files of killed runs, but not those of running ones.

    Parameters
    ----------
    path : path
        The output; links are followed.
    """
    final = Path(os.path.realpath(path))
    stem = _partial(final, 0)
    for place in final.parent.glob(f"{escape(stem.name)}*"):
        if place.name.removeprefix(stem.name).strip("0123456789"):
            continue  # of another output
        with suppress(OSError), open(place, "r+b") as stream:  # removed meanwhile, or no permission
            if _hold(stream, place):
                place.unlink()


def _partial(final: Path, attempt: int) -> Path:
    """Return the name of a partial file; unique to its output."""
    name = final.name if len(os.fsencode(final.name)) < LONGEST_NAME else f"{zlib.crc32(os.fsencode(final.name)):08x}"
    return final.with_name(f".{name}.part{attempt or ''}")


@contextmanager
def _beside(final: Path) -> Iterator[tuple[BinaryIO, Path]]:
    """Open and lock an empty partial file; it is removed at the end if it still exists."""
    for attempt in count():
        place = _partial(final, attempt)
        stream = open(place, "wb", opener=_keep_content)  # noqa: SIM115 (closed below, once it is renamed)
        if _hold(stream, place):
            break
        stream.close()
    try:
        stream.truncate(0)
        yield stream, place
    finally:
        is_left = stream.closed or _is_at(stream, place)  # closed: it is ours, or renamed and so not there
        if not MOVES_OPEN_FILES:
            stream.close()
        if is_left:
            place.unlink(missing_ok=True)
        stream.close()


def _keep_content(path: str, flags: int) -> int:
    """Open a file without truncation: another run may have locked it."""
    return os.open(path, flags & ~os.O_TRUNC, 0o666)


def _hold(stream: BinaryIO, place: Path) -> bool:
    """Lock an open file for the life of the process; False if another process has locked or renamed it."""
    try:
        import fcntl

        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except (ImportError, OSError):  # no locks on this system or file system
        pass
    return _is_at(stream, place)


def _is_at(stream: BinaryIO, place: Path) -> bool:
    """Return whether a path still is that open file."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), os.stat(place))
    except FileNotFoundError:
        return False
