"""Shared by the engines: convert images, find and run programs, keep their output off stdout."""

import io
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.baselines.recipes import HOW_TO_GET
from stnreg.errors import DataError, GeometryError, UsageProblem
from stnreg.images.volume import Volume, save_volume


class EngineMissing(UsageProblem):
    """The engine of a method is not installed; the message says how to get it."""

    def __init__(self, engine: str) -> None:
        super().__init__(f"{engine} is not installed here. To get it: {HOW_TO_GET[engine]}.")


class EngineFailed(DataError):
    """An engine failed on these images; its last message follows."""


def check_grids(*volumes: Volume) -> None:
    """Raise DataError on sheared grids, which no engine supports."""
    for volume in volumes:
        if not volume.grid.is_orthonormal:
            raise GeometryError(
                f"{volume.path}: its voxel axes are not at right angles (a sheared sform), which no method here takes. "
                "Resample it first, for example with `stnreg apply-transform`."
            )


def to_simpleitk(volume: Volume) -> Any:
    """Convert a volume to a float32 SimpleITK image with the grid that stnreg reads, by the header rule."""
    import SimpleITK as sitk

    image = sitk.GetImageFromArray(volume.array.astype(np.float32))
    image.SetSpacing(volume.grid.spacing.tolist())
    image.SetOrigin(volume.grid.origin.tolist())
    image.SetDirection(volume.grid.direction.ravel().tolist())
    return image


def write_pair(fixed: Volume, moving: Volume, folder: Path) -> tuple[Path, Path]:
    """Write two float32 NIfTI files, qform and sform both from the grid that stnreg reads; return their paths."""
    paths = folder / "fixed.nii", folder / "moving.nii"
    for path, volume in zip(paths, (fixed, moving), strict=True):
        save_volume(path, volume.array, like=Volume(volume.array, volume.grid))
    return paths


def find_program(engine: str, name: str, *folders: str | None) -> str:
    """Return the path of an engine's program, from the folders or the PATH; EngineMissing without one."""
    where = os.pathsep.join([*(f for f in folders if f), os.environ.get("PATH", os.defpath)])
    found = shutil.which(name, path=where)
    if found is None:
        raise EngineMissing(engine)
    return found


def run_program(command: Sequence[str], environment: dict[str, str] | None = None) -> None:
    """Run a program without output; EngineFailed with its last message if it fails."""
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | (environment or {}),
        check=False,
    )
    if done.returncode != 0:
        name = Path(command[0]).name
        raise EngineFailed(f"{name} ended with status {done.returncode}. {last_words(done.stdout)}")


@contextmanager
def silent(engine: str) -> Iterator[None]:
    """Suppress what a library prints, also from C++; its exceptions become EngineFailed."""
    sys.stdout.flush()
    sys.stderr.flush()
    kept = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile(buffering=0) as log:
        os.dup2(log.fileno(), 1)
        os.dup2(log.fileno(), 2)
        said = io.TextIOWrapper(log, write_through=True)
        try:
            with redirect_stdout(said), redirect_stderr(said):
                yield
        except (RuntimeError, ValueError) as error:  # exceptions of ITK's wrappers
            log.seek(0)
            reason = last_words(str(error).encode()) or last_words(log.read()) or "it gave no reason"
            raise EngineFailed(f"{engine} gave up: {reason}") from error
        finally:
            said.detach()
            for copy, stream in zip(kept, (1, 2), strict=True):
                os.dup2(copy, stream)
                os.close(copy)


def last_words(output: bytes) -> str:
    """Return the last line that is not empty, or an empty string."""
    lines = [line.strip() for line in output.decode("utf-8", "replace").splitlines() if line.strip()]
    return lines[-1][:300] if lines else ""
