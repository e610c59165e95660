"""A trained network, as it is exported."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from stnreg.training.half import rounded


@dataclass(frozen=True)
class Released:
    """A trained network.

    Attributes
    ----------
    model : nn.Module
        With its weights, in evaluation mode.
    input_name, output_name : str
        Of the ONNX graph.
    input_shape : tuple of int
    card : dict
        `kind`, `size`, `spacing_mm`, `normalise`: what inference needs.
    opset : int
        Of ONNX.
    tolerance : float
        By how much onnxruntime and torch may differ, of the output's own size.
    blobs : bool
        Whether they are compared on smooth images in place of noise.
    rounding : callable
        How weights are rounded to be stored in half precision.
    """

    model: nn.Module
    input_name: str
    output_name: str
    input_shape: tuple[int, ...]
    card: dict[str, Any]
    opset: int = 18
    tolerance: float = 1e-4  # a normalised 1e-4 is 0.01 mm in a 256 mm cube
    blobs: bool = False
    rounding: Callable[[dict[str, Tensor]], dict[str, Tensor]] = rounded
