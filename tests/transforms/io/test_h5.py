"""Composite .h5: read by ITK and ANTs, and ANTs' own by us."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from stnreg.errors import DataError, TransformError
from stnreg.geometry.affine import Parameters, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.transforms.affine import Affine
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.files import load_transform
from stnreg.transforms.io.h5 import load_h5, save_h5
from stnreg.transforms.velocity import VelocityField

MOVE = Affine(from_parameters(Parameters((3, -4, 5), (5, -8, 12), (1.05, 0.95, 1)), (5, -10, 20)))
SMALL = Grid.cube((5, -10, 20), 12, 12.0)


def apart(one: Any, other: Any) -> float:
    return float(np.linalg.norm(np.asarray(one) - other, axis=-1).max())


@pytest.mark.parametrize("name", ["RAS", "oblique", "anisotropic"])
def test_itk_and_ants_read_it(smooth: Any, inside: Any, grids_by_name: Any, tmp_path: Path, name: str) -> None:
    grid = grids_by_name[name]
    chain = smooth(grid).then(MOVE)
    path, points = tmp_path / "a.h5", inside(grid, 50)
    save_h5(path, chain)
    expected = chain.map_points(points)
    theirs = sitk.ReadTransform(str(path))
    assert apart([theirs.TransformPoint(p) for p in points.tolist()], expected) < 1e-3
    again = load_h5(path)
    assert [type(member) for member in again.members] == [DisplacementField, Affine]
    assert apart(again.map_points(points), expected) < 1e-3
    ants = pytest.importorskip("ants", reason="needs ants: pip install 'stnreg[peers]'")
    pandas = pytest.importorskip("pandas", reason="needs pandas: pip install 'stnreg[peers]'")
    moved = ants.apply_transforms_to_points(3, pandas.DataFrame(points, columns=["x", "y", "z"]), [str(path)])
    assert apart(moved[["x", "y", "z"]].to_numpy(), expected) < 0.01


@pytest.mark.parametrize("kind", ["float", "double"])
def test_we_read_what_ants_writes(smooth: Any, inside: Any, tmp_path: Path, kind: str) -> None:
    """As antsRegistration does: members and field in single precision with --float 1."""
    h5py = pytest.importorskip("h5py", reason="needs h5py: pip install 'stnreg[peers]'")
    chain = smooth(SMALL).then(MOVE)
    save_h5(tmp_path / "a.h5", chain)
    with h5py.File(tmp_path / "a.h5", "r+") as file:
        for group in file["TransformGroup"].values():
            name = group["TransformType"][0].decode().replace("double", kind)
            group["TransformType"][0] = name
            if kind == "float" and "TransformParameters" in group:
                numbers = group["TransformParameters"][()].astype(np.float32)
                del group["TransformParameters"]
                group["TransformParameters"] = numbers
    points = inside(SMALL)
    assert apart(load_h5(tmp_path / "a.h5").map_points(points), chain.map_points(points)) < 1e-3


def test_we_read_what_antspyx_registers(phantom: Any, tmp_path: Path) -> None:
    ants = pytest.importorskip("ants", reason="needs ants: pip install 'stnreg[peers]'")
    pandas = pytest.importorskip("pandas", reason="needs pandas: pip install 'stnreg[peers]'")
    images = []
    for matrix in (np.eye(4), MOVE.matrix):
        array = phantom.volume(SMALL, matrix).array
        images.append(
            ants.from_numpy(array.T.copy(), SMALL.origin.tolist(), SMALL.spacing.tolist(), SMALL.direction)
        )  # fmt: skip
    ants.registration(
        *images,
        "SyNOnly",
        initial_transform="identity",
        reg_iterations=(2,),
        outprefix=str(tmp_path / "a"),
        write_composite_transform=True,
        random_seed=1,
    )
    path = tmp_path / "aComposite.h5"
    points = SMALL.center_lps + np.random.default_rng(0).uniform(-40, 40, (50, 3))
    theirs = ants.apply_transforms_to_points(3, pandas.DataFrame(points, columns=["x", "y", "z"]), [str(path)])
    ours = load_h5(path)
    assert any(isinstance(member, DisplacementField) for member in ours.members)
    assert apart(theirs[["x", "y", "z"]].to_numpy(), ours.map_points(points)) < 0.01


def test_other_kinds_are_sampled_on_a_grid(smooth: Any, inside: Any, tmp_path: Path) -> None:
    velocity = VelocityField(smooth(SMALL).vectors, SMALL)
    with pytest.raises(TransformError, match="a grid"):
        save_h5(tmp_path / "a.h5", velocity)
    save_h5(tmp_path / "a.h5", velocity, SMALL)
    points = inside(SMALL)
    assert apart(load_h5(tmp_path / "a.h5").map_points(points), velocity.map_points(points)) < 1e-3


def test_the_identity_and_a_bare_affine(tmp_path: Path) -> None:
    save_h5(tmp_path / "a.h5", Chain())
    assert np.array_equal(load_h5(tmp_path / "a.h5").matrix, np.eye(4))
    save_h5(tmp_path / "a.h5", MOVE)
    assert np.abs(load_h5(tmp_path / "a.h5").matrix - MOVE.matrix).max() < 1e-12


def test_what_cannot_be_used_is_refused(smooth: Any, sheared_grid: Grid, tmp_path: Path) -> None:
    with pytest.raises(TransformError, match="sheared"):
        save_h5(tmp_path / "a.h5", smooth(sheared_grid))
    save_h5(tmp_path / "a.h5", MOVE)
    (tmp_path / "cut.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:700])
    with pytest.raises(TransformError, match="ITK cannot read"):
        load_h5(tmp_path / "cut.h5")
    sitk.WriteTransform(sitk.BSplineTransform(3, 3), str(tmp_path / "spline.h5"))
    with pytest.raises(TransformError, match="BSplineTransform"):
        load_h5(tmp_path / "spline.h5")
    with pytest.raises(DataError, match="no such file"):
        load_h5(tmp_path / "missing.h5")


@pytest.fixture
def without_itk(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("h5py", reason="needs h5py: pip install 'stnreg[peers]'")
    for name in ("h5", "itk"):
        monkeypatch.setattr(f"stnreg.transforms.io.{name}.has_itk", lambda: False)


def test_h5py_writes_what_itk_reads(smooth: Any, inside: Any, tmp_path: Path, without_itk: None) -> None:
    chain, points = smooth(SMALL).then(MOVE), inside(SMALL, 50)
    for name in ("a.h5", "b.h5"):
        save_h5(tmp_path / name, chain)
    theirs = sitk.ReadTransform(str(tmp_path / "a.h5"))
    assert apart([theirs.TransformPoint(p) for p in points.tolist()], chain.map_points(points)) < 1e-3
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


def test_h5py_reads_what_itk_writes(smooth: Any, inside: Any, tmp_path: Path, request: Any) -> None:
    chain, points = smooth(SMALL).then(MOVE), inside(SMALL)
    save_h5(tmp_path / "a.h5", chain)
    save_h5(tmp_path / "linear.h5", MOVE)
    request.getfixturevalue("without_itk")
    again = load_h5(tmp_path / "a.h5")
    assert [type(member) for member in again.members] == [DisplacementField, Affine]
    assert apart(again.map_points(points), chain.map_points(points)) < 1e-3
    assert np.allclose(load_transform(tmp_path / "linear.h5"), MOVE.matrix)
    with pytest.raises(TransformError, match="not a linear"):
        load_transform(tmp_path / "a.h5")
    (tmp_path / "cut.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:3000])
    with pytest.raises(TransformError, match="cut short or damaged"):
        load_h5(tmp_path / "cut.h5")


def test_an_affine_comes_back_to_the_last_digit(tmp_path):
    rng = np.random.default_rng(0)
    for number in range(20):
        matrix = np.eye(4)
        matrix[:3] += rng.normal(0, 0.1, (3, 4))
        matrix[:3, 3] *= 1000
        path = tmp_path / f"{number}.h5"
        save_h5(path, Affine(matrix))
        assert np.array_equal(load_h5(path).matrix, matrix)
