import json
from dataclasses import replace

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'stnreg[train]'")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from stnreg.errors import DataError, StnregError  # noqa: E402
from stnreg.models.card import find  # noqa: E402
from stnreg.models.onnx_file import inspect  # noqa: E402
from stnreg.models.runtime import open_session  # noqa: E402
from stnreg.networks.pair import PairNet  # noqa: E402
from stnreg.training import export, half  # noqa: E402
from stnreg.training.checkpoint import load_weights, save_checkpoint  # noqa: E402
from stnreg.training.config import to_dict  # noqa: E402
from stnreg.training.presets import preset  # noqa: E402


@pytest.fixture(params=["affine", "separate"])
def checkpoint(request, tmp_path):
    pair = preset("tiny", request.param).pair
    torch.manual_seed(0)
    model = PairNet(pair.model)
    torch.nn.init.normal_(model.head.weight, std=0.2)
    path = tmp_path / "best.ckpt"
    content = {"task": "pair", "model": model.state_dict(), "ema": None, "step": 5, "scores": {"score": 0.5}}
    save_checkpoint(path, {**content, "config": {"pair": to_dict(pair), "sources": [{"name": "x", "terms": "CC0"}]}})
    return path, model.eval()


def test_the_three_files_agree_with_torch(checkpoint, tmp_path):
    path, model = checkpoint
    card = export.export_checkpoint(path, tmp_path / "net.onnx")
    assert json.loads((tmp_path / "net.json").read_text()) == card
    assert card["data"] == [{"name": "x", "terms": "CC0"}]
    assert (card["kind"], card["size"], card["steps"]) == ("pair", 16, 5)
    assert not inspect((tmp_path / "net.onnx").read_bytes()).has_external_data
    weights, metadata = load_weights(tmp_path / "net.safetensors")
    assert weights.keys() == model.state_dict().keys()
    assert metadata["step"] == 5

    session = open_session(find(str(tmp_path / "net.onnx")), threads=1, device="cpu")
    pair = torch.rand(1, 2, 16, 16, 16)
    (theta,) = session.run(["theta"], {"pair": pair.numpy()})
    assert torch.allclose(torch.from_numpy(theta), model(pair), atol=1e-5)


def test_half_precision_halves_the_file_and_stays_near(checkpoint, tmp_path):
    path, model = checkpoint
    export.export_checkpoint(path, tmp_path / "net.onnx")
    card = export.export_checkpoint(path, tmp_path / "half.onnx", half=True)
    assert card["precision"] == "half"
    whole, half = ((tmp_path / name).stat().st_size for name in ("net.onnx", "half.onnx"))
    assert half < 0.6 * whole
    weights, _ = load_weights(tmp_path / "half.safetensors")
    assert all(torch.equal(v, v.half().float()) for v in weights.values() if v.numel() >= 256)
    session = open_session(find(str(tmp_path / "half.onnx")), threads=1, device="cpu")
    pair = torch.rand(1, 2, 16, 16, 16)
    (theta,) = session.run(["theta"], {"pair": pair.numpy()})
    assert torch.allclose(torch.from_numpy(theta), model(pair), atol=5e-3)
    model.load_state_dict(weights)  # rounded, and otherwise the same network
    assert torch.allclose(torch.from_numpy(theta), model(pair), atol=1e-5)


def test_nothing_is_written_where_the_numbers_differ(checkpoint, tmp_path, monkeypatch):
    path, _ = checkpoint
    honest = export.to_onnx

    def other_network(released, half):
        with torch.no_grad():
            released.model.head.bias += 0.01
            graph = honest(released, half=half)
            released.model.head.bias -= 0.01
        return graph

    monkeypatch.setattr(export, "to_onnx", other_network)
    with pytest.raises(StnregError, match="differ"):
        export.export_checkpoint(path, tmp_path / "net.onnx")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["best.ckpt"]


def test_what_cannot_be_exported_is_named(tmp_path):
    save_checkpoint(tmp_path / "a.ckpt", {"task": "dance", "model": {}, "ema": None, "config": {}})
    with pytest.raises(DataError, match="dance"):
        export.export_checkpoint(tmp_path / "a.ckpt", tmp_path / "a.onnx")
    with pytest.raises(DataError, match=r"ends in \.onnx"):
        export.export_checkpoint(tmp_path / "a.ckpt", tmp_path / "a.pt")


def test_a_last_pass_is_told_to_the_network_that_it_follows(checkpoint, tmp_path):
    path, model = checkpoint
    export.export_checkpoint(path, tmp_path / "net.onnx")
    config = preset("last", model.architecture.head).pair
    config = replace(config, model=replace(config.model, size=32, channels=(4, 4), hidden=4))
    last = PairNet(config.model).eval()
    content = {"task": "pair", "model": last.state_dict(), "ema": None, "step": 5}
    save_checkpoint(tmp_path / "last.ckpt", {**content, "config": {"pair": to_dict(config)}})
    export.export_checkpoint(tmp_path / "last.ckpt", tmp_path / "net-last.onnx", after=tmp_path / "net.onnx")
    found = find(str(tmp_path / "net.onnx")).last
    assert (found.name, found.kind, found.size) == ("net-last", "pair-last", 32)
    pair = torch.rand(1, 1, 8, 8, 8, generator=torch.Generator().manual_seed(0))
    pair = torch.nn.functional.interpolate(torch.cat([pair, pair.flip(2)], dim=1), size=(32, 32, 32), mode="trilinear")
    (theta,) = open_session(found, threads=1, device="cpu").run(["theta"], {"pair": pair.numpy()})
    assert torch.allclose(torch.from_numpy(theta), last(pair), atol=1e-4)
    assert (tmp_path / "net-last.onnx").stat().st_size < 300_000
    with pytest.raises(DataError, match="expected a pair network in the folder"):
        export.export_checkpoint(tmp_path / "last.ckpt", tmp_path / "x.onnx", after=tmp_path / "net-last.onnx")


def test_coarse_rounding_keeps_few_values_and_comes_near_all():
    generator = torch.Generator().manual_seed(0)
    weights = {
        "wide.weight": 0.05 * torch.randn((96, 96, 3, 3, 3), generator=generator),
        "large.weight": 0.05 * torch.randn((48, 48, 3, 3, 3), generator=generator),
        "narrow.weight": 0.05 * torch.randn((24, 24, 3, 3, 3), generator=generator),
        "norm.weight": torch.ones(96),
    }
    found = half.coarsely_rounded(weights)
    assert len(found["wide.weight"].unique()) == 7
    assert 40 < len(found["large.weight"].unique()) <= 63
    assert ((found["narrow.weight"] / weights["narrow.weight"]) - 1).abs().max() <= 2**-4
    assert float((found["wide.weight"] - weights["wide.weight"]).std()) < 0.4 * 0.05
    assert float((found["large.weight"] - weights["large.weight"]).std()) < 0.08 * 0.05
    assert torch.equal(found["norm.weight"], weights["norm.weight"])
    for value in found.values():
        assert torch.equal(value.half().float(), value)


def test_a_constant_of_few_values_is_stored_in_bytes_and_given_back_exactly():
    generator = np.random.default_rng(0)
    few = (generator.integers(-31, 32, (16, 8, 3, 3, 3)) * 2.0**-9).astype(np.float32)
    exact = generator.standard_normal(few.shape).astype(np.float16).astype(np.float32)
    any_values = generator.standard_normal(few.shape).astype(np.float32)
    kinds = {"few": TensorProto.INT8, "exact": TensorProto.FLOAT16, "any": TensorProto.FLOAT}
    arrays = {"few": few, "exact": exact, "any": any_values}
    nodes = [helper.make_node("Identity", [name], [f"{name}_out"]) for name in arrays]
    outputs = [helper.make_tensor_value_info(f"{name}_out", TensorProto.FLOAT, few.shape) for name in arrays]
    constants = [numpy_helper.from_array(value, name) for name, value in arrays.items()]
    graph = helper.make_graph(nodes, "constants", [], outputs, constants)
    model = helper.make_model(graph, ir_version=9, opset_imports=[helper.make_opsetid("", 18)])
    half.store_in_half(model.graph)
    stored = {c.name.split("_")[0]: c.data_type for c in model.graph.initializer if len(c.dims)}
    assert stored == kinds
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for name, found in zip(arrays, session.run(None, {}), strict=True):
        assert np.array_equal(found, arrays[name])


@pytest.mark.parametrize(
    ("values", "step"),
    [([0.5, -1.5, 0.0], 0.5), ([0.0, 0.0], 1.0), ([128.0], None), ([127.0, 0.5], None), ([0.1], None)],
)
def test_the_largest_power_of_two_that_int8_holds_all_multiples_of(values, step):
    assert half.power_of_two(np.array(values, np.float32)) == step
