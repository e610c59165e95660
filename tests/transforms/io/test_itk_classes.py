"""ITK's linear classes as ITK itself computes them, on any parameters."""

from pathlib import Path

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import assume, given
from hypothesis import strategies as st

from stnreg.geometry.affine import apply_affine
from stnreg.transforms.io.itk_classes import COUNTS, matrix_of

POINTS = np.array([[0.0, 0, 0], [100, 0, 0], [0, -80, 0], [30, 40, 120]])
HELD_BY_SIMPLEITK = (
    "Euler3DTransform", "VersorTransform", "VersorRigid3DTransform", "Similarity3DTransform", "ScaleVersor3DTransform",
    "ScaleSkewVersor3DTransform", "ComposeScaleSkewVersor3DTransform",
)  # fmt: skip


def numbers(count: int) -> st.SearchStrategy[list[float]]:
    return st.lists(st.floats(-1.5, 1.5, allow_subnormal=False), min_size=count, max_size=count)


@given(st.data(), st.sampled_from(HELD_BY_SIMPLEITK), numbers(3), st.booleans())
def test_points_go_where_itk_takes_them(data: st.DataObject, kind: str, center: list[float], is_zyx: bool) -> None:
    parameters = data.draw(numbers(COUNTS[kind]))
    assume(kind != "VersorTransform" or np.linalg.norm(parameters) < 1)  # it alone refuses longer ones
    if kind == "Similarity3DTransform" and abs(parameters[6]) < 1e-3:
        parameters[6] = 1.0
    transform = getattr(sitk, kind)()
    assert len(transform.GetParameters()) == COUNTS[kind]
    fixed = [*center, float(is_zyx)] if kind == "Euler3DTransform" else center
    transform.SetFixedParameters(fixed)
    transform.SetParameters(parameters)
    matrix = matrix_of(kind, np.array(parameters), np.array(fixed))
    expected = [transform.TransformPoint(point) for point in POINTS.tolist()]
    assert np.abs(apply_affine(matrix, POINTS) - expected).max() < 1e-6


@pytest.mark.parametrize(
    ("kind", "parameters"),
    [
        ("QuaternionRigidTransform", (0.1, 0.2, -0.3, 0.9, 1, 2, 3)),
        ("ScaleLogarithmicTransform", (0.1, 0.2, 0.3)),
        ("ScaleTransform", (1.1, 0.9, 1.2)),
        ("AffineTransform", (1.1, 0.1, 0, -0.2, 0.9, 0, 0, 0.1, 1.2, 1, 2, 3)),
        ("TranslationTransform", (1, 2, 3)),
    ],
)
def test_the_others_are_what_itk_reads(tmp_path: Path, kind: str, parameters: tuple[float, ...]) -> None:
    center = () if kind == "TranslationTransform" else (5, -20, 40)
    (tmp_path / "a.tfm").write_text(
        f"#Insight Transform File V1.0\n#Transform 0\nTransform: {kind}_double_3_3\n"
        f"Parameters: {' '.join(map(str, parameters))}\nFixedParameters: {' '.join(map(str, center))}\n"
    )
    itk = sitk.ReadTransform(str(tmp_path / "a.tfm"))
    matrix = matrix_of(kind, np.array(parameters, float), np.array(center, float))
    expected = [itk.TransformPoint(point) for point in POINTS.tolist()]
    assert np.abs(apply_affine(matrix, POINTS) - expected).max() < 1e-9
