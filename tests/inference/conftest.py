import hashlib
import json

import numpy as np
import pytest


@pytest.fixture
def network(tmp_path):
    """A network file of our kind whose answer is always one theta, with its sidecar."""
    onnx = pytest.importorskip("onnx")

    def write(theta=None, name="shift", size=16, **changes):
        theta = np.eye(3, 4, dtype=np.float32) if theta is None else np.asarray(theta, np.float32)
        helper = onnx.helper
        pair = helper.make_tensor_value_info("pair", onnx.TensorProto.FLOAT, [1, 2, size, size, size])
        answer = helper.make_tensor_value_info("theta", onnx.TensorProto.FLOAT, [1, 3, 4])
        constant = onnx.numpy_helper.from_array(theta[None], "constant")
        graph = helper.make_graph(
            [helper.make_node("Identity", ["constant"], ["theta"])], name, [pair], [answer], [constant]
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        content = model.SerializeToString()
        (tmp_path / f"{name}.onnx").write_bytes(content)
        card = {
            "name": name,
            "kind": "pair",
            "sha256": hashlib.sha256(content).hexdigest(),
            "size": size,
            "spacing_mm": 16.0,
            "normalise": "minmax",
            **changes,
        }
        (tmp_path / f"{name}.json").write_text(json.dumps(card))
        return tmp_path / f"{name}.onnx"

    return write
