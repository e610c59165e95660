"""Weights in half precision: rounded to float16, stored so, and computed with in float32."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

LEAST_VALUES = 256  # of a tensor, for it to be worth a node


def rounded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return float32 weights rounded to what float16 holds; statistics and single numbers stay as they are."""
    return {
        name: value.half().float() if value.dtype == torch.float32 and value.numel() >= LEAST_VALUES else value
        for name, value in weights.items()
    }


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
