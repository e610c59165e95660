"""`stnreg register` as it is typed: outputs, their bytes, refusals, JSON, exit statuses."""

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk

from stnreg.cli import main
from stnreg.images.volume import load_reference, load_volume
from stnreg.transforms.io.files import load_transform, save_transform

EXAMPLES = Path(__file__).parents[2] / "examples"
FIXED, MOVING = str(EXAMPLES / "fixed.nii.gz"), str(EXAMPLES / "moving.nii.gz")


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(a) for a in arguments])
    return int(done.value.code or 0)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("register")
    status = run("register", FIXED, MOVING, "-o", folder / "out.nii.gz", "--json", folder / "out.json", "--threads", 2)
    assert status == 0
    return folder


def test_output_alone_also_writes_the_transform(outputs):
    assert (outputs / "out.tfm").is_file()
    assert np.isfinite(load_transform(outputs / "out.tfm")).all()


def test_apply_transform_writes_the_same_bytes(outputs, tmp_path):
    out = tmp_path / "again.nii.gz"
    assert run("apply-transform", MOVING, "-r", FIXED, "-t", outputs / "out.tfm", "-o", out) == 0
    assert out.read_bytes() == (outputs / "out.nii.gz").read_bytes()


def test_the_same_command_writes_the_same_bytes(outputs, tmp_path):
    assert run("register", FIXED, MOVING, "-o", tmp_path / "out.nii.gz", "--threads", 2) == 0
    for name in ("out.nii.gz", "out.tfm"):
        assert (tmp_path / name).read_bytes() == (outputs / name).read_bytes()


def test_json_holds_the_contract(outputs):
    document = json.loads((outputs / "out.json").read_text())
    assert {"fixed", "moving", "outputs", "transform", "verdict", "metrics", "timings_s", "model", "device", "versions",
            "command"} <= document.keys()  # fmt: skip
    assert {"passed", "score", "reasons", "same_person"} <= document["verdict"].keys()
    matrix = np.array(document["transform"]["fixed_to_moving_lps"])
    assert np.array_equal(matrix, load_transform(outputs / "out.tfm"))
    assert len(document["model"]["sha256"]) == 64


def test_json_alone_goes_to_standard_output_and_nothing_else_does(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert run("register", FIXED, MOVING, "--json", "-", "--dof", 6) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["transform"]["dof"] == document["transform"]["dof_requested"] == 6
    assert not any(tmp_path.iterdir())


def test_nothing_to_write_is_wrong_usage(capsys):
    assert run("register", FIXED, MOVING) == 2
    assert "-o" in capsys.readouterr().err


def test_a_transform_that_is_not_ours_is_not_overwritten(tmp_path, capsys):
    theirs = tmp_path / "theirs.tfm"
    theirs.write_text("#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
                      "Parameters: 1 0 0 0 1 0 0 0 1 0 0 0\nFixedParameters: 0 0 0\n")  # fmt: skip
    before = theirs.read_bytes()
    assert run("register", FIXED, MOVING, "-t", theirs) == 2
    assert "did you mean --init?" in capsys.readouterr().err
    assert theirs.read_bytes() == before


def test_our_own_transform_is_overwritten(tmp_path):
    ours = tmp_path / "ours.tfm"
    save_transform(ours, np.eye(4))
    assert run("register", FIXED, MOVING, "-t", ours) == 0
    assert not np.array_equal(load_transform(ours), np.eye(4))


def test_an_output_that_is_an_input_is_refused(tmp_path):
    copy = tmp_path / "moving.nii.gz"
    shutil.copy(MOVING, copy)
    before = copy.read_bytes()
    assert run("register", FIXED, copy, "-o", copy) == 2
    assert copy.read_bytes() == before


def test_a_missing_input_is_4_and_json_still_speaks(capsys, tmp_path):
    assert run("register", FIXED, tmp_path / "nowhere.nii.gz", "--json", "-") == 4
    captured = capsys.readouterr()
    assert "nowhere.nii.gz" in captured.err
    assert "nowhere.nii.gz" in json.loads(captured.out)["error"]


def test_a_picture_is_drawn(tmp_path):
    assert run("register", FIXED, MOVING, "-t", tmp_path / "a.tfm", "--qc", tmp_path / "a.png") == 0
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def on_a_terminal(*arguments) -> tuple[int, str]:
    """Run a command whose stderr is a terminal; return its status and what it printed there."""
    pty = pytest.importorskip("pty", reason="needs pty, a terminal to print on")
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", buffering=0) as screen:
        process = subprocess.Popen(
            [sys.executable, "-m", "stnreg", *map(str, arguments)], stdout=subprocess.PIPE, stderr=theirs
        )
        os.close(theirs)
        stdout, _ = process.communicate()
        assert stdout == b""
        shown = b""
        with contextlib.suppress(OSError):  # Linux ends a terminal that nobody holds with EIO
            while part := screen.read(4096):
                shown += part
    return process.returncode, shown.decode()


@pytest.mark.parametrize("more", [(), ("--quiet",)])
def test_a_terminal_gets_a_summary_unless_it_is_to_be_quiet(tmp_path, more):
    out = tmp_path / "out.nii.gz"
    status, shown = on_a_terminal("register", FIXED, MOVING, "-o", out, "--no-refine", *more)
    assert status == 0
    if more:
        assert shown == ""
    else:
        assert re.fullmatch(r"stnreg: accepted, score 0\.\d\d, \d+\.\d s; wrote .*out\.nii\.gz, .*out\.tfm\s*", shown)


def test_nothing_is_printed_off_a_terminal(tmp_path, capfd):
    assert run("register", FIXED, MOVING, "-o", tmp_path / "out.nii.gz", "--no-refine") == 0
    assert capfd.readouterr() == ("", "")


def test_a_rejected_registration_says_why_on_a_terminal_and_in_a_pipe(tmp_path, capfd):
    arguments = ("register", FIXED, MOVING, "-t", tmp_path / "a.tfm", "--init", "header", "--no-refine")
    status, shown = on_a_terminal(*arguments)
    assert status == 3
    assert re.match(r"stnreg: rejected: .*\nstnreg: rejected, score 0\.\d\d, ", shown.replace("\r", ""))
    assert run(*arguments) == 3
    assert re.fullmatch(r"stnreg: rejected: [^\n]*\n", capfd.readouterr().err)


def test_a_template_is_given_by_name_and_the_kind_of_transform_by_what_it_is(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run("register", "MNI152", MOVING, "-o", "out.nii.gz", "--to", "rigid", "--json", "out.json") == 0
    document = json.loads(Path("out.json").read_text())
    assert document["transform"]["dof_requested"] == 6
    assert document["fixed"].endswith("tpl-MNI152NLin2009aSym_res-01_desc-brain_T1w.nii.gz")
    assert capsys.readouterr().err == ""
    first = Path("out.nii.gz").read_bytes()
    Path("MNI152").mkdir()
    assert run("register", "MNI152", MOVING, "-o", "out.nii.gz", "--dof", 6) == 0
    assert "the template MNI152 is used" in capsys.readouterr().err
    assert Path("out.nii.gz").read_bytes() == first
    assert run("apply-transform", MOVING, "-r", "MNI152", "-t", "out.tfm", "-o", "again.nii.gz") == 0
    assert Path("again.nii.gz").read_bytes() == first


@pytest.mark.parametrize("more", [("--dof", 6), ("--dof", 12), ("--deform",)])
def test_two_ways_to_say_the_kind_of_transform_are_one_too_many(more, tmp_path, capsys):
    assert run("register", "MNI152", MOVING, "-t", tmp_path / "a.tfm", "--to", "rigid", *more) == 2
    assert f"--to rigid and {more[0]}: choose one" in capsys.readouterr().err


def test_the_templates_are_listed(capsys):
    assert run("register", "--list-templates") == 0
    name, about, path = capsys.readouterr().out.splitlines()[0].split("\t")
    assert name == "MNI152"
    assert "1 mm" in about
    assert Path(path).is_file()


@pytest.mark.parametrize("suffix", [".nii", ".mgz", ".nrrd", ".mha"])
def test_every_format_is_written_by_both_commands_alike(outputs, tmp_path, suffix):
    one, other = tmp_path / f"one{suffix}", tmp_path / f"other{suffix}"
    more = ("--spacing", "2,2,3", "--dtype", "same")
    assert run("register", FIXED, MOVING, "-o", one, "--threads", 2, *more) == 0
    assert (tmp_path / "one.tfm").read_bytes() == (outputs / "out.tfm").read_bytes()
    assert run("apply-transform", MOVING, "-r", FIXED, "-t", outputs / "out.tfm", "-o", other, *more) == 0
    assert one.read_bytes() == other.read_bytes()
    volume = load_volume(one)
    assert np.allclose(volume.grid.spacing, (2, 2, 3))
    fixed = load_reference(FIXED).grid
    assert np.allclose(volume.grid.center_lps, fixed.center_lps, atol=1e-3)
    assert (volume.grid.extent_mm > fixed.extent_mm - 0.05).all()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("-o", "a.nii.gz", "--spacing", "fine"), "expected one or three voxel sizes"),
        (("-o", "a.nii.gz", "--spacing", "1,2"), "expected one or three voxel sizes"),
        (("-o", "a.nii.gz", "--dof", 6, "--update-header", "--spacing", 1), "leave out --spacing"),
        (("-o", "a.mgz", "--dof", 6, "--update-header"), "written as .nii or .nii.gz"),
        (("-o", "a.mgz", "--deform", "--warp", "a_warp.mgz"), "written as .nii or .nii.gz"),
        (
            (
                "-o",
                "a.png",
            ),
            "written as .nii, .nii.gz, .mgz, .nrrd or .mha",
        ),
    ],
)
def test_what_cannot_be_written_is_refused_first(tmp_path, monkeypatch, capsys, more, said):
    monkeypatch.chdir(tmp_path)
    assert run("register", FIXED, MOVING, *more) == 2
    assert said in capsys.readouterr().err
    assert not any(tmp_path.iterdir())


def test_the_folder_of_a_dicom_series_is_an_image(tmp_path):
    head = sitk.ReadImage(MOVING)
    (tmp_path / "series").mkdir()
    for z in range(head.GetDepth()):
        one = head[:, :, z : z + 1]
        direction = np.reshape(head.GetDirection(), (3, 3))
        tags = {"0008|0060": "MR", "0020|000e": "1.2.3", "0020|000d": "1.2.4", "0008|0018": f"1.2.3.{z}"}
        tags["0020|0037"] = "\\".join(map(str, direction[:, :2].T.ravel()))
        tags["0020|0032"] = "\\".join(map(str, one.GetOrigin()))
        for tag, value in tags.items():
            one.SetMetaData(tag, value)
        writer = sitk.ImageFileWriter()
        writer.KeepOriginalImageUIDOn()
        writer.SetFileName(str(tmp_path / "series" / f"{z}.dcm"))
        writer.Execute(one)
    assert run("register", FIXED, tmp_path / "series", "-t", tmp_path / "a.tfm", "--no-refine") == 0
    assert run("register", FIXED, MOVING, "-t", tmp_path / "b.tfm", "--no-refine") == 0
    assert np.allclose(load_transform(tmp_path / "a.tfm"), load_transform(tmp_path / "b.tfm"), atol=1e-2)
    assert run("register", FIXED, tmp_path, "-t", tmp_path / "c.tfm") == 4
