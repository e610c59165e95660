"""`stnreg train --model velocity`, from a pack to a network that is exported."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")
pytest.importorskip("onnxscript", reason="needs onnxscript: pip install 'stnreg[train]'")

from stnreg.commands.export import export  # noqa: E402
from stnreg.commands.train import train  # noqa: E402
from stnreg.core.structures import STRUCTURES  # noqa: E402
from stnreg.errors import DataError, UsageProblem  # noqa: E402
from stnreg.models.card import find  # noqa: E402
from stnreg.registration.deformable.stage import PASSES  # noqa: E402
from stnreg.training.checkpoint import load_checkpoint  # noqa: E402
from stnreg.training.deformable.command import choose_settings  # noqa: E402
from stnreg.training.deformable.pack import label_tables, make_pack  # noqa: E402
from stnreg.training.deformable.presets import PRESETS, SYNTHESIS_PRESETS  # noqa: E402
from stnreg.training.deformable.subjects import load_pack  # noqa: E402
from stnreg.training.run import PairRun  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")


def run(command, *arguments):
    app = typer.Typer()
    app.command()(command)
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


def test_from_a_pack_to_a_network(velocity_pack, tmp_path):
    first, further = tmp_path / "first", tmp_path / "further"
    common = ("--preset", "tiny", "--cache", velocity_pack, "--device", "cpu", "--terms", "phantoms: CC0")
    result = run(train, "-o", first, "--model", "velocity", *common)
    assert result.stdout == f"{first / 'weights.ckpt'}\n"
    assert load_checkpoint(first / "last.ckpt")["step"] == PRESETS["tiny"].steps

    assert run(train, "-o", first, "--resume", "--steps", 4, "--cache", velocity_pack).exit_code == 0
    resumed = load_checkpoint(first / "last.ckpt")
    assert resumed["step"] == 4
    assert resumed["config"]["sources"] == [{"name": "phantoms", "terms": "CC0"}]

    start = ("--from", first / "weights.ckpt", "--steps", 1)
    assert run(train, "-o", further, "--model", "velocity", *common, *start).exit_code == 0
    run(export, further / "weights.ckpt", "-o", tmp_path / "net.onnx")  # which compares onnxruntime with torch
    card = json.loads((tmp_path / "net.json").read_text())
    assert list(card) == [
        "name", "kind", "size", "shape", "spacing_mm", "normalise", "lattice_voxels", "validation_scans", "sha256",
        "precision", "data", "commit", "steps", "started_from", "scores", "stnreg",
    ]  # fmt: skip
    assert card["sha256"] == hashlib.sha256((tmp_path / "net.onnx").read_bytes()).hexdigest()
    assert (card["kind"], card["shape"], card["steps"]) == ("velocity", [16, 24, 16], 1)
    assert card["started_from"] == "weights.ckpt"
    assert card["data"] == [{"name": "phantoms", "terms": "CC0"}]
    assert (tmp_path / "net.safetensors").is_file()


def test_a_synthesis_network_belongs_to_a_velocity_network(velocity_pack, tmp_path):
    common = ("--preset", "tiny", "--cache", velocity_pack, "--device", "cpu", "--steps", 1)
    velocity, first, second = (tmp_path / name for name in ("velocity", "first", "second"))
    assert run(train, "-o", velocity, "--model", "velocity", *common).exit_code == 0
    start = ("--from", velocity / "weights.ckpt")
    assert run(train, "-o", first, "--model", "synthesis", *common, *start).stdout == f"{first / 'weights.ckpt'}\n"
    assert run(train, "-o", first, "--resume", "--steps", 2, "--cache", velocity_pack).exit_code == 0
    assert load_checkpoint(first / "last.ckpt")["step"] == 2
    start = ("--from", first / "weights.ckpt")
    assert run(train, "-o", second, "--model", "synthesis", *common, *start).exit_code == 0

    run(export, velocity / "weights.ckpt", "-o", tmp_path / "v.onnx")
    before = find(str(tmp_path / "v.onnx")).identity
    run(export, second / "weights.ckpt", "-o", tmp_path / "s.onnx", "--after", tmp_path / "v.onnx")
    owner = find(str(tmp_path / "v.onnx"))
    assert owner.synthesis is not None
    assert (owner.synthesis.kind, owner.synthesis.card["shape"]) == ("synthesis", [16, 24, 16])
    assert owner.identity == f"{before}+{owner.synthesis.sha256}"
    with pytest.raises(DataError, match="expected a velocity network"):
        run(export, second / "weights.ckpt", "-o", tmp_path / "t.onnx", "--after", tmp_path / "s.onnx")
    with pytest.raises(DataError, match="belongs to no other"):
        run(export, velocity / "weights.ckpt", "-o", tmp_path / "u.onnx", "--after", tmp_path / "v.onnx")


def test_presets_are_the_three_runs(tmp_path):
    first, further, twice = PRESETS["default"], PRESETS["further"], PRESETS["twice"]
    assert (first.steps, first.rate, first.warmup, first.smoothness, first.loss.floor) == (
        3544,
        1.2e-3,
        0.04,
        0.3,
        0.02,
    )
    assert (further.steps, further.rate, further.warmup, further.smoothness) == (729, 5e-4, 0.08, 0.004)
    assert further.loss == replace(first.loss, floor=0.0005)
    assert further.batch == first.batch
    assert (twice.steps, twice.rate, twice.warmup, twice.smoothness) == (1377, 8e-4, 0.05, 0.004)
    assert twice.loss == replace(further.loss, passes=PASSES)
    assert twice.network == first.network
    settings = tmp_path / "settings.toml"
    settings.write_text('preset = "further"\n[velocity]\nrate = 1e-4\n[velocity.batch]\nscan_pairs = 3\n')
    found = choose_settings(PairRun(tmp_path, head="velocity", config=settings), "velocity")
    assert found == replace(further, rate=1e-4, batch=replace(further.batch, scan_pairs=3))
    settings.write_text("[synthesis]\nrate = 1e-4\n")
    found = choose_settings(PairRun(tmp_path, head="synthesis", config=settings), "synthesis")
    assert found == replace(SYNTHESIS_PRESETS["default"], rate=1e-4)


def test_a_pack_holds_scans_and_label_maps(write_training_data, tmp_path):
    root = write_training_data(tmp_path / "data", 3)
    frame_to_lps = np.diag([1.0, 1.0, 1.0, 1.0])
    about = make_pack(root, tmp_path / "pack.npz", lambda array, grid: frame_to_lps, {}, validation=1)
    assert [s["validation"] for s in about["scans"]] == [False, False, True]
    packed = load_pack(tmp_path / "pack.npz", torch.device("cpu"))
    assert packed.scans.names == ["IXI000", "IXI001", "IXI002"]
    assert packed.labels == 146
    assert packed.scans.volumes["labels"].unique().numel() > 50


def test_labels_have_their_mirrors():
    tables = label_tables()
    mirror = np.array(tables["mirror_dlmuse"])
    assert np.array_equal(mirror[mirror], np.arange(146))
    assert set(tables["dlmuse"][1:]) == {code for s in STRUCTURES for code in s.dlmuse}
    code = dict(zip(tables["dlmuse"], np.array(tables["freesurfer"])[tables["to_freesurfer"]], strict=True))
    assert [code[c] for c in (51, 52, 89, 90, 95, 75, 82, 103)] == [43, 4, 41, 2, 0, 0, 2, 3]


def test_wrong_usage_is_told(tmp_path, velocity_pack):
    def refused(kind, match, *arguments):
        with pytest.raises(kind, match=match):
            run(train, "-o", tmp_path / "run", *arguments)

    velocity = ("--model", "velocity")
    refused(UsageProblem, "--scans ROOT", *velocity)
    refused(DataError, "expected ixi", *velocity, "--scans", tmp_path)
    refused(UsageProblem, "no preset", *velocity, "--preset", "paper-affine")
    refused(UsageProblem, "--epochs", *velocity, "--epochs", 2)
    refused(UsageProblem, "give one of them", *velocity, "--steps", 2, "--minutes", 1)
    refused(UsageProblem, "for a velocity or synthesis network", "--steps", 2)
    refused(DataError, "no such", *velocity, "--from", tmp_path / "none.ckpt")
