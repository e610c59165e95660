"""Transform files: all digits there and back, every linear ITK class, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from stnreg.errors import DataError, TransformError, UsageProblem
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.images.volume import Reference
from stnreg.transforms.affine import Affine
from stnreg.transforms.io.files import check_transform_output, load_transform, save_transform, written_by_stnreg
from stnreg.transforms.io.links import load_chain

POINTS = np.array([[0.0, 0, 0], [100, 0, 0], [0, -80, 0], [30, 40, 120]])
CENTER = (5.0, -20.0, 40.0)


@given(st.from_type(Parameters), st.sampled_from((".tfm", ".txt", ".mat")))
def test_save_then_load_gives_every_digit(tmp_path_factory: Any, parameters: Parameters, suffix: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"again{suffix}"
    matrix = from_parameters(parameters, CENTER)
    save_transform(path, matrix)
    assert np.array_equal(load_transform(path), matrix)
    assert written_by_stnreg(path)
    itk = sitk.ReadTransform(str(path))
    assert np.abs(itk.TransformPoint(POINTS[3].tolist()) - apply_affine(matrix, POINTS[3])).max() < 1e-9


def test_the_text_is_the_form_everyone_reads(tmp_path: Path) -> None:
    shift = np.eye(4)
    shift[:3, 3] = 1.5, -2, 0.1
    save_transform(tmp_path / "a.tfm", shift)
    assert (tmp_path / "a.tfm").read_text().strip().splitlines() == [
        "#Insight Transform File V1.0",
        "#Transform 0",
        "Transform: AffineTransform_double_3_3",
        "Parameters: 1 0 0 0 1 0 0 0 1 1.5 -2 0.1",
        "FixedParameters: 0 0 0",
    ]


def itk_transforms() -> dict[str, sitk.Transform]:
    angles, versor, shift, center = (0.3, -0.2, 0.5), (0.1, 0.2, -0.3), (10.0, -20, 5), CENTER
    affine = sitk.AffineTransform(3)
    affine.SetMatrix((1.1, 0.1, 0, -0.2, 0.9, 0.05, 0, 0.1, 1.2))
    affine.SetTranslation(shift)
    affine.SetCenter(center)
    euler = sitk.Euler3DTransform(center, *angles, shift)
    zyx = sitk.Euler3DTransform(center, *angles, shift)
    zyx.SetComputeZYX(True)
    rigid = sitk.VersorRigid3DTransform()
    rigid.SetCenter(center)
    rigid.SetRotation(versor, 0.4)
    rigid.SetTranslation(shift)
    similarity = sitk.Similarity3DTransform()
    similarity.SetCenter(center)
    similarity.SetRotation(versor, 0.4)
    similarity.SetScale(1.2)
    scale_versor = sitk.ScaleVersor3DTransform()
    scale_versor.SetCenter(center)
    scale_versor.SetRotation(versor, 0.4)
    scale_versor.SetScale((1.1, 0.9, 1.2))
    scale = sitk.ScaleTransform(3, (1.1, 0.9, 1.2))
    scale.SetCenter(center)
    return {
        "affine": affine,
        "euler": euler,
        "euler zyx": zyx,
        "versor": sitk.VersorTransform(versor, 0.4, center),
        "versor rigid": rigid,
        "similarity": similarity,
        "scale versor": scale_versor,
        "scale": scale,
        "translation": sitk.TranslationTransform(3, shift),
        "identity": sitk.Transform(3, sitk.sitkIdentity),
        "composite": sitk.CompositeTransform([affine, euler, sitk.TranslationTransform(3, shift)]),
        "composite of affines": sitk.CompositeTransform([affine, sitk.AffineTransform(affine.GetInverse())]),
    }


def classes_of(suffix: str) -> list[str]:
    """Name the classes to try: ITK writes no composite as .mat, and reads .h5 for us, whatever the class."""
    names = [name for name in itk_transforms() if suffix != ".mat" or not name.startswith("composite")]
    return ["affine", "euler zyx", "composite"] if suffix == ".h5" else names


@pytest.mark.parametrize(
    ("suffix", "name"), [(suffix, name) for suffix in (".tfm", ".mat", ".h5") for name in classes_of(suffix)]
)
def test_every_linear_class_is_read(tmp_path: Path, suffix: str, name: str) -> None:
    transform = itk_transforms()[name]
    path = tmp_path / f"a{suffix}"
    sitk.WriteTransform(transform, str(path))
    matrix = load_transform(path)
    itk = sitk.ReadTransform(str(path))  # what ITK reads: its SetScale leaves a stale offset in memory
    expected = [itk.TransformPoint(point) for point in POINTS.tolist()]
    assert np.abs(apply_affine(matrix, POINTS) - expected).max() < 1e-9
    assert not written_by_stnreg(path)


def test_single_precision_and_the_class_of_ants(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(
        "#Insight Transform File V1.0\r\n#Transform 0\r\nTransform: MatrixOffsetTransformBase_float_3_3\r\n"
        "Parameters: 2 0 0 0 1 0 0 0 1 1 2 3\r\nFixedParameters: 10 0 0\r\n"
    )
    assert np.allclose(apply_affine(load_transform(tmp_path / "a.txt"), (10, 0, 0)), (11, 2, 3))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"hello", "not a transform that is read"),
        (b"type      = 1\nnxforms = 1\n", "LTA is cut short"),
        (b"1 0 0 0\n" * 4, "bare 4x4"),
        (b"#Insight Transform File V1.0\n", "no transform"),
        (b"#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\nParameters: 1 2\n", "12 finite"),
        (b"#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\nParameters: 1 x\n", "damaged"),
        (b"#Insight Transform File V1.0\nTransform: AffineTransform_double_2_2\nParameters: 1 0 0 1 0 0\n", "3-D"),
        (b"#Insight Transform File V1.0\nTransform: BSplineTransform_double_3_3\nParameters: 1\n", "non-linear"),
        (
            b"#Insight Transform File V1.0\nTransform: WhatTransform_double_3_3\nParameters: 1\n",
            "WhatTransform is not read",
        ),
        (b"#Insight Transform File V1.0\nTransform: CompositeTransform_double_3_3\n", "without members"),
        (b"#Insight Transform File V1.0\nTransform: Euler3DTransform_double_3_3\nParameters: 1\n", "6 finite"),
        (
            b"#Insight Transform File V1.0\nTransform: VersorTransform_double_3_3\nParameters: 0 0 0\n"
            b"FixedParameters: 1 nan 2\n",
            "centre",
        ),
        (
            b"#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\n"
            b"Parameters: 1 0 0 0 1 0 0 0 0 0 0 0\nFixedParameters: 0 0 0\n",
            "invertible",
        ),
    ],
)
def test_what_is_no_affine_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "a.tfm"
    path.write_bytes(content)
    with pytest.raises(TransformError, match=message) as caught:
        load_transform(path)
    assert str(path) in str(caught.value)


def test_a_mat_file_cut_short_is_refused(tmp_path: Path) -> None:
    save_transform(tmp_path / "a.mat", np.eye(4))
    content = (tmp_path / "a.mat").read_bytes()
    for length in range(1, len(content)):
        (tmp_path / "a.mat").write_bytes(content[:length])
        with pytest.raises(TransformError):
            load_transform(tmp_path / "a.mat")


def test_an_hdf5_file_that_is_damaged_is_refused(tmp_path: Path) -> None:
    sitk.WriteTransform(sitk.Euler3DTransform(CENTER, 0.1, 0.2, 0.3), str(tmp_path / "a.h5"))
    content = (tmp_path / "a.h5").read_bytes()
    (tmp_path / "a.h5").write_bytes(content[: len(content) // 2])
    with pytest.raises(TransformError, match=r"a\.h5: .*ITK cannot read"):
        load_transform(tmp_path / "a.h5")


def test_displacement_fields_are_refused(tmp_path: Path) -> None:
    field = sitk.Image([4, 4, 4], sitk.sitkVectorFloat64, 3)
    sitk.WriteImage(field, str(tmp_path / "1Warp.nii.gz"))
    with pytest.raises(TransformError, match="non-linear"):
        load_transform(tmp_path / "1Warp.nii.gz")
    sitk.WriteTransform(sitk.DisplacementFieldTransform(field), str(tmp_path / "a.h5"))
    with pytest.raises(TransformError, match="not a linear"):
        load_transform(tmp_path / "a.h5")
    with pytest.raises(DataError, match="no such file"):
        load_transform(tmp_path / "none.tfm")


def test_a_foreign_transform_is_not_overwritten(tmp_path: Path) -> None:
    sitk.WriteTransform(sitk.AffineTransform(3), str(tmp_path / "a.tfm"))
    with pytest.raises(UsageProblem, match="exists already"):
        check_transform_output(tmp_path / "a.tfm")
    save_transform(tmp_path / "a.tfm", np.eye(4))
    check_transform_output(tmp_path / "a.tfm")
    with pytest.raises(UsageProblem, match="tfm"):
        save_transform(tmp_path / "a.xfm", np.eye(4))


def test_a_transform_that_bends_space_is_written_by_suffix(
    smooth: Any, inside: Any, grids_by_name: Any, tmp_path: Path
) -> None:
    grid = grids_by_name["oblique"]
    fixed = Reference(grid, None, True, "fixed")
    chain = smooth(grid).then(Affine(np.diag([1.1, 0.9, 1, 1])))
    points = inside(grid)
    for transform, start in ((chain, points), (chain.inverse(), chain.map_points(points))):
        for suffix in (".h5", ".nii", ".nii.gz"):
            path = tmp_path / f"a{suffix}"
            save_transform(path, transform, fixed=fixed)
            expected = transform.map_points(start)
            assert np.abs(load_chain([path]).map_points(start) - expected).max() < 0.3  # between voxels of 6 mm
            once = path.read_bytes()
            check_transform_output(path)
            save_transform(path, transform, fixed=fixed)
            assert path.read_bytes() == once
    for suffix in (".tfm", ".txt", ".mat", ".lta", ".fslmat"):
        with pytest.raises(UsageProblem, match=r"is non-linear.*\.nii\.gz.*\.h5"):
            save_transform(tmp_path / f"b{suffix}", chain, fixed=fixed, moving=fixed)
    with pytest.raises(UsageProblem, match="grid of the fixed image"):
        save_transform(tmp_path / "b.nii", chain)
    with pytest.raises(UsageProblem, match="grid of the fixed image"):
        save_transform(tmp_path / "b.h5", chain.inverse())
    assert not list(tmp_path.glob("b*"))


def test_a_linear_transform_fills_a_field_and_a_composite(inside: Any, grid: Grid, tmp_path: Path) -> None:
    matrix = from_parameters(Parameters((3, -4, 5), (5, -8, 12), (1.05, 0.95, 1)), (5, -10, 20))
    for name in ("a.nii.gz", "a.h5"):
        save_transform(tmp_path / name, matrix, fixed=Reference(grid, None, True, "fixed"))
        found = load_chain([tmp_path / name]).map_points(inside(grid))
        assert np.abs(found - apply_affine(matrix, inside(grid))).max() < 1e-3
    save_transform(tmp_path / "a.h5", matrix)
    assert np.allclose(load_transform(tmp_path / "a.h5"), matrix)


def test_foreign_fields_composites_and_images_are_not_overwritten(smooth: Any, grid: Grid, tmp_path: Path) -> None:
    image = sitk.GetImageFromArray(np.moveaxis(smooth(grid).vectors, 0, -1), isVector=True)
    sitk.WriteImage(image, str(tmp_path / "theirs.nii.gz"))
    sitk.WriteImage(sitk.VectorIndexSelectionCast(image, 0), str(tmp_path / "image.nii.gz"))
    sitk.WriteTransform(sitk.AffineTransform(3), str(tmp_path / "theirs.h5"))
    (tmp_path / "damaged.nii.gz").write_bytes(b"stnreg warp")
    (tmp_path / "short.h5").write_bytes(b"x")
    for path in tmp_path.iterdir():
        with pytest.raises(UsageProblem, match="exists already, and stnreg did not write it"):
            check_transform_output(path)
