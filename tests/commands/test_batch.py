import csv
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest

from stnreg.cli import main
from stnreg.commands.batch import culprits, pictures_of

EXAMPLES = Path(__file__).parents[2] / "examples"
FIXED, MOVING = EXAMPLES / "fixed.nii.gz", EXAMPLES / "moving.nii.gz"
VALIDATOR = shutil.which("bids-validator-deno")
QUICK = ("--no-refine", "--no-image", "--jobs", 1)


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(a) for a in arguments])
    return int(done.value.code or 0)


@pytest.fixture
def table(tmp_path):
    path = tmp_path / "pairs.csv"
    path.write_text(f"id,fixed,moving\ngood,{FIXED},{MOVING}\nbad,{FIXED},nowhere.nii.gz\n")
    return path


def test_a_batch_ends_in_a_table_a_page_and_a_status(table, tmp_path, capsys):
    out = tmp_path / "out"
    assert run("batch", table, "-o", out, *QUICK) == 4
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "1 error, 1 passed" in captured.err
    with open(out / "results.csv", newline="") as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream)}
    assert rows["good"]["status"] == "passed"
    assert "nowhere.nii.gz" in rows["bad"]["reasons"]
    assert (out / "good" / "moved.tfm").is_file()
    assert not (out / "good" / "moved.nii.gz").exists()
    page = (out / "index.html").read_text()
    assert page.index('"id": "bad"') < page.index('"id": "good"')
    first = (out / "good" / "registration.json").stat().st_mtime_ns
    assert run("batch", table, "-o", out, "--resume", *QUICK) == 4
    assert (out / "good" / "registration.json").stat().st_mtime_ns == first


def test_one_bad_row_is_an_error_row_and_everything_else_goes_on(tmp_path, capsys):
    out, table = tmp_path / "out", tmp_path / "pairs.csv"
    rows = (f"Zoë 1,{FIXED},{MOVING}", f"empty,,{MOVING}", f"gone,{FIXED},nowhere.nii.gz")
    table.write_text("\n".join(("id,fixed,moving", *rows, "")), encoding="utf-8")
    assert run("batch", table, "-o", out, *QUICK) == 4
    said = capsys.readouterr().err
    assert "stnreg: empty: line 3: the cell under fixed is empty\n" in said
    assert "stnreg: gone: " in said
    with open(out / "results.csv", newline="", encoding="utf-8") as stream:
        found = [(row["id"], row["status"]) for row in csv.DictReader(stream)]
    assert found == [("Zoë 1", "passed"), ("empty", "error"), ("gone", "error")]
    assert sorted(path.name for path in out.iterdir()) == ["Zo%C3%AB%201", "index.html", "results.csv"]
    assert '"Zo%25C3%25AB%25201/moved.tfm"' in (out / "index.html").read_text()


def test_two_rows_for_one_derivative_are_reported(tmp_path, capsys):
    folder = tmp_path / "sub-01" / "anat"
    folder.mkdir(parents=True)
    (folder / "sub-01_T1w.nii.gz").symlink_to(MOVING)
    table = tmp_path / "pairs.csv"
    own = f"{FIXED},{folder / 'sub-01_T1w.nii.gz'}"
    table.write_text(f"fixed,moving\n{own}\n{own}\n{FIXED},{MOVING}\n")
    assert run("batch", table, "-o", tmp_path / "out", "--bids", *QUICK) == 4
    said = capsys.readouterr().err
    assert "2: would write" in said
    assert "3: " in said
    assert "1 passed" in said


def test_of_many_bad_rows_the_first_are_reported():
    rows = [{"id": str(k), "status": "lost", "reasons": "x"} for k in range(25)] + [{"id": "y", "status": "passed"}]
    lines = culprits(rows)
    assert lines[:1] == ["0: x"]
    assert lines[20:] == ["and 5 more, see results.csv"]


def test_the_table_of_results_is_a_table_of_pairs(tmp_path, capsys):
    out = tmp_path / "out"
    table = tmp_path / "pairs.csv"
    table.write_text(f"id,fixed,moving\na,{FIXED},{MOVING}\n")
    assert run("batch", table, "-o", out, "--no-refine", "--jobs", 1, "--quiet") == 0
    assert capsys.readouterr().err == ""
    assert run("evaluate", "--pairs", out / "results.csv", "--metrics", "jacobian") == 0
    assert capsys.readouterr().out


def test_a_table_of_deformations_is_measured_through_the_warp_and_resumed_by_it(tmp_path, capsys):
    out, table = tmp_path / "out", tmp_path / "pairs.csv"
    table.write_text(f"id,fixed,moving\na,{FIXED},{MOVING}\n")
    line = ("batch", table, "-o", out, "--deform", "--on-fail", "warn", *QUICK)
    assert run(*line) == 0
    with open(out / "results.csv", newline="") as stream:
        (row,) = csv.DictReader(stream)
    assert list(row)[-3:] == ["log_jacobian_sd", "folds", "warp"]
    assert row["warp"] == str(out / "a" / "moved_warp.nii.gz")
    assert '"a/moved_warp.nii.gz"' in (out / "index.html").read_text()
    capsys.readouterr()
    assert run("evaluate", "--pairs", out / "results.csv", "--metrics", "jacobian") == 0
    assert "sd_log" in capsys.readouterr().out
    transform = out / "a" / "moved.tfm"
    first = transform.stat().st_mtime_ns
    assert run(*line, "--resume") == 0
    assert transform.stat().st_mtime_ns == first
    Path(row["warp"]).unlink()
    assert run(*line, "--resume") == 0
    assert Path(row["warp"]).is_file()


@pytest.fixture
def dataset(tmp_path):
    """A BIDS dataset with two sessions of one person, two runs in the first, and a person without a scan."""
    root = tmp_path / "raw"
    (root / "sub-02" / "anat").mkdir(parents=True)
    (root / "dataset_description.json").write_text(json.dumps({"Name": "x", "BIDSVersion": "1.9.0"}))
    for name in ("ses-1_run-1", "ses-1_run-2", "ses-2"):
        path = root / "sub-01" / name[:5] / "anat" / f"sub-01_{name}_T1w.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(MOVING)
    return root


def test_one_line_takes_a_dataset_to_a_template(dataset, tmp_path, capsys):
    out = tmp_path / "derivatives"
    assert run("batch", "--bids", dataset, "--fixed", "MNI152", "-o", out, *QUICK) == 0
    assert "missing: sub-02 only: no T1w image" in capsys.readouterr().err
    made = sorted(path.name for path in out.rglob("*_xfm.tfm"))
    known = ("ses-1_run-1", "ses-1_run-2", "ses-2")
    assert made == [f"sub-01_{one}_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.tfm" for one in known]
    document = json.loads(next(out.rglob("*ses-2*_xfm.json")).read_text())
    assert document["SpatialReference"] == "MNI152NLin2009aSym"
    assert document["Sources"][0] == "bids:raw:sub-01/ses-2/anat/sub-01_ses-2_T1w.nii.gz"


def test_one_line_takes_images_to_a_template(dataset, tmp_path):
    out = tmp_path / "out"
    pattern = f"{dataset}/sub-*/ses-*/anat/*_run-*_T1w.nii.gz"
    assert run("batch", "--fixed", "MNI152", pattern, dataset / "nowhere.nii", "-o", out, "--to", "rigid", *QUICK) == 4
    with open(out / "results.csv", newline="") as stream:
        found = {row["id"]: (row["status"], row["dof"]) for row in csv.DictReader(stream)}
    assert found == {
        "sub-01_ses-1_run-1_T1w": ("passed", "6"),
        "sub-01_ses-1_run-2_T1w": ("passed", "6"),
        "nowhere": ("error", ""),
    }


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "expected one PAIRS.csv"),
        ((FIXED, MOVING), "expected one PAIRS.csv"),
        (("--fixed", "MNI152"), "expected images"),
        (("--fixed", "MNI152", "pairs.csv"), "column of fixed images"),
        (("--bids", EXAMPLES), "needs --fixed"),
        (("--bids", EXAMPLES, "--fixed", "MNI152", MOVING), "leave out the images"),
        (("--fixed", "MNI152", MOVING, "--suffix", "T2w"), "--bids DATASET"),
        (("--fixed", "MNI152", MOVING, "--to", "affine", "--dof", 12), "choose one"),
        (("--fixed", "MNI152", MOVING, "--qc", "page.pdf"), "PAGE.html"),
    ],
)
def test_what_is_not_clear_is_refused(words, said, tmp_path, capsys):
    assert run("batch", *words, "-o", tmp_path / "out") == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_qc_is_a_kind_of_picture_or_the_place_of_the_page():
    assert pictures_of("none", Path("out")) == ("none", Path("out/index.html"))
    assert pictures_of("html", Path("out")) == ("html", Path("out/index.html"))
    assert pictures_of("page.html", Path("out")) == ("none", Path("page.html"))


def test_what_cannot_be_written_at_the_end_is_refused_at_the_beginning(table, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("stnreg.transforms.io.h5.has_itk", lambda: False)
    monkeypatch.setitem(sys.modules, "h5py", None)
    assert run("batch", table, "-o", tmp_path / "out", "--bids", "--deform") == 2
    assert "pip install h5py" in capsys.readouterr().err
    assert run("register", FIXED, MOVING, "--deform", "-t", tmp_path / "a.h5") == 2
    assert "pip install h5py" in capsys.readouterr().err


def test_a_pair_network_deforms_nothing(table, tmp_path, capsys):
    assert run("batch", table, "-o", tmp_path / "out", "--deform", "--model", "affine") == 2
    assert "needs an anatomy network" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_rejected_pair_gives_exit_code_3_or_a_warning(tmp_path, monkeypatch):
    monkeypatch.setattr("sys.stdin", io.StringIO(f"fixed,moving\n{FIXED},{MOVING}\n"))
    assert run("batch", "-", "-o", tmp_path / "out", "--min-score", 1, *QUICK) == 3
    monkeypatch.setattr("sys.stdin", io.StringIO(f"fixed,moving\n{FIXED},{MOVING}\n"))
    assert run("batch", "-", "-o", tmp_path / "out", "--min-score", 1, "--on-fail", "warn", "--resume", *QUICK) == 0


@pytest.fixture(scope="module")
def derivatives(tmp_path_factory):
    """What a batch makes of a BIDS dataset."""
    tmp_path = tmp_path_factory.mktemp("bids")
    root = tmp_path / "raw"
    anat = root / "sub-01" / "anat"
    anat.mkdir(parents=True)
    (root / "dataset_description.json").write_text(json.dumps({"Name": "x", "BIDSVersion": "1.9.0"}))
    (anat / "sub-01_T1w.nii.gz").symlink_to(MOVING)
    template = tmp_path / "tpl-Painted_T1w.nii.gz"
    template.symlink_to(FIXED)
    table = tmp_path / "pairs.csv"
    table.write_text(f"fixed,moving\n{template},{anat / 'sub-01_T1w.nii.gz'}\n")
    out = tmp_path / "derivatives"
    assert run("batch", table, "-o", out, "--bids", "--inverse", "--no-refine", "--jobs", 1) == 0
    return out


def test_a_bids_dataset_gives_derivatives(derivatives):
    stem = derivatives / "sub-01" / "anat" / "sub-01"
    assert Path(f"{stem}_from-T1w_to-Painted_mode-image_xfm.tfm").is_file()
    sidecar = json.loads(Path(f"{stem}_space-Painted_T1w.json").read_text())
    assert sidecar["Sources"][0] == "bids:raw:sub-01/anat/sub-01_T1w.nii.gz"
    assert sidecar["SkullStripped"] is False
    assert json.loads((derivatives / "dataset_description.json").read_text())["DatasetType"] == "derivative"


@pytest.mark.skipif(VALIDATOR is None, reason="needs bids-validator-deno: pip install bids-validator-deno")
def test_the_derivatives_are_valid(derivatives):
    line = [VALIDATOR, derivatives, "--format", "json"]
    found = json.loads(subprocess.run(line, capture_output=True, text=True, check=False).stdout)["issues"]["issues"]
    assert not [issue for issue in found if issue["severity"] == "error"]


def test_an_interrupted_batch_is_130_and_leaves_no_worker_behind(tmp_path):
    table, out = tmp_path / "pairs.csv", tmp_path / "out"
    table.write_text("fixed,moving\n" + f"{FIXED},{MOVING}\n" * 50)
    line = [sys.executable, "-m", "stnreg", "batch", table, "-o", out, *map(str, QUICK)]
    default = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)  # a job in the background would ignore it
    process = subprocess.Popen(line, stderr=subprocess.PIPE, text=True, preexec_fn=default, start_new_session=True)
    while not (out / "results.csv").exists() or (out / "results.csv").read_text().count("\n") < 2:
        assert process.poll() is None
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert "Traceback" not in said
    for _ in range(100):  # Python's own helper of `multiprocessing` takes a moment
        try:
            os.killpg(process.pid, 0)
        except ProcessLookupError:  # nobody of its session is left
            break
        time.sleep(0.1)
    else:
        pytest.fail("a worker outlived its batch")
    with open(out / "results.csv", newline="") as stream:
        assert {row["status"] for row in csv.DictReader(stream)} == {"passed"}


@pytest.mark.parametrize("wrong", [("--dof", 8), ("--device", "tpu"), ("--jobs", 0)])
def test_wrong_options_are_refused_before_any_pair(table, tmp_path, wrong):
    assert run("batch", table, "-o", tmp_path / "out", *wrong) == 2
    assert not (tmp_path / "out").exists()


def test_a_missing_table_is_4(tmp_path):
    assert run("batch", tmp_path / "none.csv", "-o", tmp_path / "out") == 4
