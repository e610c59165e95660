"""Check the installation: packages, device, networks and their hashes, other tools."""

import os
import platform
import shutil
import sys
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal, NamedTuple

from stnreg import __version__
from stnreg.baselines.recipes import HOW_TO_GET
from stnreg.errors import StnregError

Status = Literal["ok", "missing", "wrong"]

REQUIRED = ("numpy", "nibabel", "scipy", "isal", "pillow", "typer", "rich")
OPTIONAL = {
    "SimpleITK": "for DICOM folders, lanczos and simulated pairs: pip install SimpleITK",
    "h5py": "for transforms in .h5 where SimpleITK is missing: pip install h5py",
}
ONNXRUNTIMES = ("onnxruntime", "onnxruntime-gpu")
TRAINING = ("torch", "onnx", "onnxscript", "safetensors")
ENGINES = {
    # engine: (package, program, folder of the program)
    "simpleitk": ("SimpleITK", None, None),
    "ants": ("antspyx", None, None),
    "greedy": ("picsl_greedy", "greedy", None),
    "elastix": ("itk-elastix", None, None),
    "flirt": (None, "flirt", "FSLDIR"),
    "niimath": ("niimath", "niimath", None),
    "niftyreg": (None, "reg_aladin", None),
}
THREAD_VARIABLES = ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "NSLOTS", "PBS_NP")


class Finding(NamedTuple):
    """One line of `stnreg doctor`.

    Attributes
    ----------
    group, name : str
        The item that was checked.
    status : {"ok", "missing", "wrong"}
        "missing": not installed, but optional. "wrong": an error.
    detail : str
        A version, a device, a hash, or what to do.
    """

    group: str
    name: str
    status: Status
    detail: str


def examine() -> Iterator[Finding]:
    """Check everything that results depend on; yield one finding at a time."""
    yield Finding("system", "stnreg", "ok", f"{__version__}, {Path(__file__).parents[1]}")
    yield Finding("system", "python", "ok", f"{platform.python_version()}, {sys.executable}")
    yield Finding("system", "platform", "ok", platform.platform())
    yield from _packages()
    yield from _networks()
    yield from _device()
    yield _threads()
    for engine, places in ENGINES.items():
        yield _engine(engine, *places)


def _packages() -> Iterator[Finding]:
    for name in REQUIRED:
        found = _version(name)
        yield Finding("package", name, *(("ok", found) if found else ("wrong", f"needed: pip install {name}")))
    runtimes = {name: found for name in ONNXRUNTIMES if (found := _version(name))}
    for name, found in runtimes.items():
        yield Finding("package", name, "ok", found)
    if len(runtimes) != 1:
        fault = "both builds are installed and overwrite each other's files: uninstall both, then install one"
        none = "needed: pip install onnxruntime-gpu (or onnxruntime, without a GPU)"
        yield Finding("package", "onnxruntime", "wrong", fault if runtimes else none)
    for name, how in OPTIONAL.items():
        found = _version(name)
        yield Finding("package", name, *(("ok", found) if found else ("missing", how)))
    for name in TRAINING:
        found = _version(name)
        how = "for `stnreg train`: pip install 'stnreg[train]'"
        yield Finding("package", name, *(("ok", found) if found else ("missing", how)))


def _networks() -> Iterator[Finding]:
    from stnreg.models import card as weights
    from stnreg.registration.anatomy.load import check_calibration

    try:
        names = weights.shipped()
    except StnregError as error:
        yield Finding("network", "weights", "wrong", str(error))
        return
    for name in names:
        try:
            found = weights.find(name)
            weights.read_checked(found)
            check_calibration(found)
        except StnregError as error:
            yield Finding("network", name, "wrong", str(error))
        else:
            yield Finding("network", name, "ok", f"sha256 {found.sha256}")


def _device() -> Iterator[Finding]:
    """Run a network: onnxruntime lists devices that it was built for, even if they do not work."""
    try:
        import onnxruntime
    except ImportError as error:
        yield Finding("device", "onnxruntime", "wrong", f"cannot be imported ({error})")
        return
    from stnreg.models.card import names
    from stnreg.models.runtime import CPU, gpu_count, open_session

    yield Finding("device", "built with", "ok", ", ".join(onnxruntime.get_available_providers()))
    gpus = gpu_count()
    yield Finding("device", "NVIDIA GPUs", "ok" if gpus else "missing", str(gpus))
    try:
        provider = open_session(names()[0], threads=1).get_providers()[0]
    except (StnregError, IndexError) as error:
        yield Finding("device", "runs on", "wrong", str(error) or "no network to run")
        return
    is_idle = gpus > 0 and provider == CPU
    how = " (the GPU's libraries are missing: pip install 'onnxruntime-gpu[cuda,cudnn]')" if is_idle else ""
    yield Finding("device", "runs on", "wrong" if is_idle else "ok", provider + how)


def _threads() -> Finding:
    from stnreg.core.threads import default_threads

    source = next((name for name in THREAD_VARIABLES if os.environ.get(name)), "the cores that this process may use")
    return Finding("device", "threads", "ok", f"{default_threads()}, by {source}")


def _engine(engine: str, package: str | None, program: str | None, variable: str | None) -> Finding:
    found = _version(package) if package else None
    if found:
        return Finding("tool", engine, "ok", f"{package} {found}")
    home = os.environ.get(variable, "") if variable else ""
    folders = [f"{home}/bin", f"{home}/share/fsl/bin"] if home else []
    path = shutil.which(program, path=os.pathsep.join([*folders, os.environ.get("PATH", "")])) if program else None
    return Finding("tool", engine, "ok", path) if path else Finding("tool", engine, "missing", HOW_TO_GET[engine])


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None
