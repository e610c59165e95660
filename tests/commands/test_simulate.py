"""`stnreg simulate` from the command line."""

import pytest

from stnreg import cli
from stnreg.datasets.pair_table import load_pairs
from stnreg.errors import ExitCode


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["simulate", *map(str, arguments)])
    return end.value.code


def test_cubes_and_their_table(tmp_path, capsys):
    assert run("cubes", "-o", tmp_path / "deep" / "pairs", "--split", "1,0,1", "--size", 24, "--jobs", 1) == 0
    pairs = load_pairs(tmp_path / "deep/pairs/PAIRS.csv")
    assert [(p.id, p.split) for p in pairs] == [("train-0000", "train"), ("test-0000", "test")]
    said = capsys.readouterr()
    assert said.out == ""
    assert "2 pairs" in said.err


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (["spheres"], ExitCode.USAGE),
        (["cubes", "--split", "1,2"], ExitCode.USAGE),
        (["cubes", "--split", "0,0,0"], ExitCode.USAGE),
        (["cubes", "--split", "one,0,0"], ExitCode.USAGE),
        (["heads"], ExitCode.USAGE),
        (["rotated", "--image", "/nowhere.nii"], ExitCode.DATA),
    ],
)
def test_what_cannot_be_done(arguments, status, tmp_path):
    assert run(*arguments, "-o", tmp_path / "pairs") == status
    assert not (tmp_path / "pairs").exists()


def test_two_runs_into_one_folder(tmp_path, capsys):
    arguments = ("cubes", "-o", tmp_path, "--split", "1,0,0", "--size", 24, "--jobs", 1)
    assert run(*arguments) == run(*arguments) == 0
    assert run(*arguments, "--seed", 1) == ExitCode.USAGE
    assert "another folder" in capsys.readouterr().err
