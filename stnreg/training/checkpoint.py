"""Checkpoints: everything to resume a run, in one file that is loaded without executing code."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stnreg.core.files import open_atomic, write_atomic
from stnreg.errors import DataError

FORMAT = 1


def save_checkpoint(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint atomically."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with open_atomic(path) as stream:
        try:
            torch.save({"format": FORMAT, **content}, stream)
        except RuntimeError as error:  # torch's, instead of the cause
            if isinstance(error.__context__, OSError):
                raise error.__context__ from None
            raise


def load_checkpoint(path: Path, device: str = "cpu") -> dict[str, Any]:
    """Read a checkpoint with `weights_only=True`: tensors, numbers and strings, never code.

    Raises
    ------
    DataError
        If the file is missing, is not a checkpoint, or has another format.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such checkpoint; name a .ckpt that `stnreg train` wrote")
    try:
        content = torch.load(path, map_location=device, weights_only=True)
    except Exception as error:  # torch raises exceptions of many classes
        raise DataError(f"{path}: not a checkpoint of stnreg ({type(error).__name__}: {error})") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise DataError(f"{path}: expected a checkpoint of format {FORMAT}; train again with this version")
    return content


def best_weights(content: dict[str, Any]) -> dict[str, Tensor]:
    """Return the weights of a checkpoint: their exponential moving average if stored."""
    return content["ema"] or content["model"]


def save_safetensors(path: Path, weights: dict[str, Tensor], metadata: dict[str, Any]) -> None:
    """Write weights as safetensors, `metadata` as JSON under the key `stnreg`; atomic."""
    from safetensors.torch import save

    # One key: safetensors orders its header by hash, so with two keys the bytes would vary between runs.
    header = {"stnreg": json.dumps(metadata, sort_keys=True)}
    data = save({name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}, header)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, data)


def load_weights(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Read initial weights from a .ckpt or a .safetensors.

    Returns
    -------
    weights : dict of Tensor
    metadata : dict
        `task`, `config` and `step` of their training run.

    Raises
    ------
    DataError
        If the file is missing or of another format.
    """
    if path.suffix != ".safetensors":
        content = load_checkpoint(path)
        return best_weights(content), {name: content[name] for name in ("task", "config", "step")}
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise DataError(f"{path}: no such file; name a .ckpt or .safetensors of stnreg")
    try:
        with safe_open(path, framework="pt") as file:
            weights = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
            header = file.metadata() or {}
    except SafetensorError as error:
        raise DataError(f"{path}: not a safetensors file ({error})") from error
    if "stnreg" not in header:
        raise DataError(f"{path}: these weights do not say what network they are of; expected metadata `stnreg`")
    return weights, json.loads(header["stnreg"])


def load_into(model: nn.Module, weights: dict[str, Tensor], origin: str) -> None:
    """Load weights into a network, strictly.

    Raises
    ------
    DataError
        Names the first weight that is missing, unexpected or of another shape.
    """
    own = model.state_dict()
    for name in sorted(own.keys() | weights.keys()):
        have, want = weights.get(name), own.get(name)
        if have is None or want is None or have.shape != want.shape:
            raise DataError(
                f"{origin}: made for another network: {name} is {_shape(have)}, this one has {_shape(want)}; "
                "use the same model and settings as the run that wrote it"
            )
    model.load_state_dict(weights)


def _shape(tensor: Tensor | None) -> str:
    return "absent" if tensor is None else str(tuple(tensor.shape))
