"""Weights in half precision: rounded to float16, stored so, and computed with in float32."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

LEAST_VALUES = 256  # of a tensor, for it to be worth a node
BITS, LARGE, WIDE = 3, 60_000, 96  # of `coarsely_rounded`
MOST, MOST_OF_WIDE = 31, 3
STEPS = (0, -24, -1)  # exponents of the powers of two that constants are multiples of


def rounded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return float32 weights rounded to what float16 holds; statistics and single numbers stay as they are."""
    return {
        name: value.half().float() if value.dtype == torch.float32 and value.numel() >= LEAST_VALUES else value
        for name, value in weights.items()
    }


def coarsely_rounded(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return float32 weights rounded so that files of them compress: convolutions keep a few bits each.

    Those of at least `LARGE` weights keep 63 values each, multiples of a power of two, and the widest of them, which
    see coarse features, seven; the others keep `BITS` bits behind the first one. All else is rounded as by `rounded`.
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
    """Store the large float32 constants of an ONNX graph as float16 or int8, each with nodes that give it back.

    onnxruntime runs these nodes once, when it opens the network. A constant that is a few multiples of a power of two
    becomes int8, one that float16 holds exactly becomes float16, and any other stays as it is.

    Parameters
    ----------
    graph : onnx.GraphProto
        Changed in place.
    """
    from onnx import TensorProto, helper, numpy_helper

    nodes = []
    for constant in list(graph.initializer):
        if constant.data_type != TensorProto.FLOAT:
            continue
        values, name = numpy_helper.to_array(constant), constant.name
        if values.size < LEAST_VALUES:
            continue
        with np.errstate(over="ignore"):
            half = values.astype(np.float16)
        if (step := power_of_two(values)) is not None:
            constant.CopyFrom(numpy_helper.from_array((values / step).astype(np.int8), f"{name}_steps"))
            graph.initializer.append(numpy_helper.from_array(np.array(step, np.float32), f"{name}_step"))
            nodes.append(helper.make_node("Cast", [f"{name}_steps"], [f"{name}_cast"], to=TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", [f"{name}_cast", f"{name}_step"], [name]))
        elif np.array_equal(half.astype(np.float32), values):
            constant.CopyFrom(numpy_helper.from_array(half, f"{name}_half"))
            nodes.append(helper.make_node("Cast", [f"{name}_half"], [name], name=f"cast_{name}", to=TensorProto.FLOAT))
    nodes.extend(graph.node)
    del graph.node[:]
    graph.node.extend(nodes)


def power_of_two(values: NDArray[np.float32]) -> float | None:
    """Return the largest power of two, 1 at most, of which all values are multiples that int8 holds; None without one.

    Parameters
    ----------
    values : (...) float32
    """
    largest = float(np.abs(values).max(initial=0))
    for exponent in range(*STEPS):
        step = 2.0**exponent
        if largest <= 127 * step and np.array_equal(np.rint(values / step) * step, values):
            return step
    return None
