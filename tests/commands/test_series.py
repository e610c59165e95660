import csv
import json
from pathlib import Path

import numpy as np
import pytest

from stnreg.cli import main
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters, invert
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume, load_volume, save_volume
from stnreg.resampling.resample import resample
from stnreg.transforms.io.files import load_transform
from stnreg.transforms.io.links import load_chain

EXAMPLES = Path(__file__).parents[2] / "examples"
MOVES = {"2019": Parameters(), "2021": Parameters((4, -6, 3), (5, -4, 9))}


def run(*arguments) -> int:
    with pytest.raises(SystemExit) as done:
        main([str(a) for a in arguments])
    return int(done.value.code or 0)


@pytest.fixture(scope="module")
def scans(tmp_path_factory):
    """Two visits of one person, a scan of another, and a damaged file."""
    folder = tmp_path_factory.mktemp("scans")
    head = load_volume(EXAMPLES / "fixed.nii.gz")
    center = head.grid.center_lps
    for name, parameters in MOVES.items():
        move = from_parameters(parameters, center)
        grid = Grid.cube(apply_affine(move, center), np.ceil(head.grid.extent_mm / 2.2).astype(int), 2.2)
        array = resample(head.array.astype(np.float32), head.grid, grid, invert(move))
        save_volume(folder / f"{name}.nii.gz", np.rint(array).astype(np.int16), like=Volume(array, grid), dtype="same")
    (folder / "other.nii.gz").symlink_to(EXAMPLES / "moving.nii.gz")
    (folder / "broken.nii.gz").write_bytes(b"not an image")
    return folder


@pytest.fixture(scope="module")
def made(scans, tmp_path_factory):
    """Run the command once, with everything that can go wrong with a visit."""
    out = tmp_path_factory.mktemp("out") / "visits"
    visits = [scans / f"{name}.nii.gz" for name in ("2019", "other", "2021", "broken")]
    return out, run("series", *visits, "-o", out, "--change", "--threads", 1)


def table(path, delimiter="\t"):
    with open(path, newline="") as stream:
        return list(csv.DictReader(stream, delimiter=delimiter))


def test_a_series_ends_in_files_and_a_status(made):
    out, status = made
    assert status == 4
    rows = {row["visit"]: row for row in table(out / "visits.tsv")}
    assert [rows[name]["status"] for name in ("2019", "other", "2021", "broken")] == [
        *("kept", "left out", "kept", "error"),
    ]
    assert "another person" in rows["other"]["reason"]
    assert "broken.nii.gz" in rows["broken"]["reason"]
    assert rows["2019"]["skull_used"] in ("true", "false")
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    own = {f"{name}{ending}" for name in MOVES for ending in (".nii.gz", ".tfm", ".lta", "_logjacobian.nii.gz")}
    shared = {"template.nii.gz", "visits.tsv", "changes.tsv", "series.json", "index.html", "between/2019_to_2021.tfm"}
    assert names == own | shared


def test_the_transforms_agree_with_each_other_and_with_the_truth(made):
    out, _ = made
    head = load_volume(EXAMPLES / "fixed.nii.gz")
    truth = from_parameters(MOVES["2021"], head.grid.center_lps)
    between = load_transform(out / "between" / "2019_to_2021.tfm")
    points = head.grid.center_lps + np.random.default_rng(0).uniform(-50, 50, (100, 3))
    off = np.linalg.norm(apply_affine(between, points) - apply_affine(truth, points), axis=1)
    assert off.mean() < 0.1
    template, visit = load_volume(out / "template.nii.gz"), load_volume(out / "2021.nii.gz")
    assert visit.grid.is_close(template.grid)
    tfm = load_transform(out / "2021.tfm")
    lta = load_chain([str(out / "2021.lta")]).matrix
    assert np.abs(tfm - lta).max() < 1e-6


def test_the_document_has_the_words_of_bids(made):
    out, _ = made
    document = json.loads((out / "series.json").read_text())
    assert [one["name"] for one in document["transforms"]] == [
        f"from-{name}_to-subject_mode-image_xfm" for name in MOVES
    ]
    assert document["between"][0]["name"] == "from-2019_to-2021_mode-image_xfm"
    assert len(document["Sources"]) == 2
    assert document["GeneratedBy"][0]["Name"] == "stnreg"
    written = [path for files in document["outputs"]["visits"].values() for path in files.values()]
    assert len(written) == 4 * len(MOVES)
    assert all(Path(path).is_file() for path in written)


def test_nothing_changed_between_two_scans_of_one_head(made):
    out, _ = made
    rows = {row["region"]: row for row in table(out / "changes.tsv")}
    assert abs(float(rows["brain"]["change_percent"])) < 1.0
    assert float(rows["brain"]["error_percent"]) > 0
    assert {"lateral_ventricles", "hippocampus_L", "frontal_R"} <= set(rows)
    assert 800 < float(rows["brain"]["template_ml"]) < 1700
    shown = load_volume(out / "2021_logjacobian.nii.gz")
    assert np.abs(shown.array).max() < 0.5


def test_the_page_holds_every_visit(made):
    out, _ = made
    page = (out / "index.html").read_text()
    for name in MOVES:
        assert f'data-show="{name}"' in page
    assert "volume change" in page
    assert page.index("2019: voxels of 2.2 mm are too coarse") < page.index("2021: voxels of 2.2 mm are too coarse")
    assert "http://" not in page
    assert "https://" not in page


def test_many_people_have_a_row_each_and_are_resumed(scans, tmp_path, capsys):
    listed, out = tmp_path / "subjects.csv", tmp_path / "study"
    rows = [f"one,{name},{scans / name}.nii.gz" for name in MOVES]
    listed.write_text("\n".join(("subject,session,image", *rows, f"two,only,{scans / '2019'}.nii.gz", "")))
    words = ("series", "--table", listed, "-o", out, "--no-image", "--jobs", 1)
    assert run(*words) == 0
    assert "two: has one visit" in capsys.readouterr().err
    (row,) = table(out / "results.csv", ",")
    assert (row["id"], row["status"], row["kept"]) == ("one", "passed", "2")
    named = json.loads((out / "one" / "series.json").read_text())["outputs"]["visits"]
    assert {what for files in named.values() for what in files} == {"transform", "lta"}
    assert all(Path(path).is_file() for files in named.values() for path in files.values())
    first = (out / "one" / "series.json").stat().st_mtime_ns
    assert run(*words, "--resume") == 0
    assert (out / "one" / "series.json").stat().st_mtime_ns == first


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("a.nii",), "two visits"),
        ((), "--table"),
        (("a.nii", "b.nii", "--table", "t.csv"), "--table"),
        (("a.nii", "b.nii", "--suffix", "T2w"), "--bids"),
        (("a.nii", "b.nii", "--change", "--dof", "12"), "12"),
        (("a.nii", "b.nii", "--exclude", "c=mask.nii"), "visits are a, b"),
        (("--table", "t.csv", "--exclude", "c=mask.nii"), "column exclude"),
    ],
)
def test_wrong_use_is_refused(words, told, tmp_path, capsys):
    assert run("series", *words, "-o", tmp_path / "out") == 2
    assert told in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
