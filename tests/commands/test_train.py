import json
from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest
import typer
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'stnreg[train]'")

from stnreg.commands.export import export  # noqa: E402
from stnreg.commands.train import train  # noqa: E402
from stnreg.errors import DataError, UsageProblem  # noqa: E402
from stnreg.training.checkpoint import load_checkpoint  # noqa: E402
from stnreg.training.config import STILL  # noqa: E402
from stnreg.training.run import PairRun, choose_config  # noqa: E402


def run(command, *arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def folder(tmp_path):
    scans = tmp_path / "scans"
    scans.mkdir()
    rng = np.random.default_rng(0)
    axes = np.meshgrid(*[np.linspace(-1, 1, 20)] * 3, indexing="ij")
    for k in range(4):
        center = rng.uniform(-0.2, 0.2, 3)
        array = np.exp(-sum((a - c) ** 2 for a, c in zip(axes, center, strict=True)) * 8).astype(np.float32)
        nib.save(nib.Nifti1Image(array, np.diag([12.0, 12.0, 12.0, 1.0])), scans / f"{k}.nii.gz")
    return scans


@pytest.fixture
def trained(folder, tmp_path):
    options = ("--scans", folder, "--validation", 2, "--preset", "tiny", "--terms", "phantoms: CC0")
    result = run(train, "-o", tmp_path / "run", "--model", "separate", *options)
    assert result.exit_code == 0
    return tmp_path / "run"


def test_from_scans_to_a_network(trained, tmp_path):
    content = load_checkpoint(trained / "last.ckpt")
    assert content["step"] == 20
    assert content["config"]["pair"]["model"]["head"] == "separate"
    files = {"last.ckpt", "best.ckpt", "metrics.csv", "curves.png", "scans.npz"}
    assert files <= {path.name for path in trained.iterdir()}
    result = run(export, trained / "best.ckpt", "-o", tmp_path / "net.onnx")
    assert result.exit_code == 0
    card = json.loads((tmp_path / "net.json").read_text())
    assert card["data"] == [{"name": "phantoms", "terms": "CC0"}]


def test_resume_needs_nothing_but_the_folder(trained):
    assert run(train, "-o", trained, "--resume", "--epochs", 3).exit_code == 0
    content = load_checkpoint(trained / "last.ckpt")
    assert content["step"] == 30
    assert content["config"]["pair"]["model"]["head"] == "separate"


def test_from_weights_of_another_run(trained, tmp_path):
    arguments = ("--from", trained / "best.ckpt", "--cache", trained / "scans.npz", "--preset", "tiny")
    assert run(train, "-o", tmp_path / "second", "--epochs", 1, *arguments).exit_code == 0
    content = load_checkpoint(tmp_path / "second" / "last.ckpt")
    assert content["config"]["pair"]["model"]["head"] == "separate"  # what the weights are of
    assert content["config"]["started_from"] == "best.ckpt"
    assert run(train, "-o", tmp_path / "third", "--model", "affine", "--epochs", 1, *arguments).exit_code == 0
    assert load_checkpoint(tmp_path / "third" / "last.ckpt")["config"]["pair"]["model"]["head"] == "affine"


def test_pairs_of_a_table(folder, tmp_path):
    table = tmp_path / "pairs.csv"
    rows = [f"scans/{a}.nii.gz,scans/{b}.nii.gz,{s}" for a, b, s in ((0, 1, "train"), (2, 3, "validation"))]
    table.write_text("\n".join(["fixed,moving,split", *rows]) + "\n")
    assert run(train, table, "-o", tmp_path / "run", "--preset", "tiny", "--epochs", 1).exit_code == 0


def test_the_paper_shows_its_pairs_as_they_are(tmp_path):
    wanted = PairRun(tmp_path, preset="paper", pairs=tmp_path / "pairs.csv")
    assert choose_config(wanted).pair.moves == STILL
    assert choose_config(replace(wanted, pairs=None)).pair.moves != STILL


def test_a_toml_may_name_its_preset(tmp_path):
    settings = tmp_path / "settings.toml"
    settings.write_text('preset = "tiny"\n[loop]\nepochs = 7\n')
    config = choose_config(PairRun(tmp_path, head="separate", config=settings))
    assert (config.loop.epochs, config.loop.steps_per_epoch) == (7, 10)
    config = choose_config(PairRun(tmp_path, config=settings, preset="paper-affine"))
    assert (config.loop.epochs, config.pair.model.size) == (7, 170)


def test_transforms_choose_what_separate_estimates(folder, tmp_path):
    options = ("--scans", folder, "--preset", "tiny", "--epochs", 1, "--transforms", "rotation,translation")
    assert run(train, "-o", tmp_path / "run", "--model", "separate", *options).exit_code == 0
    content = load_checkpoint(tmp_path / "run" / "last.ckpt")
    assert content["config"]["pair"]["model"]["order"] == ["rotation", "translation"]
    with pytest.raises(UsageProblem, match="a whole matrix"):
        run(train, "-o", tmp_path / "other", "--model", "affine", *options)
    with pytest.raises(UsageProblem, match="transforms turn"):
        run(train, "-o", tmp_path / "other", "--model", "separate", *options[:-1], "turn")


def test_bad_scans_are_counted_if_they_may_be_skipped(folder, tmp_path):
    (folder / "9.nii.gz").write_bytes(b"no scan")
    options = ("--scans", folder, "--validation", 2, "--preset", "tiny", "--epochs", 1)
    with pytest.raises(DataError, match=r"9\.nii\.gz.*left out"):
        run(train, "-o", tmp_path / "run", *options)
    result = run(train, "-o", tmp_path / "run", *options, "--skip-bad")
    assert result.exit_code == 0
    assert "9.nii.gz" in result.stderr
    assert "1 files were skipped" in result.stderr
    assert len(load_checkpoint(tmp_path / "run" / "last.ckpt")["config"]["skipped"]) == 1


def test_wrong_usage_is_reported(tmp_path, trained):
    with pytest.raises(UsageProblem, match="nothing to train on"):
        run(train, "-o", tmp_path / "new")
    with pytest.raises(UsageProblem, match="give one of them"):
        run(train, "-o", trained, "--resume", "--from", trained / "best.ckpt")
    with pytest.raises(UsageProblem, match="rigid"):
        run(train, "-o", tmp_path / "new", "--model", "rigid")
