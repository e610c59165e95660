"""Table of the layers of a network, in the order in which they run."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

KINDS = (nn.Conv3d, nn.Linear)  # norms and activations follow them and keep the shape


@dataclass(frozen=True)
class Layer:
    """One layer.

    Parameters
    ----------
    name : str
        Its name in the state dict.
    does : str
        `conv 3x3x3 /2`, `linear`.
    channels : int
        Of its output.
    grid : tuple of int
        Voxels of its output; empty after the last convolution.
    weights : int
        Number of its weights.
    """

    name: str
    does: str
    channels: int
    grid: tuple[int, ...]
    weights: int


def layer_table(network: nn.Module, input_shape: tuple[int, ...]) -> list[Layer]:
    """Run a network on zeros, and record its layers.

    Parameters
    ----------
    network : nn.Module
    input_shape : tuple of int
        (N, C, D, H, W).
    """
    found: list[Layer] = []
    names = {module: name for name, module in network.named_modules()}

    def note(module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> None:
        weights = sum(parameter.numel() for parameter in module.parameters())
        found.append(
            Layer(names[module], _what(module), output.shape[1], tuple(int(n) for n in output.shape[2:]), weights)
        )

    hooks = [module.register_forward_hook(note) for module in names if isinstance(module, KINDS)]
    try:
        with torch.no_grad():
            network(torch.zeros(input_shape))
    finally:
        for hook in hooks:
            hook.remove()
    return found


def _what(module: nn.Module) -> str:
    if not isinstance(module, nn.Conv3d):
        return "linear"
    step = "" if module.stride[0] == 1 else f" /{module.stride[0]}"
    return f"conv {'x'.join(str(k) for k in module.kernel_size)}{step}"
