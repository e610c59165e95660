import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from stnreg.errors import DataError  # noqa: E402
from stnreg.inference.onnx_file import has_external_data  # noqa: E402


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
    assert has_external_data(model(external=external, inside_a_branch=inside_a_branch)) is external


@pytest.mark.parametrize("content", [b"\xff" * 40, b"<html>", model()[:-3]])
def test_what_is_no_protobuf_is_refused(content):
    with pytest.raises(DataError, match="not an ONNX file"):
        has_external_data(content)
