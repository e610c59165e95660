"""What users of other tools type out of habit is answered with how it is said here."""

import pytest

from stnreg.cli import main
from stnreg.commands._habits import foreign_options


def said(capsys, *line) -> str:
    with pytest.raises(SystemExit) as end:
        main(list(line))
    assert end.value.code == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("register -ref a.nii -in b.nii -omat c.mat", ("FIXED (first, without an option) for -ref", "-t OUT.fslmat")),
        ("register -d 3 -f a.nii -m b.nii -o out", ("nothing for -d", "MOVING (second, without an option) for -m")),
        ("baseline --fixed a.nii --moving b.nii", ("FIXED (first", "stnreg baseline FIXED MOVING")),
        ("apply-transform -in b.nii -ref a.nii -init c.mat -out d.nii", ("-r REFERENCE for -ref", "-t fsl:FILE")),
        ("apply-transform -d 3 -i b.nii -r a.nii -t c.tfm -o d.nii -n Linear", ("for -i", "--interp NAME for -n")),
        ("apply-transform b.nii -r a.nii -t [c.tfm,1] -o d.nii", ("ANTs", "inv:c.tfm")),
        ("apply-transform b.nii -r a.nii -t [c.tfm, 1] -o d.nii", ("ANTs", "inv:c.tfm")),
        ("register a.nii b.nii -o c.nii --init [c.mat,1]", ("inv:c.mat",)),
    ],
)  # fmt: skip
def test_options_of_other_tools_name_ours(capsys, line, expected):
    err = said(capsys, *line.split(" "))
    for words in expected:
        assert words in err


def test_an_output_without_a_suffix_is_given_one(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("a.nii", "b.nii"):
        (tmp_path / name).write_bytes(b"something")
    assert "such as out.nii.gz" in said(capsys, "register", "a.nii", "b.nii", "-o", "out")
    assert "such as out.tfm" in said(capsys, "register", "a.nii", "b.nii", "-t", "out")


def test_our_own_command_lines_get_no_hint():
    assert foreign_options("register", ["a.nii", "b.nii", "c.nii"]) is None
    assert foreign_options("register", ["--", "-in"]) is None
    assert foreign_options("evaluate", ["-in"]) is None
