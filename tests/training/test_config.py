from pathlib import Path

import pytest

pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.errors import DataError, UsageProblem
from stnreg.training.config import TrainConfig, lay_over, merge, read_toml, to_dict
from stnreg.training.presets import NAMES, preset


def test_the_published_setting():
    paper = preset("paper", "separate")
    assert (paper.pair.model.size, paper.pair.spacing_mm, paper.pair.batch) == (170, 1.5, 4)
    assert (paper.loop.epochs, paper.loop.learning_rate) == (100, 1e-3)
    assert paper.loop.steps == 100 * 1000 // 4
    assert (paper.loop.schedule, paper.loop.decay, paper.loop.decay_epochs) == ("decay", 0.9, 40)


def test_unsupervised_mse_is_the_default():
    loss = preset("default", "affine").pair.loss
    assert (loss.mse, loss.grid_point, loss.inverse_consistency) == (1.0, 0.0, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_plain_values_and_back(name):
    config = preset(name)
    assert merge(TrainConfig(), to_dict(config)) == config


@pytest.mark.parametrize("head", ["affine", "separate"])
def test_a_preset_may_name_its_head(head):
    assert preset(f"paper-{head}") == preset("paper", head) == preset(f"paper-{head}", head)
    with pytest.raises(UsageProblem, match="give one of them"):
        preset(f"paper-{head}", "affine" if head == "separate" else "separate")


def load_toml(path, base):
    _, values = read_toml(path)
    return lay_over(base, values, path)


def test_toml_over_a_preset(tmp_path):
    path = tmp_path / "config.toml"
    path.write_text(
        "[loop]\nepochs = 3\nlearning_rate = 1\n[pair.model]\nchannels = [4, 4]\n[pair.loss]\ngrid_point = 0.5\n"
    )
    config = load_toml(path, preset("tiny", "separate"))
    assert config.loop.epochs == 3
    assert config.loop.learning_rate == 1.0
    assert config.pair.model.channels == (4, 4)
    assert config.pair.model.head == "separate"
    assert config.pair.loss.grid_point == 0.5


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("preset = 3\n", "expected preset"),
        ("[loop]\nepoch = 3\n", "unknown setting epoch"),
        ("[loop]\nepochs = ''\n", "expected int"),
        ("[loop", "not TOML"),
    ],
)
def test_bad_toml_is_named(tmp_path, text, message):
    path = tmp_path / "config.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        load_toml(path, TrainConfig())


def test_missing_toml_and_unknown_preset(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        load_toml(tmp_path / "none.toml", TrainConfig())
    with pytest.raises(UsageProblem, match="no preset"):
        preset("huge", "affine")
    with pytest.raises(UsageProblem, match="no model"):
        preset("default", "rigid")


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "examples/training").glob("*.toml")), ids=str)
def test_the_examples_are_settings(path):
    name, values = read_toml(path)
    config = lay_over(preset(name), values, path)
    assert config != preset(name)
    total = config.pair.loss
    assert total.mse + total.grid_point + total.parameters > 0
