"""The preset of the last pass: a short run, there to be exported, and the settings that go on without supervision."""

from dataclasses import replace
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.training.checkpoint import load_checkpoint  # noqa: E402
from stnreg.training.data import save_scans  # noqa: E402
from stnreg.training.run import PairRun, train_pair  # noqa: E402

GOES_ON = Path(__file__).parents[2] / "examples/training/last-pass.toml"
SMALL = """
[loop]
epochs = 1
steps_per_epoch = 40
warmup_steps = 4
validate_every = 40
[pair]
spacing_mm = 6.0
[pair.model]
size = 32
channels = [4, 4]
hidden = 4
[pair.moves]
translation_mm = 10.0
"""


def test_it_learns_known_moves_in_a_few_steps_and_goes_on_without_supervision(scans, tmp_path):
    save_scans(tmp_path / "scans.npz", replace(scans, validation=scans.training))  # 256 mm wide, more than the cube
    (tmp_path / "small.toml").write_text(SMALL)
    first = PairRun(tmp_path / "a", preset="last", config=tmp_path / "small.toml", cache=tmp_path / "scans.npz")
    best = train_pair(first).best
    content = load_checkpoint(best)
    assert content["config"]["pair"]["model"]["body"] == "fitted"
    assert content["scores"]["error_mm_3"] < 0.25 * content["scores"]["error_mm_before"]

    (tmp_path / "on.toml").write_text(GOES_ON.read_text().replace("size = 80", "size = 32").replace("= 100", "= 2"))
    further = PairRun(
        tmp_path / "b", head="separate", config=tmp_path / "on.toml", cache=tmp_path / "scans.npz", start=best
    )
    content = load_checkpoint(train_pair(further).best)
    assert content["config"]["pair"]["model"]["head"] == "separate"
    assert content["config"]["pair"]["loss"]["mse"] == 1.0
    assert content["config"]["started_from"] == "best.ckpt"
