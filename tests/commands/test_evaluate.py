import json

import nibabel as nib
import numpy as np
import pytest

from stnreg import cli
from stnreg.evaluation.evaluate import METRICS
from stnreg.geometry.affine import Parameters, from_parameters
from stnreg.images.volume import load_reference, load_volume, save_volume
from stnreg.transforms.affine import Affine
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.files import save_transform
from stnreg.transforms.sampling import voxel_points


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(["evaluate", *map(str, arguments)])
    return end.value.code


def figures(text):
    rows = [line.split("\t") for line in text.splitlines()]
    assert all(len(row) == 4 for row in rows)
    return {(metric, label): float(value) for metric, label, value, _ in rows}


@pytest.fixture
def case(tmp_path):
    """A block of two labels; the moving one stands 4 mm to the patient's left, which `truth` says."""
    labels = np.zeros((24, 20, 16), np.uint8)
    labels[6:14, 6:14, 4:12] = 1
    labels[14:18, 6:14, 4:12] = 7
    image = labels * 50.0 + np.random.default_rng(0).normal(0, 1, labels.shape)
    here, there = np.diag([2.0, 2, 2, 1]), np.diag([2.0, 2, 2, 1])
    there[0, 3] = -4  # RAS, so to the left in LPS
    for name, affine in (("fixed", here), ("moving", there)):
        nib.save(nib.Nifti1Image(image.astype(np.float32), affine), tmp_path / f"{name}.nii.gz")
        nib.save(nib.Nifti1Image(labels, affine), tmp_path / f"{name}-labels.nii.gz")
    nib.save(nib.Nifti1Image(np.roll(labels, 2, 0), here), tmp_path / "moved-labels.nii.gz")
    save_transform(tmp_path / "truth.tfm", from_parameters(Parameters((4.0, 0, 0)), np.zeros(3)))
    save_transform(tmp_path / "off.tfm", from_parameters(Parameters((4.0, 0, 3.0)), np.zeros(3)))
    return tmp_path


def warped(case, transform, *more):
    return run(
        *(case / "fixed.nii.gz", case / "moving.nii.gz", "--warp", "--transform", case / transform),
        *("--fixed-labels", case / "fixed-labels.nii.gz", "--moved-labels", case / "moving-labels.nii.gz", *more),
    )


def test_labels_on_the_fixed_grid(case, capsys):
    assert (
        run(
            *(case / "fixed.nii.gz", case / "fixed.nii.gz", "--metrics", "dice,hd,jaccard"),
            *("--fixed-labels", case / "fixed-labels.nii.gz", "--moved-labels", case / "moved-labels.nii.gz"),
        )
        == 0
    )
    found = figures(capsys.readouterr().out)
    assert found["dice", "1"] == pytest.approx(6 / 8)
    assert found["dice", "7"] == pytest.approx(2 / 4)
    assert found["dice", "mean"] == pytest.approx(5 / 8)
    assert found["hd", "mean"] == pytest.approx(4)
    assert next(iter(found)) == ("dice", "1")


def test_the_true_transform_makes_everything_right_and_before_it_is_wrong(case, capsys):
    assert warped(case, "truth.tfm", "--before", "--metrics", ",".join(METRICS), "--truth", case / "truth.tfm") == 0
    found = figures(capsys.readouterr().out)
    assert found["dice", "mean"] == 1
    assert found["dice_before", "mean"] == pytest.approx(5 / 8)
    assert found["hd", "mean"] == 0
    assert found["hd_before", "mean"] == pytest.approx(4)
    assert found["ncc", "image"] == pytest.approx(1, abs=1e-4)
    assert found["ncc_before", "image"] < 0.9
    assert found["tre", "max"] == 0
    assert found["jacobian", "determinant"] == 1


def test_target_and_parameter_errors(case, capsys):
    assert warped(case, "off.tfm", "--metrics", "tre,params", "--truth", case / "truth.tfm") == 0
    found = figures(capsys.readouterr().out)
    assert found["tre", "mean"] == pytest.approx(3)
    assert found["params", "translation_z"] == pytest.approx(3)
    assert found["params", "rotation_angle"] == pytest.approx(0, abs=1e-6)


def test_only_the_wanted_labels_and_the_foreground_beside_them(case, capsys):
    assert warped(case, "truth.tfm", "--metrics", "dice", "--labels", "7,9", "--foreground", "otsu") == 0
    found = figures(capsys.readouterr().out)
    assert set(found) == {("dice", "7"), ("dice", "9"), ("dice", "mean"), ("dice", "foreground")}
    assert np.isnan(found["dice", "9"])
    assert found["dice", "mean"] == found["dice", "foreground"] == 1


def test_the_papers_metrics_without_labels(case, capsys):
    assert run(case / "fixed.nii.gz", case / "fixed.nii.gz") == 0
    found = figures(capsys.readouterr().out)
    assert found["dice", "foreground"] == 1
    assert found["hd", "foreground"] == 0
    assert found["mi", "image"] > 0.5


def test_json_and_csv(case, capsys):
    out = case / "out.csv"
    assert warped(case, "truth.tfm", "--metrics", "dice", "--json", "-", "--csv", out) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["measures"][-1] == {"metric": "dice", "label": "mean", "value": 1.0, "unit": "1"}
    assert out.read_text().splitlines()[0] == "metric,label,value,unit"


def test_a_table_with_intervals_and_an_unreadable_row(case, capsys):
    table = case / "pairs.csv"
    row = "fixed.nii.gz,moving.nii.gz,fixed-labels.nii.gz,moving-labels.nii.gz,truth.tfm"
    header = "id,fixed,moving,fixed_labels,moving_labels,transform,truth\n"
    table.write_text(header + f"a,{row},truth.tfm\nb,{row.replace('truth', 'off')},truth.tfm\n")
    assert run("--pairs", table, "--metrics", "dice,tre", "--csv", case / "all.csv") == 0
    rows = {tuple(r[:2]): r[2:] for r in (line.split("\t") for line in capsys.readouterr().out.splitlines())}
    mean, unit, low, high, pairs = rows["tre", "mean"]
    assert (float(mean), unit, pairs) == (pytest.approx(1.5), "mm", "2")
    assert 0 <= float(low) <= 1.5 <= float(high) <= 3.01
    assert ("dice", "7") not in rows
    assert "a,dice,7,1,1" in (case / "all.csv").read_text()

    table.write_text(header + f"a,{row},truth.tfm\nb,absent.nii.gz{row[12:]},truth.tfm\n")
    assert run("--pairs", table, "--metrics", "mi") == 4
    captured = capsys.readouterr()
    assert captured.out.startswith("mi\timage")
    assert "absent.nii.gz" in captured.err


def test_images_on_different_grids_are_refused_with_the_remedy(case, capsys):
    assert run(case / "fixed.nii.gz", case / "moving.nii.gz", "--metrics", "mi") == 4
    assert "--warp" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["f", "m", "--metrics", "dice,beauty"],
        ["f", "m", "--metrics", ""],
        ["f", "m", "--fixed-labels", "l"],
        ["f", "m", "--metrics", "tre", "--transform", "t"],
        ["f", "m", "--metrics", "jacobian"],
        ["f", "m", "--before"],
        ["f", "m", "--labels", "one"],
        ["f", "m", "--foreground", "brain"],
        ["f", "m", "--bins", "1"],
        ["f", "m", "--json", "-", "--csv", "-"],
        ["f", "m", "--pairs", "p"],
        ["f", "m", "--header-source", "both"],
        ["f"],
        [],
    ],
)
def test_wrong_usage_is_2_before_anything_is_opened(arguments, capsys):
    assert run(*arguments) == 2
    assert capsys.readouterr().out == ""


def test_a_missing_file_is_4_and_named(tmp_path, capsys):
    assert run(tmp_path / "absent.nii", tmp_path / "absent.nii") == 4
    assert "absent.nii" in capsys.readouterr().err


def test_a_displacement_field_is_judged(case, capsys):
    fixed = load_reference(case / "fixed.nii.gz")
    points = voxel_points(fixed.grid)
    vectors = np.zeros((3, *fixed.grid.shape), np.float32)
    vectors[0] = 4 + 0.1 * (points[0] - points[0].min())  # 4 mm to the left, and a tenth wider
    save_transform(case / "warp.nii.gz", DisplacementField(vectors, fixed.grid), fixed=fixed)
    mask = np.zeros(fixed.grid.shape, np.uint8)
    mask[:, :, 5] = 1
    save_volume(case / "mask.nii.gz", mask, like=load_volume(case / "fixed.nii.gz"), dtype="same")
    images = (case / "fixed.nii.gz", case / "moving.nii.gz", "--warp", "--transform")
    more = ("--truth", case / "truth.tfm", "--mask", case / "mask.nii.gz")
    assert run(*images, case / "warp.nii.gz", *more, "--metrics", "tre,jacobian,ncc") == 0
    found = figures(capsys.readouterr().out)
    away = 0.1 * np.ptp(points[0]) * abs(float(points[0][0, 0, 5] - points[0].min())) / np.ptp(points[0])
    assert found["tre", "mean"] == pytest.approx(away, rel=1e-4)
    assert found["jacobian", "mean"] == pytest.approx(1.1, abs=1e-5)
    assert found["jacobian", "minimum"] == pytest.approx(1.1, abs=1e-5)
    assert found["jacobian", "sd_log"] == pytest.approx(0, abs=1e-5)
    assert found["jacobian", "folds"] == 0
    save_transform(case / "linear.nii.gz", Affine(np.diag([1.1, 1, 1, 1])), fixed=fixed)
    assert run(*images, case / "linear.nii.gz", "--truth", case / "linear.nii.gz", "--metrics", "tre") == 0
    assert figures(capsys.readouterr().out)["tre", "max"] == 0
    assert run(*images, case / "warp.nii.gz", *more, "--metrics", "params") == 2
    assert "warp.nii.gz" in (said := capsys.readouterr().err)
    assert "is non-linear" in said
    assert run(*images, case / "truth.tfm", "--truth", case / "warp.nii.gz", "--metrics", "params") == 2
    assert "--truth" in capsys.readouterr().err


def test_folds_are_counted(case, capsys):
    fixed = load_reference(case / "fixed.nii.gz")
    vectors = np.zeros((3, *fixed.grid.shape), np.float32)
    vectors[0, 6, 6, 6] = 30
    save_transform(case / "warp.nii.gz", DisplacementField(vectors, fixed.grid), fixed=fixed)
    images = (case / "fixed.nii.gz", case / "moving.nii.gz", "--transform", case / "warp.nii.gz")
    assert run(*images, "--metrics", "jacobian") == 0
    found = figures(capsys.readouterr().out)
    assert found["jacobian", "folds"] > 0
    assert found["jacobian", "minimum"] < 0
