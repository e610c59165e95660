import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs onnx: pip install 'stnreg[train]'")

from stnreg.errors import DataError  # noqa: E402
from stnreg.models.onnx_file import inspect  # noqa: E402


def model(*, external=False, inside_a_branch=False):
    helper = onnx.helper
    tensor = onnx.numpy_helper.from_array(np.arange(3, dtype=np.float32), "w")
    if external:
        onnx.external_data_helper.set_external_data(tensor, location="other.bin")
        tensor.ClearField("raw_data")
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [3])
    if not inside_a_branch:
        node = helper.make_node("Identity", ["w"], ["y"])
        graph = helper.make_graph([node], "g", [], [output], [tensor])
    else:
        constant = helper.make_node("Constant", [], ["y"], value=tensor)
        branch = helper.make_graph([constant], "branch", [], [output])
        node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)
        condition = helper.make_tensor_value_info("c", onnx.TensorProto.BOOL, [])
        graph = helper.make_graph([node], "g", [condition], [output])
    return helper.make_model(graph).SerializeToString()


@pytest.mark.parametrize("inside_a_branch", [False, True])
@pytest.mark.parametrize("external", [False, True])
def test_outside_weights_are_found_wherever_they_hang(external, inside_a_branch):
    assert inspect(model(external=external, inside_a_branch=inside_a_branch)).has_external_data is external


@pytest.mark.parametrize("content", [b"\xff" * 40, b"<html>", model()[:-3]])
def test_what_is_no_protobuf_is_refused(content):
    with pytest.raises(DataError, match="not an ONNX file"):
        inspect(content)


def test_operators_that_are_not_onnx_s_own_are_named():
    helper = onnx.helper
    output = helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, [3])
    inner = helper.make_graph([helper.make_node("Run", ["x"], ["y"], domain="evil.ops")], "inner", [], [output])
    nodes = [
        helper.make_node("If", ["c"], ["y"], then_branch=inner, else_branch=inner),
        helper.make_node("Loop", ["n", "c"], ["z"], body=inner),
    ]
    graph = helper.make_graph(nodes, "g", [], [output])
    assert inspect(helper.make_model(graph).SerializeToString()).foreign_operators == ["Loop", "evil.ops"]
    assert inspect(model(inside_a_branch=True)).foreign_operators == []


def test_graphs_within_graphs_without_end_are_refused():
    def field(number, content):
        length, key = b"", number << 3 | 2
        size = len(content)
        while size > 127:
            length, size = length + bytes([size & 127 | 128]), size >> 7
        return bytes([key]) + length + bytes([size]) + content

    graph = b""
    for _ in range(3000):
        graph = field(1, field(5, field(6, graph)))
    with pytest.raises(DataError, match="without end"):
        inspect(field(7, graph))
