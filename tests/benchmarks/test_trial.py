"""The folder of the trial, and what is printed of what the line said."""

from benchmarks.trial.folder import BAD, REVISITED, scan_names
from benchmarks.trial.run import LONGEST_TOLD, report_line, said_of

SAID = """stnreg: sub-03_T1w: /in/scans/sub-03_T1w.nii.gz: is cut short
stnreg: sub-14_T1w: left and right may be exchanged
stnreg: sub-14_T1w: and another thing
stnreg: sub-05_T1w: a warning
stnreg: 30 pairs: 1 error
"""


def test_there_are_30_scans_with_five_bad_ones_and_two_people_with_two_visits(tmp_path):
    names = scan_names()
    assert len({*names}) == 30
    assert len(BAD) == 5
    assert set(BAD) < set(names)
    assert sum(name.startswith(REVISITED) for name in names) == 2


def test_what_is_said_of_a_scan_is_told_without_paths_and_cut(tmp_path):
    assert (
        said_of("sub-03_T1w", SAID.replace("/in", str(tmp_path)), tmp_path) == "scans/sub-03_T1w.nii.gz: is cut short"
    )
    assert said_of("sub-14_T1w", SAID, tmp_path) == "left and right may be exchanged; and another thing"
    assert said_of("sub-04_T1w", SAID, tmp_path) == ""
    assert len(said_of("a", "stnreg: a: " + "x" * 999, tmp_path)) == LONGEST_TOLD + 3


def test_bad_scans_that_nothing_is_said_of_do_not_count(tmp_path, capsys):
    (tmp_path / "out").mkdir()
    lines = "".join(f"{name},passed\n" for name in scan_names())
    (tmp_path / "out/results.csv").write_text("id,status\n" + lines)
    assert report_line(tmp_path, 0, 1.0, SAID) == 2
    printed = capsys.readouterr().out
    assert "lesion (sub-26_T1w): passed; NOTHING SAID" in printed
    assert "a good scan (sub-05_T1w): passed; a warning" in printed
    assert "of the other 24 nothing is said" in printed
