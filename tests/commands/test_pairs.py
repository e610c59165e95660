import csv

import pytest
import typer
from typer.testing import CliRunner

from stnreg.commands.pairs import pairs
from stnreg.datasets.pair_table import load_pairs
from stnreg.errors import DataError, UsageProblem


def run(*arguments):
    app = typer.Typer()
    app.command()(pairs)
    return CliRunner().invoke(app, [str(a) for a in arguments], catch_exceptions=False)


@pytest.fixture
def root(tmp_path):
    for person in range(6):
        folder = tmp_path / "scans" / f"p{person}"
        folder.mkdir(parents=True)
        for visit in range(1 + person % 3):
            (folder / f"{2000 + visit}.nii.gz").touch()
    (tmp_path / "scans" / "empty").mkdir()
    (tmp_path / "lists").mkdir()
    return tmp_path / "scans"


def test_a_list_that_train_and_evaluate_can_read(root, tmp_path):
    output, missing = tmp_path / "lists" / "PAIRS.csv", tmp_path / "missing.csv"
    result = run("folder", root, "-o", output, "--split", "3,1,1", "--missing", missing)
    assert result.exit_code == 0
    rows = load_pairs(output)
    assert [row.split for row in rows] == ["train"] * 3 + ["validation"] + ["test"]
    assert all(row.fixed.is_file() and row.moving.is_file() for row in rows)
    assert all(row.subject != row.other["moving_subject"] for row in rows)
    assert output.read_text().splitlines()[1].split(",")[2].startswith("../scans/")
    with missing.open() as file:
        assert [row["subject"] for row in csv.DictReader(file)] == ["empty"]
    assert "missing: empty" in result.stderr
    assert "5 pairs from 12 scans of 6 people" in result.stderr


def test_fewer_than_requested_is_reported(root, tmp_path):
    output = tmp_path / "PAIRS.csv"
    result = run("folder", root, "-o", output, "--kind", "longitudinal", "--split", "100,0,0")
    assert len(load_pairs(output)) == 2 * 1 + 2 * 3
    assert "train: 8 pairs, of 100 asked for" in result.stderr


def test_the_same_seed_gives_the_same_list(root, tmp_path):
    texts = []
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        run("folder", root, "-o", tmp_path / name, "--split", "4,2,2", "--seed", seed)
        texts.append((tmp_path / name).read_text())
    assert texts[0] == texts[1] != texts[2]


@pytest.fixture
def dataset(tmp_path):
    """Lay out a BIDS dataset of one person with two visits, another with one scan and no session, and a template."""
    for name in ("sub-01/ses-1", "sub-01/ses-2", "sub-02"):
        folder = tmp_path / "ds" / name / "anat"
        folder.mkdir(parents=True)
        (folder / f"{name.replace('/', '_')}_T1w.nii.gz").write_bytes(b"x")
    (tmp_path / "mni.nii.gz").write_bytes(b"x")
    return tmp_path / "ds"


def test_every_scan_to_a_template_without_a_split(dataset, tmp_path):
    output, template = tmp_path / "PAIRS.csv", tmp_path / "mni.nii.gz"
    result = run("bids", dataset, "-o", output, "--fixed", template)
    assert result.exit_code == 0
    rows = load_pairs(output)
    assert [row.id for row in rows] == ["sub-01_ses-1", "sub-01_ses-2", "sub-02"]
    assert {row.fixed.resolve() for row in rows} == {template}
    assert [row.subject for row in rows] == ["sub-01", "sub-01", "sub-02"]
    assert {row.split for row in rows} == {None}
    run("bids", dataset, "-o", output, "--fixed", template, "--split", "1,1,0")
    assert [row.split for row in load_pairs(output)] == ["train", "validation"]


def test_one_person_is_enough_for_visits(dataset, tmp_path):
    output = tmp_path / "PAIRS.csv"
    result = run("bids", dataset, "-o", output, "--kind", "longitudinal")
    assert result.exit_code == 0
    (pair,) = load_pairs(output)
    assert "ses-1" in pair.fixed.name
    assert "ses-2" in pair.moving.name
    assert "asked for" not in result.stderr


def test_without_a_split_all_pairs_of_two_people_are_listed(root, tmp_path):
    output = tmp_path / "PAIRS.csv"
    run("folder", root, "-o", output)
    rows = load_pairs(output)
    assert len({(row.fixed, row.moving) for row in rows}) == len(rows) == 12**2 - 2 * (1 + 4 + 9)
    assert {row.split for row in rows} == {None}


def test_too_few_people_are_reported_with_a_remedy(tmp_path):
    folder = tmp_path / "ds" / "sub-01" / "anat"
    folder.mkdir(parents=True)
    (folder / "sub-01_T1w.nii.gz").write_bytes(b"x")
    with pytest.raises(DataError, match="--fixed TEMPLATE"):
        run("bids", tmp_path / "ds", "-o", tmp_path / "a.csv")
    with pytest.raises(UsageProblem, match="--kind"):
        run(
            "bids",
            tmp_path / "ds",
            "-o",
            tmp_path / "a.csv",
            "--kind",
            "random",
            "--fixed",
            folder / "sub-01_T1w.nii.gz",
        )


def test_wrong_usage_is_reported(root, tmp_path):
    with pytest.raises(UsageProblem, match="--table is for adni"):
        run("folder", root, "-o", tmp_path / "a.csv", "--table", tmp_path / "t.csv")
    with pytest.raises(UsageProblem, match="three counts"):
        run("folder", root, "-o", tmp_path / "a.csv", "--split", "1,2")
    with pytest.raises(DataError, match="no such folder"):
        run("bids", tmp_path / "none", "-o", tmp_path / "a.csv")
