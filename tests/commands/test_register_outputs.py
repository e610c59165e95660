"""What `stnreg register` writes beside the moved image, and from what: masks, series, more images, headers."""

import json
from pathlib import Path

import nibabel
import numpy as np
import pytest

from stnreg.cli import main
from stnreg.commands.outputs import Also, parse_also
from stnreg.errors import UsageProblem
from stnreg.geometry.affine import apply_affine, mean_error_mm
from stnreg.images.volume import load_volume, save_volume
from stnreg.transforms.io.files import load_transform
from stnreg.transforms.io.links import load_chain

EXAMPLES = Path(__file__).parents[2] / "examples"
FIXED, MOVING = EXAMPLES / "fixed.nii.gz", EXAMPLES / "moving.nii.gz"


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(a) for a in (*arguments, "--threads", 1)])
    return int(done.value.code or 0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Hold one rigid run with every output, from a series whose first volume is MOVING."""
    folder = tmp_path_factory.mktemp("outputs")
    moving = load_volume(MOVING)
    series = np.stack([moving.array, moving.array[::-1] // 2])
    save_volume(folder / "series.nii", series, like=moving, dtype="same")
    labels = (moving.array > 60).astype(np.uint8) + (moving.array > 120)
    save_volume(folder / "a label=map.nii", labels, like=moving, dtype="same")
    out = ["-o", folder / "out.nii.gz", "--inverse", folder / "inverse.nii.gz", "--json", folder / "out.json"]
    also = ["--also", f"{folder}/a label=map.nii={folder}/labels.nii:label", "--also", f"{MOVING}={folder}/also.nii"]
    assert run("register", FIXED, folder / "series.nii", "--volume", 0, "--dof", 6, "--interp", "nearest",
               *out, *also) == 0  # fmt: skip
    return folder


@pytest.mark.parametrize(
    ("image", "reference", "output", "options"),
    [
        ("series.nii", FIXED, "out.nii.gz", ("--interp", "nearest")),
        (FIXED, "series.nii", "inverse.nii.gz", ("--interp", "nearest", "--invert")),
        ("a label=map.nii", FIXED, "labels.nii", ("--interp", "label")),
        (MOVING, FIXED, "also.nii", ("--interp", "nearest")),
    ],
)
def test_every_image_is_what_apply_transform_writes(folder, tmp_path, image, reference, output, options):
    again = tmp_path / output
    line = ["apply-transform", folder / image, "-r", folder / reference, "-t", folder / "out.tfm", "-o", again]
    assert run(*line, *options) == 0
    assert again.read_bytes() == (folder / output).read_bytes()


def test_labels_that_would_be_blurred_are_said_with_the_option_that_keeps_them(folder, tmp_path, capsys):
    labels, out = folder / "a label=map.nii", tmp_path / "labels.nii"
    line = ("register", FIXED, MOVING, "-t", tmp_path / "a.tfm", "--dof", 6, "--no-refine")
    assert run(*line, "--also", f"{labels}={out}") == 0
    assert f"Use --also {labels}={out}:label" in capsys.readouterr().err
    assert run(*line, "--also", f"{labels}={out}:label") == 0
    assert "label map" not in capsys.readouterr().err


def test_a_series_comes_whole_though_one_volume_was_aligned(folder):
    assert nibabel.load(folder / "out.nii.gz").shape == (*load_volume(FIXED).grid.size, 2)


def test_json_lists_every_output(folder):
    outputs = json.loads((folder / "out.json").read_text())["outputs"]
    assert outputs["image"] == f"{folder}/out.nii.gz"
    assert outputs["transforms"] == [f"{folder}/out.tfm"]
    assert outputs["inverse"] == f"{folder}/inverse.nii.gz"
    assert [one["output"] for one in outputs["also"]] == [f"{folder}/labels.nii", f"{folder}/also.nii"]
    assert outputs["also"][0]["interp"] == "label"


def test_a_series_is_never_guessed_at(folder, tmp_path, capsys):
    for choice, status, said in (
        ((), 4, "--volume"),
        (("--volume", 2), 4, "from 0 to 1"),
        (("--volume", "first"), 2, "first"),
    ):
        assert run("register", FIXED, folder / "series.nii", "-o", tmp_path / "out.nii", *choice) == status
        assert said in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize(("suffix", "prefix"), [(".lta", ""), (".fslmat", "fsl:")])
def test_the_image_follows_the_transform_as_it_is_written(tmp_path, suffix, prefix):
    xfm, out, again = tmp_path / f"a{suffix}", tmp_path / "out.nii", tmp_path / "again.nii"
    assert run("register", FIXED, MOVING, "-o", out, "-t", xfm, "--no-refine") == 0
    assert run("apply-transform", MOVING, "-r", FIXED, "-t", f"{prefix}{xfm}", "-o", again) == 0
    assert again.read_bytes() == out.read_bytes()
    before = xfm.read_bytes()
    assert run("register", FIXED, MOVING, "-t", xfm, "--no-refine") == 0  # it is ours, and may be written again
    assert xfm.read_bytes() == before
    # As a start that nothing refines, it comes back.
    start = ["--init", f"{prefix}{xfm}", "--no-refine", "--on-fail", "warn"]
    assert run("register", FIXED, MOVING, "-t", tmp_path / "again.tfm", *start) == 0
    expected = load_chain([f"{prefix}{xfm}"], load_volume(FIXED), load_volume(MOVING)).matrix
    assert np.abs(load_transform(tmp_path / "again.tfm") - expected).max() < 1e-12


def test_update_header_lays_the_stored_voxels_in_place(folder, tmp_path):
    out = tmp_path / "placed.nii.gz"
    assert run("register", FIXED, MOVING, "-o", out, "--dof", 6, "--update-header") == 0
    placed, moving = load_volume(out), load_volume(MOVING)
    assert np.array_equal(placed.array, moving.array)
    assert placed.array.dtype == moving.array.dtype
    back = apply_affine(load_transform(tmp_path / "placed.tfm"), placed.grid.corners_lps())
    assert np.abs(back - moving.grid.corners_lps()).max() < 1e-3
    # The aligned volume of the series is the same image, so the same transform comes of it.
    assert np.array_equal(load_transform(tmp_path / "placed.tfm"), load_transform(folder / "out.tfm"))


def test_masks_guide_the_refinement(folder, tmp_path):
    fixed = load_volume(FIXED)
    left = np.zeros(fixed.grid.shape, np.uint8)
    middle = fixed.grid.size[0] // 2
    left[20:-20, 20:-20, middle : middle + 35] = 1
    save_volume(tmp_path / "left.nii", left, like=fixed, dtype="same")
    plain = load_transform(folder / "out.tfm")
    for option in ("--fixed-mask", "--fixed-exclude"):
        out = tmp_path / "out.tfm"
        assert run("register", FIXED, MOVING, "-t", out, "--dof", 6, option, tmp_path / "left.nii") == 0
        # Two people: half a brain has another best pose than a whole one, though not by far.
        brain = 0.5 * fixed.grid.corners_lps() + 0.5 * fixed.grid.center_lps
        assert 1e-3 < mean_error_mm(load_transform(out), plain, brain) < 12


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        (("--fixed-mask", "empty.nii"), 4, "empty.nii: the mask is empty"),
        (("--moving-exclude", "none.nii"), 4, "none.nii: there is no such file"),
        (("--fixed-mask", FIXED, "--no-refine"), 2, "masks are used by the refinement"),
        (("--update-header",), 2, "--dof 6"),
        (("--also", "none.nii=a.nii"), 4, "none.nii"),
        (("--also", "none.nii"), 2, "IN=OUT"),
        (("--also", f"{FIXED}=a.nii:cubic"), 2, "cubic"),
        (("--also", f"{FIXED}=out.nii"), 2, "named as an output twice"),
        (("--inverse", "a.nii", "--also", f"{MOVING}=a.nii"), 2, "twice"),
        (("--inverse", "a.png"), 2, ".nii"),
    ],
)
def test_what_cannot_be_leaves_nothing(tmp_path, monkeypatch, capsys, options, status, said):
    monkeypatch.chdir(tmp_path)
    fixed = load_volume(FIXED)
    save_volume("empty.nii", np.zeros(fixed.grid.shape, np.uint8), like=fixed, dtype="same")
    assert run("register", FIXED, MOVING, "-o", "out.nii", *options) == status
    assert said in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["empty.nii"]


def test_names_with_special_characters_are_parsed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a=b.nii").touch()
    assert parse_also("a=b.nii=c d:1.nii:label", "linear") == Also(Path("a=b.nii"), Path("c d:1.nii"), "label")
    assert parse_also("x.nii=c=d.nii", "bspline") == Also(Path("x.nii"), Path("c=d.nii"), "bspline")
    with pytest.raises(UsageProblem, match="IN=OUT"):
        parse_also("x.nii", "linear")
