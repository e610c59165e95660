"""A trained network, as it is exported."""

from dataclasses import dataclass
from typing import Any

from torch import nn


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
    """

    model: nn.Module
    input_name: str
    output_name: str
    input_shape: tuple[int, ...]
    card: dict[str, Any]
