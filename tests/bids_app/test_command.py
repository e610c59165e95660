import csv
import json
import re
import shutil
import subprocess
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from stnreg import cli
from stnreg.batch.run import RESULTS
from stnreg.batch.table import Table
from stnreg.bids_app.command import main

EXAMPLES = Path(__file__).parents[2] / "examples"
VALIDATOR = shutil.which("bids-validator-deno")
SPACE = "MNI152NLin2009aSym"


def run(*words, program=main) -> int:
    with pytest.raises(SystemExit) as done:
        program([str(word) for word in words])
    return int(done.value.code or 0)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory):
    """A person, one with a scan that is cut short, one without a scan, and one with two sessions."""
    root = tmp_path_factory.mktemp("raw")
    described = {"Name": "x", "BIDSVersion": "1.9.0", "DatasetDOI": "doi:10.0/x"}
    (root / "dataset_description.json").write_text(json.dumps(described))
    scan = (EXAMPLES / "moving.nii.gz").read_bytes()
    for name, content in (("sub-01", scan), ("sub-02", scan[:300_000])):
        (root / name / "anat").mkdir(parents=True)
        (root / name / "anat" / f"{name}_T1w.nii.gz").write_bytes(content)
    (root / "sub-03" / "anat").mkdir(parents=True)
    for session in ("ses-1", "ses-2"):
        folder = root / "sub-04" / session / "anat"
        folder.mkdir(parents=True)
        shutil.copy(EXAMPLES / "fixed.nii.gz", folder / f"sub-04_{session}_T1w.nii.gz")
    return root


@pytest.fixture(scope="module")
def made(dataset, tmp_path_factory):
    """Run both levels once, two people at a time."""
    out = tmp_path_factory.mktemp("out") / "stnreg"
    statuses = [
        run(dataset, out, "participant", "--participant-label", "01", "sub-04", "--nprocs", 1, "--on-fail", "warn")
    ]
    statuses += [run(dataset, out, "participant", "--nprocs", 1, "--on-fail", "warn")]
    statuses += [run(dataset, out, "group", "--on-fail", "warn")]
    return out, statuses


def test_whatever_cannot_be_registered_is_named_and_the_others_go_on(dataset, made, capsys):
    out, statuses = made
    assert statuses == [0, 4, 4]
    capsys.readouterr()
    assert run(dataset, out, "participant", "--on-fail", "warn", "--nprocs", 1) == 4
    said = capsys.readouterr().err
    assert "missing: sub-03 only: no T1w image" in said
    assert "sub-02_T1w: " in said
    assert "is cut short" in said
    assert "4 images: 1 error, 3 passed" in said
    assert sorted(path.name for path in out.glob("*.html")) == [
        *("group_T1w.html", "sub-01.html", "sub-02.html", "sub-04.html")
    ]
    assert "is cut short" in (out / "sub-02.html").read_text()


def test_images_and_transforms_are_those_of_the_command(dataset, made, tmp_path):
    out, _ = made
    folder = tmp_path / "batch"
    scan = dataset / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    line = ("batch", "--fixed", "MNI152", scan, "--bids", "-o", folder, "--jobs", 1)
    assert run(*line, program=cli.main) == 0
    own = [path.relative_to(folder) for path in folder.glob("sub-01/anat/*") if not path.name.endswith("_xfm.json")]
    assert [path.name for path in sorted(own)] == [
        f"sub-01_from-T1w_to-{SPACE}_mode-image_xfm.tfm",
        f"sub-01_space-{SPACE}_T1w.json",
        f"sub-01_space-{SPACE}_T1w.nii.gz",
    ]
    for path in own:
        assert (out / path).read_bytes() == (folder / path).read_bytes()


def test_a_run_goes_on_from_any_earlier_one(dataset, made, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(made[0], out)
    written = sorted(out.rglob("*.tfm"))
    assert len(written) == 3
    before = [path.stat().st_mtime_ns for path in written]
    shutil.rmtree(out / ".work")  # the tables of the people know as much
    assert run(dataset, out, "participant", "--participant_label", "04", "--nprocs", 1) == 0
    for table in out.rglob("*_registrations.csv"):
        table.unlink()  # as if the run had been interrupted before it wrote them
    assert run(dataset, out, "participant", "--participant-label", "04", "-w", out / ".work", "--nprocs", 1) == 0
    assert [path.stat().st_mtime_ns for path in written] == before
    assert (out / "sub-04" / "sub-04_registrations.csv").is_file()
    written[0].unlink()
    assert run(dataset, out, "participant", "--participant-label", "01", "--nprocs", 1) == 0
    assert written[0].is_file()


def test_two_runs_with_other_people_share_a_folder(dataset, made, tmp_path):
    out = tmp_path / "copy"
    shutil.copytree(made[0], out)
    (table,) = (out / ".work").glob(f"all-*/{RESULTS}")
    with Table(table, keep=True):  # a run of all people is under way
        assert run(dataset, out, "participant", "--nprocs", 1) == 4
        assert run(dataset, out, "participant", "--participant-label", "04", "--nprocs", 1) == 0


def test_the_description_says_from_what_and_by_what(dataset, made):
    described = json.loads((made[0] / "dataset_description.json").read_text())
    assert described["DatasetType"] == "derivative"
    assert described["GeneratedBy"][0]["Name"] == "stnreg"
    assert described["SourceDatasets"] == [{"URL": dataset.as_uri(), "DOI": "doi:10.0/x"}]


def test_the_report_of_a_person_shows_each_image_and_needs_no_script(made):
    page = (made[0] / "sub-04.html").read_text()
    assert page.count('class="stnreg-flicker"') == 2
    assert "<script" not in page
    ids = re.findall(r'<image id="(\w+)"', page)
    assert len(ids) == 8
    links = re.findall(r'<a href="(?!#)([^"]+)"', page)
    assert len(links) == 8
    assert all((made[0] / link).is_file() for link in links)
    for picture in made[0].glob("sub-04/figures/*.svg"):
        ET.parse(picture)


def test_the_group_has_a_row_and_a_picture_of_each_image(made):
    with open(made[0] / "group_T1w.tsv", newline="") as stream:
        rows = {row["id"]: row for row in csv.DictReader(stream, delimiter="\t")}
    assert sorted(rows) == ["sub-01_T1w", "sub-02_T1w", "sub-04_ses-1_T1w", "sub-04_ses-2_T1w"]
    assert rows["sub-02_T1w"]["status"] == "error"
    page = (made[0] / "group_T1w.html").read_text()
    data = json.loads(page.partition('id="data">')[2].partition("</script>")[0])
    assert {one["id"] for one in data["pairs"] if one["tiles"]} == set(rows) - {"sub-02_T1w"}
    assert all((made[0] / link).is_file() for one in data["pairs"] for link in one["links"].values())
    assert data["pairs"][0]["status"] == "error"


@pytest.mark.skipif(VALIDATOR is None, reason="needs bids-validator-deno: pip install bids-validator-deno")
def test_the_derivatives_are_valid(made):
    line = [VALIDATOR, made[0], "--format", "json"]
    found = json.loads(subprocess.run(line, capture_output=True, text=True, check=False).stdout)["issues"]["issues"]
    # Whose data they are is for the people to say who share them.
    assert {(issue["severity"], issue["code"]) for issue in found} <= {("warning", "TOO_FEW_AUTHORS")}


@pytest.mark.parametrize(
    ("words", "status", "said"),
    [
        (("participant", "--participant-label", "9"), 2, "no folder sub-9"),
        (("participant", "--participant-label", "03"), 4, "no T1w image of sub-03"),
        (("group",), 4, "run the level participant first"),
        (("people",), 2, "'people'"),
    ],
)
def test_what_cannot_be_is_refused(dataset, tmp_path, capsys, words, status, said):
    out = tmp_path / "out"
    (out / "sub-77").mkdir(parents=True)
    assert run(dataset, out, *words) == status
    assert said in capsys.readouterr().err


def test_the_dataset_itself_is_no_place_for_outputs(dataset, capsys):
    assert run(dataset, dataset, "participant") == 2
    assert "is the dataset itself" in capsys.readouterr().err


def test_help_and_version(capsys):
    assert run("--version") == 0
    assert re.fullmatch(r"stnreg-bids \d+\.\d+\.\d+\n", capsys.readouterr().out)
    assert run("--help") == 0
    said = capsys.readouterr().out
    for option in ("--participant-label", "--work-dir", "--nprocs", "--template"):
        assert option in said
