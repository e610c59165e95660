"""Weights in half precision: rounded to float16, stored so, and computed with in float32."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

LEAST_VALUES = 256  # of a tensor, for it to be worth a node
BITS, LARGE, WIDE = 3, 60_000, 96  # of `coarsely_rounded`
MOST, MOST_OF_WIDE = 7, 2


def rounded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return float32 weights rounded to what float16 holds; statistics and single numbers stay as they are."""
    return {
        name: value.half().float() if value.dtype == torch.float32 and value.numel() >= LEAST_VALUES else value
        for name, value in weights.items()
    }


def coarsely_rounded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return float32 weights rounded so that files of them compress: convolutions keep a few bits each.

    Those of at least `LARGE` weights keep 15 values each, multiples of a power of two, and the widest of them, which
    see coarse features, five; the others keep `BITS` bits behind the first one. All else is rounded as by `rounded`.
    """
    found = rounded(weights)
    for name, value in weights.items():
        if value.dim() == 5:
            most = MOST_OF_WIDE if value.shape[0] >= WIDE else MOST
            large = value.numel() >= LARGE
            found[name] = (_few_values(value, most) if large else _few_bits(value)).half().float()
    return found


def _few_bits(value: Tensor) -> Tensor:
    mantissa, exponent = torch.frexp(value)
    scale = 2.0 ** (BITS + 1)
    return torch.ldexp(torch.round(mantissa * scale) / scale, exponent)


def _few_values(value: Tensor, most: int) -> Tensor:
    """Round to multiples of the power of two that leaves the least mean squared difference."""
    tried = [torch.round(value / step).clamp(-most, most) * step for step in (2.0**-n for n in range(20))]
    return min(tried, key=lambda one: float((one - value).square().mean()))


def store_in_half(graph: Any) -> None:
    """Store the large float32 constants of an ONNX graph as float16, each with a node that casts it back.

    onnxruntime casts them once, when it opens the network. A constant that float16 does not hold exactly stays.

    Parameters
    ----------
    graph : onnx.GraphProto
        Changed in place.
    """
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for constant in graph.initializer:
        if constant.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(constant)
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if values.size < LEAST_VALUES or not np.array_equal(half.astype(np.float32), values):
            continue
        name = constant.name
        constant.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
        casts.append(helper.make_node("Cast", [f"{name}_half"], [name], name=f"cast_{name}", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
