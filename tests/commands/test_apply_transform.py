"""`stnreg apply-transform`, as it is typed."""

import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from stnreg import cli
from stnreg.errors import ExitCode
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters
from stnreg.images.volume import load_volume, save_volume
from stnreg.resampling.apply import move
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.files import load_transform, save_transform
from stnreg.transforms.io.links import load_chain
from stnreg.transforms.sampling import voxel_points

MOVE = from_parameters(Parameters((7.0, -4.0, 11.0), (5, -8, 12)), (5, -10, 20))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phantom: Any, grids_by_name: Any) -> Path:
    """Hold `fixed.nii.gz`, `moving.nii.gz`, `labels.nii.gz` and `a.tfm`, and work there."""
    fixed, moving = grids_by_name["RAS"], grids_by_name["LIA"]
    for name, volume in {
        "fixed.nii.gz": phantom.volume(fixed),
        "moving.nii.gz": phantom.volume(moving, MOVE),
        "labels.nii.gz": phantom.volume(moving, MOVE, labels=True),
    }.items():
        save_volume(tmp_path / name, volume.array, like=volume, dtype="same")
    save_transform(tmp_path / "a.tfm", MOVE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(line: str) -> int:
    with pytest.raises(SystemExit) as end:
        cli.main(["apply-transform", *line.split()])
    return int(end.value.code or 0)


def test_an_image_is_brought_onto_the_reference(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("moving.nii.gz -r fixed.nii.gz -t a.tfm -o out.nii.gz --threads 1") == ExitCode.OK
    assert capsys.readouterr() == ("", "")
    fixed, out = load_volume("fixed.nii.gz"), load_volume("out.nii.gz")
    assert out.grid == fixed.grid
    assert np.array_equal(out.array, move(load_volume("moving.nii.gz"), fixed, MOVE))
    once = (folder / "out.nii.gz").read_bytes()
    assert run("moving.nii.gz -r fixed.nii.gz -t a.tfm -o out.nii.gz --threads 2") == ExitCode.OK
    assert (folder / "out.nii.gz").read_bytes() == once


def test_a_chain_inverts_and_is_written_composed(folder: Path) -> None:
    line = "moving.nii.gz -r fixed.nii.gz -t a.tfm -t inv:a.tfm -t a.tfm -o out.nii --write-composed c.mat"
    assert run(line) == ExitCode.OK
    assert np.allclose(load_transform("c.mat"), MOVE)
    assert run("moving.nii.gz -r fixed.nii.gz -t inv:a.tfm --invert -o back.nii --write-composed c.mat") == ExitCode.OK
    assert np.allclose(load_transform("c.mat"), MOVE)
    assert np.allclose(load_volume("out.nii").array, load_volume("back.nii").array, atol=0.01)


def test_transforms_of_other_tools_go_in_and_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "moving.nii.gz -r fixed.nii.gz"
    assert run(f"{line} -t a.tfm -o out.nii --write-composed a.lta") == ExitCode.OK
    assert run(f"{line} -t a.lta -o b.nii --write-composed a.fslmat") == ExitCode.OK
    assert run(f"{line} -t fsl:a.fslmat -o c.nii --write-composed c.tfm") == ExitCode.OK
    assert np.abs(load_transform("c.tfm") - MOVE).max() < 1e-9
    assert np.allclose(load_volume("c.nii").array, load_volume("out.nii").array, atol=1e-3)
    assert capsys.readouterr().err == ""
    assert run("fixed.nii.gz -r moving.nii.gz -t fsl:a.fslmat --invert -o d.nii --write-composed d.tfm") == ExitCode.OK
    assert np.abs(load_transform("d.tfm") @ MOVE - np.eye(4)).max() < 1e-9
    assert run("fixed.nii.gz -r moving.nii.gz -t a.lta -o e.nii") == ExitCode.OK
    assert "inv:FILE" in capsys.readouterr().err
    (folder / "p.csv").write_text("x,y,z\n1,2,3\n")
    assert run("--points p.csv --points-space RAS -t fsl:a.fslmat -o q.csv") == ExitCode.USAGE
    assert run("--points p.csv --points-space RAS -t a.lta -o q.csv") == ExitCode.OK


def test_labels_keep_type_and_values(folder: Path) -> None:
    assert run("labels.nii.gz -r fixed.nii.gz -t a.tfm -o out.nii.gz --interp label") == ExitCode.OK
    out = load_volume("out.nii.gz")
    assert out.array.dtype == np.int16
    assert set(np.unique(out.array)) == set(np.unique(load_volume("labels.nii.gz").array))


def test_a_constant_mask_and_a_series_are_allowed(folder: Path) -> None:
    moving = load_volume("moving.nii.gz")
    save_volume("ones.nii", np.ones(moving.grid.shape, np.uint8), like=moving, dtype="same")
    assert run("ones.nii -r fixed.nii.gz -t a.tfm -o out.nii --interp nearest --dtype same") == ExitCode.OK
    save_volume("series.nii", np.stack([moving.array] * 2), like=moving)
    assert run("series.nii -r series.nii -t a.tfm -o out.nii") == ExitCode.OK
    assert nibabel.load("out.nii").shape[3] == 2


def test_points_go_from_reference_to_moving(folder: Path) -> None:
    (folder / "p.csv").write_text("x,y,z,name\n1,2,3,a\n-40,5,60,b\n")
    points = np.array([[1, 2, 3], [-40, 5, 60]])
    assert run("--points p.csv --points-space LPS -t a.tfm -o q.csv") == ExitCode.OK
    assert np.allclose(read(folder / "q.csv"), apply_affine(MOVE, points))
    assert run("--points q.csv --points-space LPS -t a.tfm --invert -o r.csv") == ExitCode.OK
    assert np.allclose(read(folder / "r.csv"), points)
    assert run("--points p.csv --points-space RAS -t a.tfm -o q.csv") == ExitCode.OK
    assert np.allclose(read(folder / "q.csv"), apply_affine(MOVE, points * (-1, -1, 1)) * (-1, -1, 1))


def read(path: Path) -> np.ndarray:
    return np.array([row.split(",")[:3] for row in path.read_text().splitlines()[1:]], dtype=float)


@pytest.mark.parametrize(
    ("line", "status", "said"),
    [
        ("moving.nii.gz -r none.nii -t a.tfm -o out.nii", ExitCode.DATA, "none.nii"),
        ("moving.nii.gz -r fixed.nii.gz -t none.tfm -o out.nii", ExitCode.DATA, "none.tfm"),
        ("moving.nii.gz -r fixed.nii.gz -t moving.nii.gz -o out.nii", ExitCode.DATA, "displacement field"),
        ("moving.nii.gz -r fixed.nii.gz -t a.tfm -o none/out.nii", ExitCode.DATA, "no folder"),
        ("moving.nii.gz -r fixed.nii.gz -t a.tfm -o moving.nii.gz", ExitCode.USAGE, "input"),
        ("moving.nii.gz -r fixed.nii.gz -t a.tfm -o out.nii --write-composed a.tfm", ExitCode.USAGE, "input"),
        ("moving.nii.gz -r fixed.nii.gz -t a.tfm -o out.png", ExitCode.USAGE, ".nii"),
        ("moving.nii.gz -t a.tfm -o out.nii", ExitCode.USAGE, "REFERENCE"),
        ("--points p.csv -t a.tfm -o q.csv", ExitCode.USAGE, "--points-space"),
        ("moving.nii.gz -r fixed.nii.gz -t a.tfm -o out.nii --interp cubic", ExitCode.USAGE, "cubic"),
    ],
)
def test_what_cannot_be_leaves_nothing(
    folder: Path, line: str, status: ExitCode, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {name: (folder / name).read_bytes() for name in os.listdir(folder)}
    assert run(line) == status
    out, err = capsys.readouterr()
    assert out == ""
    assert said in err
    assert {name: (folder / name).read_bytes() for name in os.listdir(folder)} == before


def test_a_foreign_transform_is_not_lost(folder: Path) -> None:
    sitk.WriteTransform(sitk.AffineTransform(3), "theirs.tfm")
    line = "moving.nii.gz -r fixed.nii.gz -t a.tfm -o out.nii --write-composed theirs.tfm"
    assert run(line) == ExitCode.USAGE
    assert not (folder / "out.nii").exists()


def test_warnings_go_to_stderr(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = nibabel.load("moving.nii.gz")
    sform = image.affine.copy()
    sform[0, 3] += 5
    image.set_sform(sform, 2)
    image.header["qform_code"] = 1
    nibabel.save(image, "differs.nii")
    assert run("differs.nii -r fixed.nii.gz -t a.tfm -o out.nii") == ExitCode.OK
    assert "warning: differs.nii: qform and sform" in capsys.readouterr().err
    assert run("differs.nii -r fixed.nii.gz -t a.tfm -o q.nii --header-source qform") == ExitCode.OK
    expected = move(load_volume("moving.nii.gz"), load_volume("fixed.nii.gz"), MOVE)
    assert np.abs(load_volume("q.nii").array - expected).max() < 0.05
    assert np.abs(load_volume("out.nii").array - expected).max() > 50


def test_a_label_map_that_would_be_blurred_is_said(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("labels.nii.gz -r fixed.nii.gz -t a.tfm -o out.nii.gz") == ExitCode.OK
    said = capsys.readouterr().err
    assert "warning: labels.nii.gz: looks like a label map" in said
    assert "--interp label" in said
    for kept in ("label", "nearest"):
        assert run(f"labels.nii.gz -r fixed.nii.gz -t a.tfm -o out.nii.gz --interp {kept}") == ExitCode.OK
        assert capsys.readouterr().err == ""


@pytest.fixture
def warped(folder: Path) -> Path:
    """Add `warp.nii.gz`, waves of up to 6 mm on the grid of `fixed.nii.gz`, in steps of no voxel."""
    fixed = load_volume("fixed.nii.gz")
    x, y, z = voxel_points(fixed.grid) / 35
    vectors = np.stack([6 * np.sin(y), 4 * np.cos(x) * np.sin(z), 3 * np.sin(x + y)])
    save_transform("warp.nii.gz", DisplacementField(vectors, fixed.grid), fixed=fixed)
    return folder


def test_warps_stand_anywhere_and_are_written_as_one(warped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = "moving.nii.gz -r fixed.nii.gz"
    chain = "-t warp.nii.gz -t a.tfm -t inv:warp.nii.gz -t a.tfm -t inv:a.tfm"
    assert run(f"{line} {chain} -o plain.nii") == ExitCode.OK
    plain = load_volume("plain.nii").array
    fixed, moving = load_volume("fixed.nii.gz"), load_volume("moving.nii.gz")
    links = [word for word in chain.split() if word != "-t"]
    assert np.array_equal(plain, move(moving, fixed, load_chain(links)))
    for one in ("one.nii.gz", "one.h5", "one.nii"):
        for _ in range(2):  # the second time over the first
            assert run(f"{line} {chain} -o out.nii --write-composed {one}") == ExitCode.OK
        out = load_volume("out.nii").array
        assert np.abs(out - plain).max() < 1e-3 * np.ptp(plain)
        assert run(f"{line} -t {one} -o again.nii") == ExitCode.OK
        assert np.abs(load_volume("again.nii").array - out).max() < 1e-3 * np.ptp(plain)
    assert capsys.readouterr() == ("", "")
    assert run(f"{line} -t a.tfm -o linear.nii --write-composed linear.nii.gz") == ExitCode.OK
    assert run(f"{line} -t linear.nii.gz -o out.nii") == ExitCode.OK
    assert np.abs(load_volume("out.nii").array - load_volume("linear.nii").array).max() < 1e-3 * np.ptp(plain)
    assert run(f"{line} -t a.tfm -o out.nii --write-composed linear.h5") == ExitCode.OK
    assert np.allclose(load_transform("linear.h5"), MOVE)


def test_labels_series_and_the_way_back_go_through_a_warp(warped: Path) -> None:
    assert run("labels.nii.gz -r fixed.nii.gz -t warp.nii.gz -t a.tfm -o out.nii --interp label") == ExitCode.OK
    out = load_volume("out.nii")
    assert out.array.dtype == np.int16
    assert set(np.unique(out.array)) <= set(np.unique(load_volume("labels.nii.gz").array))
    moving = load_volume("moving.nii.gz")
    save_volume("series.nii", np.stack([moving.array] * 2), like=moving)
    assert run("series.nii -r fixed.nii.gz -t warp.nii.gz -t a.tfm -o out.nii") == ExitCode.OK
    assert run("moving.nii.gz -r fixed.nii.gz -t warp.nii.gz -t a.tfm -o one.nii") == ExitCode.OK
    series = load_volume("out.nii", series=True).array
    assert np.array_equal(series, np.stack([load_volume("one.nii").array] * 2))
    back = "fixed.nii.gz -r moving.nii.gz"
    assert run(f"{back} -t warp.nii.gz -t a.tfm --invert -o back.nii") == ExitCode.OK
    assert run(f"{back} -t inv:a.tfm -t inv:warp.nii.gz -o also.nii") == ExitCode.OK
    assert np.array_equal(load_volume("back.nii").array, load_volume("also.nii").array)


def test_points_go_there_and_back_through_a_warp(warped: Path, capsys: pytest.CaptureFixture[str]) -> None:
    points = np.random.default_rng(0).uniform(-40, 40, (30, 3)) + load_volume("fixed.nii.gz").grid.center_lps
    (warped / "p.csv").write_text("x,y,z\n" + "\n".join(",".join(map(repr, row)) for row in points.tolist()) + "\n")
    line = "--points-space LPS -t warp.nii.gz -t a.tfm"
    assert run(f"--points p.csv {line} -o q.csv --write-composed q.h5") == ExitCode.USAGE
    assert run(f"--points p.csv {line} -o q.csv --write-composed q.nii.gz") == ExitCode.USAGE
    said = capsys.readouterr().err
    assert said.count("apply-transform MOVING -r REFERENCE") == 2
    assert not (warped / "q.csv").exists()
    assert run(f"--points p.csv {line} -o q.csv") == ExitCode.OK
    assert np.allclose(read(warped / "q.csv"), load_chain(["warp.nii.gz", "a.tfm"]).map_points(points))
    assert np.abs(read(warped / "q.csv") - apply_affine(MOVE, points)).max() > 1
    assert run(f"--points q.csv {line} --invert -o r.csv") == ExitCode.OK
    assert np.abs(read(warped / "r.csv") - points).max() < 0.01
    assert run("--points q.csv --points-space LPS -t inv:a.tfm -t inv:warp.nii.gz -o r.csv") == ExitCode.OK
    assert np.abs(read(warped / "r.csv") - points).max() < 0.01


@pytest.mark.parametrize("name", ["c.tfm", "c.txt", "c.mat", "c.lta", "c.fslmat", "fixed.nii.gz", "labels.nii.gz"])
def test_a_chain_that_bends_is_not_written_where_it_has_no_place(
    warped: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    before = {path: (warped / path).read_bytes() for path in os.listdir(warped)}
    assert run(f"moving.nii.gz -r fixed.nii.gz -t warp.nii.gz -o out.nii --write-composed {name}") == ExitCode.USAGE
    assert name in capsys.readouterr().err
    assert {path: (warped / path).read_bytes() for path in os.listdir(warped)} == before
