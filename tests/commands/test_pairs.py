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


def test_fewer_than_asked_for_is_told(root, tmp_path):
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


def test_wrong_usage_is_told(root, tmp_path):
    with pytest.raises(UsageProblem, match="--table is for adni"):
        run("folder", root, "-o", tmp_path / "a.csv", "--table", tmp_path / "t.csv")
    with pytest.raises(UsageProblem, match="three counts"):
        run("folder", root, "-o", tmp_path / "a.csv", "--split", "1,2")
    with pytest.raises(DataError, match="no such folder"):
        run("bids", tmp_path / "none", "-o", tmp_path / "a.csv")
