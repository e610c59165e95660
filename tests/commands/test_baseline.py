"""`stnreg baseline` answers in the form of `register`."""

import json

import numpy as np
import pytest

from stnreg import cli
from stnreg.baselines.recipes import RECIPES, SPLINE
from stnreg.errors import ExitCode
from stnreg.images.volume import load_volume
from stnreg.simulation.cubes import CubeRecipe
from stnreg.simulation.dataset import make_pair
from stnreg.simulation.moves import Ranges
from stnreg.transforms.io.files import load_transform, save_transform, written_by_stnreg


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """Two small cubes, moved by little."""
    folder = tmp_path_factory.mktemp("pair")
    make_pair(CubeRecipe(Ranges(5.0, 5.0), 32), folder, "test", 0, 1)
    return folder / "test/0000"


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["baseline", *map(str, arguments)])
    return end.value.code


def test_image_transform_and_json(pair, tmp_path, capsys):
    out = tmp_path / "moved.nii.gz"
    fixed, moving = pair / "fixed.nii.gz", pair / "moving.nii.gz"
    assert run(fixed, moving, "-o", out, "--method", "sitk-rigid", "--threads", 1, "--json", "-") == 0
    document = json.loads(capsys.readouterr().out)
    assert written_by_stnreg(tmp_path / "moved.tfm")
    found = load_transform(tmp_path / "moved.tfm")
    assert np.allclose(document["transform"]["fixed_to_moving_lps"], found)
    assert document["transform"]["dof"] == document["transform"]["dof_requested"] == 6
    assert document["model"]["name"] == "sitk-rigid"
    assert document["verdict"]["passed"] is None
    assert {"fixed", "moving", "outputs", "metrics", "timings_s", "device", "versions", "command"} <= set(document)
    assert {"read", "register", "write"} <= set(document["timings_s"])
    assert load_volume(out).grid == load_volume(fixed).grid


def test_the_image_is_apply_transforms(pair, tmp_path):
    fixed, moving = pair / "fixed.nii.gz", pair / "moving.nii.gz"
    arguments = ["--method", "sitk-rigid", "--metric", "mse", "--threads", 1]
    assert run(fixed, moving, "-o", tmp_path / "a.nii.gz", *arguments) == 0
    with pytest.raises(SystemExit):
        cli.main(
            ["apply-transform", str(moving), "-r", str(fixed), "-t", f"{tmp_path}/a.tfm", "-o", f"{tmp_path}/b.nii.gz"]
        )
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()


def test_a_deformation_starts_from_a_given_affine_and_is_apply_transforms(pair, tmp_path, capsys, monkeypatch):
    short = SPLINE | {"levels": SPLINE["levels"][:1], "knots_mm": (64.0,), "iterations": 2}
    recipe = RECIPES["sitk-bspline"].with_settings(spline=short)
    monkeypatch.setattr("stnreg.baselines.run.find_recipe", lambda *_: recipe)
    fixed, moving = pair / "fixed.nii.gz", pair / "moving.nii.gz"
    save_transform(tmp_path / "start.tfm", np.eye(4))
    arguments = ["--method", "sitk-bspline", "--init", tmp_path / "start.tfm", "--threads", 1, "--json", "-"]
    assert run(fixed, moving, "-o", tmp_path / "a.nii.gz", *arguments) == 0
    document = json.loads(capsys.readouterr().out)
    assert np.allclose(load_transform(tmp_path / "a.tfm"), np.eye(4))
    assert document["outputs"]["warp"] == str(tmp_path / "a_warp.nii.gz")
    files = ["-t", f"{tmp_path}/a_warp.nii.gz", "-t", f"{tmp_path}/a.tfm"]
    with pytest.raises(SystemExit):
        cli.main(["apply-transform", str(moving), "-r", str(fixed), *files, "-o", f"{tmp_path}/b.nii.gz"])
    assert np.allclose(load_volume(tmp_path / "a.nii.gz").array, load_volume(tmp_path / "b.nii.gz").array, atol=1e-3)
    assert written_by_stnreg(tmp_path / "a_warp.nii.gz")


def test_what_does_not_deform_takes_no_warp_and_no_start(pair, tmp_path, capsys):
    fixed, moving = pair / "fixed.nii.gz", pair / "moving.nii.gz"
    save_transform(tmp_path / "start.tfm", np.eye(4))
    out = ["-o", tmp_path / "a.nii.gz", "--method", "sitk-rigid"]
    assert run(fixed, moving, *out, "--warp", tmp_path / "w.nii.gz") == ExitCode.USAGE
    assert run(fixed, moving, *out, "--init", tmp_path / "start.tfm") == ExitCode.USAGE
    assert "deform" in capsys.readouterr().err


@pytest.mark.parametrize("method", RECIPES)
def test_the_recipe_needs_no_images(method, capsys):
    assert run("--method", method, "--print-recipe") == 0
    assert capsys.readouterr().out.startswith(f"# {method}")


def test_what_cannot_be_done(pair, tmp_path, monkeypatch, capsys):
    fixed, moving, out = pair / "fixed.nii.gz", pair / "moving.nii.gz", tmp_path / "o.nii.gz"
    assert run(fixed, moving) == ExitCode.USAGE
    assert run(fixed, "-o", out) == ExitCode.USAGE
    assert run(fixed, moving, "-o", out, "--method", "magic") == ExitCode.USAGE
    assert run(fixed, moving, "-o", moving) == ExitCode.USAGE
    assert run(fixed, tmp_path / "none.nii", "-o", out) == ExitCode.DATA
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.delenv("FSLDIR", raising=False)
    capsys.readouterr()
    assert run(fixed, moving, "-o", out, "--method", "flirt", "--json", "-") == ExitCode.USAGE
    captured = capsys.readouterr()
    assert "install FSL" in captured.err
    assert "install FSL" in json.loads(captured.out)["error"]
    assert not out.exists()
