"""What `stnreg register --deform` writes: images, warps, composites, the Jacobian and JSON say the same."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from stnreg.cli import main
from stnreg.commands.outputs import holds_warp
from stnreg.geometry.affine import apply_affine
from stnreg.images.volume import load_volume, save_volume
from stnreg.models.card import find
from stnreg.transforms.io.links import load_chain

EXAMPLES = Path(__file__).parents[2] / "examples"
FIXED, MOVING = EXAMPLES / "fixed.nii.gz", EXAMPLES / "moving.nii.gz"


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(a) for a in (*arguments, "--threads", 1)])
    return int(done.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hold one deformation with every output."""
    folder = tmp_path_factory.mktemp("deform")
    moving = load_volume(MOVING)
    labels = (moving.array > 60).astype(np.uint8) + (moving.array > 120)
    save_volume(folder / "map.nii", labels, like=moving, dtype="same")
    more = ["--inverse", folder / "inverse.nii", "--inverse-warp", folder / "back.nii", "--json", folder / "out.json"]
    more += ["--jacobian", folder / "jacobian.nii", "--also", f"{folder}/map.nii={folder}/labels.nii:label"]
    assert run("register", FIXED, MOVING, "-o", folder / "out.nii.gz", "--deform", *more) == 0
    return folder


@pytest.fixture(scope="module")
def brain():
    """Points well inside the fixed head, LPS mm."""
    fixed = load_volume(FIXED)
    index = np.random.default_rng(1).uniform(0.3, 0.7, (2000, 3)) * (np.array(fixed.grid.size) - 1)
    return apply_affine(fixed.grid.index_to_lps, index)


@pytest.mark.parametrize(
    ("image", "reference", "output", "options"),
    [
        (MOVING, FIXED, "out.nii.gz", ()),
        (FIXED, MOVING, "inverse.nii", ("--invert",)),
        ("map.nii", FIXED, "labels.nii", ("--interp", "label")),
    ],
)
def test_every_image_is_what_apply_transform_writes(folder, tmp_path, image, reference, output, options):
    again = tmp_path / output
    chain = ["-t", folder / "out_warp.nii.gz", "-t", folder / "out.tfm"]
    assert run("apply-transform", folder / image, "-r", reference, *chain, "-o", again, *options) == 0
    assert again.read_bytes() == (folder / output).read_bytes()


def test_a_composite_holds_it_all_and_itk_reads_it(folder, brain, tmp_path):
    out, xfm = tmp_path / "out.nii.gz", tmp_path / "out.h5"
    assert run("register", FIXED, MOVING, "-o", out, "-t", xfm, "--deform") == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.h5", "out.nii.gz"]
    assert out.read_bytes() == (folder / "out.nii.gz").read_bytes()
    itk = sitk.ReadTransform(str(xfm))
    ours = load_chain([folder / "out_warp.nii.gz", folder / "out.tfm"]).map_points(brain)
    theirs = np.array([itk.TransformPoint(point) for point in brain.tolist()])
    assert np.abs(ours - theirs).max() < 0.01


def test_the_inverse_warp_leads_back(folder, brain):
    warp, affine = folder / "out_warp.nii.gz", folder / "out.tfm"
    there = load_chain([warp, affine]).map_points(brain)
    assert np.linalg.norm(there - load_chain([affine]).map_points(brain), axis=1).max() > 2, "it does deform"
    back = load_chain([folder / "back.nii", f"inv:{affine}"])
    grid = load_volume(MOVING).grid
    voxels = apply_affine(grid.index_to_lps, np.rint(apply_affine(grid.lps_to_index, there)))
    again = load_chain([warp, affine]).map_points(back.map_points(voxels))
    assert np.linalg.norm(again - voxels, axis=1).mean() < 0.05


def test_the_inverse_warp_leads_back_between_its_voxels(folder, brain):
    there = load_chain([folder / "out_warp.nii.gz", folder / "out.tfm"]).map_points(brain)
    back = load_chain([folder / "back.nii", f"inv:{folder / 'out.tfm'}"])
    assert np.linalg.norm(back.map_points(there) - brain, axis=1).mean() < 0.1


def test_the_jacobian_is_that_of_the_warp(folder):
    image = nibabel.load(folder / "out_warp.nii.gz")
    lps = np.asarray(image.dataobj)[:, :, :, 0] * [-1, -1, 1]  # to RAS, as the affine is
    voxels = lps @ np.linalg.inv(image.affine[:3, :3]).T
    gradients = np.stack([np.stack(np.gradient(voxels[..., k]), -1) for k in range(3)], -2) + np.eye(3)
    found = np.asarray(nibabel.load(folder / "jacobian.nii").dataobj)
    inner = (slice(1, -1),) * 3
    assert np.abs(found - np.log(np.linalg.det(gradients)))[inner].max() < 1e-3
    assert found.std() > 0.05


def test_json_tells_of_the_deformation(folder):
    said = json.loads((folder / "out.json").read_text())
    block = said["deformation"]
    assert block["stiffness_mm"] == 1.5
    network = find("velocity")
    assert network.synthesis is not None
    assert block["model"] == {
        "name": "velocity",
        "sha256": network.sha256,
        "synthesis_sha256": network.synthesis.sha256,
    }
    assert (block["folds_central"], block["folds_digital"]) == (0, 0)
    assert 0.02 < block["log_jacobian_sd"] < 1
    assert 2 < block["largest_mm"] < 60
    assert 0 < block["agreement_before"] < block["agreement_after"] < 1
    for name, file in (("warp", "out_warp.nii.gz"), ("inverse_warp", "back.nii"), ("jacobian", "jacobian.nii")):
        assert said["outputs"][name] == str(folder / file)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--warp", "w.nii"), "need --deform"),
        (("--inverse-warp", "w.nii"), "need --deform"),
        (("--jacobian", "j.nii"), "need --deform"),
        (("--stiffness", 4), "--deform"),
        (("--deform", "--model", "affine"), "needs an anatomy network"),
        (("--deform", "--update-header", "--dof", 6), "cannot hold a deformation"),
        (("--deform", "--warp", "w.tfm"), ".nii"),
        (("--deform", "--warp", "w.nii", "--jacobian", "w.nii"), "twice"),
        (("--deform", "--stiffness", -1), "stiffness"),
    ],
)
def test_what_cannot_be_leaves_nothing(tmp_path, monkeypatch, capsys, options, said):
    monkeypatch.chdir(tmp_path)
    assert run("register", FIXED, MOVING, "-o", "out.nii", *options) == 2
    assert said in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_files_that_hold_a_deformation_are_known_by_name():
    names = ("a.h5", "a.H5", "a.nii", "a.nii.gz", "a.tfm", "a.lta", "a.fslmat")
    assert [holds_warp(Path(name)) for name in names] == [True] * 4 + [False] * 3
