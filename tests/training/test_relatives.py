import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'stnreg[train]'")

from stnreg.errors import UsageProblem  # noqa: E402
from stnreg.models.card import find  # noqa: E402
from stnreg.training.checkpoint import load_checkpoint  # noqa: E402
from stnreg.training.export import export_checkpoint  # noqa: E402
from stnreg.training.presets import NAMES, preset  # noqa: E402
from stnreg.training.relatives import RELATIVES, relative  # noqa: E402
from stnreg.training.run import PairRun, train_pair  # noqa: E402

SMALL = """
[loop]
epochs = 1
steps_per_epoch = 2
warmup_steps = 1
[pair]
batch = 2
spacing_mm = 16.0
validation_pairs = 2
[pair.model]
size = 16
channels = [4, 8]
hidden = 8
"""


@pytest.mark.parametrize("name", RELATIVES)
def test_a_relative_trains_and_is_exported_as_a_pair_network(name, scans, tmp_path):
    from stnreg.training.data import save_scans

    save_scans(tmp_path / "scans.npz", scans)
    (tmp_path / "small.toml").write_text(SMALL)
    run = PairRun(tmp_path / "run", preset=name, config=tmp_path / "small.toml", cache=tmp_path / "scans.npz")
    trained = train_pair(run)
    stored = load_checkpoint(trained.best)["config"]["pair"]
    assert stored["model"]["body"] == RELATIVES[name].body
    assert stored["model"]["head"] == RELATIVES[name].head
    export_checkpoint(trained.best, tmp_path / "net.onnx")
    weights = find(str(tmp_path / "net.onnx"))
    assert (weights.kind, weights.size) == ("pair", 16)


def test_they_differ_in_what_their_names_say():
    assert set(RELATIVES) <= set(NAMES)
    explicit, implicit, plain = (relative(f"sloan-{name}").pair for name in ("explicit", "implicit", "fcn"))
    assert explicit.loss.inverse_consistency > implicit.loss.inverse_consistency == plain.loss.inverse_consistency == 0
    assert implicit.both_ways
    assert not plain.both_ways
    assert relative("airnet").pair.model.body == "twin"
    assert all(relative(name).pair.loss.mse == 0 for name in RELATIVES)


def test_a_relative_has_no_other_model():
    with pytest.raises(UsageProblem, match="a network of its own"):
        preset("airnet", "separate")
