"""onnxruntime sessions on the requested device, or an error that says what is missing."""

import ctypes
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stnreg.core.threads import default_threads
from stnreg.errors import DataError, UsageProblem
from stnreg.models.card import Weights, find, read_checked
from stnreg.models.onnx_file import inspect

if TYPE_CHECKING:
    from onnxruntime import InferenceSession, RunOptions

MANY_IMAGES = 40
"""From this many images `auto` uses CUDA: it takes 1.8 s longer to start, and gains 0.04 s an image over 16 cores
(docs/speed.md)."""
CUDA, CPU = "CUDAExecutionProvider", "CPUExecutionProvider"


def open_session(weights: Weights | str, *, threads: int | None = None, device: str = "auto") -> "InferenceSession":
    """Open a trained network for inference.

    Parameters
    ----------
    weights : Weights or str
        The result of `card.find`, or a name or path for it.
    threads : int, optional
        Of the CPU; `default_threads()` by default. The same number gives the same bits.
    device : str
        `auto` (a GPU if one works), `cpu` or `cuda[:N]`.

    Raises
    ------
    DataError
        If the file does not match its sidecar, has external data, or is not a network.
    UsageProblem
        If `cuda` is requested and does not work, or the device is none of these.
    """
    weights = find(weights) if isinstance(weights, str) else weights
    index = parse_device(device)
    content = read_checked(weights)
    try:
        found = inspect(content)
        if found.has_external_data:
            raise DataError("keeps weights in another file; export it as one file")
        if found.foreign_operators:
            raise DataError(f"uses {', '.join(found.foreign_operators)[:200]}, which no network of stnreg does")
    except DataError as error:
        raise DataError(f"{weights.path}: {error}") from error
    if device == "auto":
        index = 0 if gpu_count() else None
    session = _create(content, weights, default_threads() if threads is None else threads, index)
    # onnxruntime drops a provider that fails to load without an exception.
    if index is not None and CUDA not in session.get_providers():
        if device != "auto":
            raise UsageProblem(
                f"device {device}: there is a GPU, but onnxruntime runs on {session.get_providers()[0]}; install "
                "its libraries (pip install 'onnxruntime-gpu[cuda,cudnn]') or use the device cpu"
            )
        index = None
    return session


def device_for(device: str, images: int) -> str:
    """Return the device for a number of images: for a few, the CPU is faster than loading CUDA.

    Parameters
    ----------
    device : str
        As `open_session` takes it; only `auto` depends on the number.
    images : int
    """
    return "cpu" if device == "auto" and images < MANY_IMAGES else device


def run_network(
    session: "InferenceSession",
    weights: Weights,
    inputs: Mapping[str, NDArray[np.float32]],
    output: str,
    *,
    give_back: bool = False,
) -> NDArray[np.float32]:
    """Return one output of a network.

    Parameters
    ----------
    session : InferenceSession
    weights : Weights
        What it was opened from, for the message.
    inputs : mapping of str to float32 array
    output : str
    give_back : bool
        Whether memory that the run took on the CPU is freed after it: otherwise the session keeps it for the next run.

    Raises
    ------
    DataError
        If the network fails on these inputs: it is not the one that its sidecar describes.
    """
    try:
        how = (_frees(session),) if give_back else ()
        (found,) = session.run([output], dict(inputs), *how)
    except Exception as error:  # onnxruntime's own exceptions share no base but this
        reason = str(error).strip().splitlines()[0][:200] if str(error).strip() else type(error).__name__
        raise DataError(f"{weights.path}: this network fails on an image ({reason})") from error
    return found


def _frees(session: "InferenceSession") -> "RunOptions | None":
    """Return options of a run that frees its memory; None on a GPU, whose sessions need not keep any on the CPU."""
    if session.get_providers()[0] != CPU:
        return None
    from onnxruntime import RunOptions

    options = RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def parse_device(device: str) -> int | None:
    """Parse a device: the number of the GPU, None for `cpu` and `auto`.

    Raises
    ------
    UsageProblem
        If the name is invalid, or the GPU does not exist.
    """
    if device in ("auto", "cpu"):
        return None
    kind, _, number = device.partition(":")
    if kind != "cuda" or not (number.isdigit() or device == "cuda"):
        raise UsageProblem(f"device is auto, cpu or cuda[:N], got {device!r}")
    index, count = int(number or 0), gpu_count()
    if index >= count:
        found = "no NVIDIA GPU" if count == 0 else f"{count} NVIDIA GPU{'s' if count > 1 else ''}"
        raise UsageProblem(f"device {device}: found {found} on this machine; use the device cpu or auto")
    return index


def gpu_count() -> int:
    """Return the number of GPUs of the NVIDIA driver.

    onnxruntime lists CUDA whenever it was built with it.
    """
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError:
        return 0
    count = ctypes.c_int(0)
    is_up = driver.cuInit(0) == 0 and driver.cuDeviceGetCount(ctypes.byref(count)) == 0
    return count.value if is_up else 0


def _create(content: bytes, weights: Weights, threads: int, gpu: int | None) -> "InferenceSession":
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # waiting threads free their core
    options.log_severity_level = 3  # errors only: stnreg reports a missing GPU itself
    options.use_deterministic_compute = True
    providers: list[str | tuple[str, dict[str, int]]] = [CPU]
    if gpu is not None and CUDA in onnxruntime.get_available_providers():
        onnxruntime.preload_dlls()  # loads CUDA libraries installed by pip
        onnxruntime.set_default_logger_severity(4)  # it warns of plugins that nobody asked for
        options.log_severity_level = 4
        # Full float32: rounded to TF32, transforms differed by half a millimetre from the CPU's.
        providers.insert(0, (CUDA, {"device_id": gpu, "use_tf32": 0}))
    try:
        return onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # onnxruntime's own exceptions share no base but this
        raise DataError(f"{weights.path}: onnxruntime cannot run this network ({error})") from error
