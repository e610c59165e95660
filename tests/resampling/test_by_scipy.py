"""Without SimpleITK the same images come out, by scipy."""

import importlib
from typing import Any

import numpy as np
import pytest

from stnreg.errors import UsageProblem
from stnreg.geometry.affine import Parameters, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.registration.series.flow import warped
from stnreg.resampling.resample import resample
from stnreg.resampling.warp import resample_through
from stnreg.transforms.displacement import DisplacementField

MOVING = Grid.from_parts((30, 26, 22), (2.0, 2.5, 3.0), (-30.0, -32.0, -33.0))
FIXED = Grid.from_parts((33, 29, 31), (2.2, 2.2, 2.2), (-36.0, -32.0, -34.0))
MOVE = from_parameters(Parameters((7.0, -4.0, 11.0), (5, -8, 12), (1.05, 0.95, 1.0)), (0, 0, 0))
MODULES = (
    "stnreg.resampling.resample",
    "stnreg.resampling.labels",
    "stnreg.resampling.warp",
    "stnreg.registration.series.flow",
)


@pytest.fixture
def without_itk(monkeypatch):
    """Take SimpleITK away, when it is called."""

    def take_away() -> None:
        for name in MODULES:
            monkeypatch.setattr(importlib.import_module(name), "has_itk", lambda: False)
        monkeypatch.setitem(__import__("sys").modules, "SimpleITK", None)

    return take_away


def scan(interp: str) -> np.ndarray:
    rng = np.random.default_rng(3)
    if interp == "label":
        return rng.integers(0, 4, MOVING.shape).astype(np.int16)
    return rng.uniform(0, 100, MOVING.shape).astype(np.float32)


def field() -> DisplacementField:
    rng = np.random.default_rng(4)
    grid = Grid.from_parts((9, 9, 9), (9.0, 9.0, 9.0), (-36.0, -36.0, -36.0))
    return DisplacementField(rng.normal(0, 3, (3, *grid.shape)).astype(np.float32), grid)


@pytest.mark.parametrize("interp", ["linear", "nearest", "bspline", "label"])
@pytest.mark.parametrize("kind", ["affine", "field"])
def test_images_are_those_of_itk(without_itk: Any, interp: Any, kind: str) -> None:
    array = scan(interp)

    def result() -> np.ndarray:
        if kind == "affine":
            return resample(array, MOVING, FIXED, MOVE, interp, background=-5.0)
        return resample_through(array, MOVING, FIXED, field(), interp, background=-5.0)

    itk = result()
    without_itk()
    ours = result()
    assert ours.dtype == itk.dtype
    assert (itk == -5).any()
    assert (np.abs(ours.astype(float) - itk) > 1e-3).mean() < 1e-4  # where rounding decides what is outside


def test_voxels_beyond_the_outer_centres_are_repeated(without_itk: Any) -> None:
    array = scan("linear")
    half = MOVING.index_to_lps @ np.diag([0.5, 0.5, 0.5, 1.0])
    half[:3, 3] = MOVING.index_to_lps[:3] @ [-0.25, -0.25, -0.25, 1]
    fine = Grid((60, 52, 44), half)
    itk = resample(array, MOVING, fine, np.eye(4))
    without_itk()
    assert np.allclose(resample(array, MOVING, fine, np.eye(4)), itk, atol=1e-3)


def test_a_displacement_in_voxels_repeats_the_edges(without_itk: Any) -> None:
    array, u = scan("linear"), np.random.default_rng(5).normal(0, 2, (3, *MOVING.shape)).astype(np.float32)
    itk = warped(array, u, 1)
    without_itk()
    assert np.allclose(warped(array, u, 1), itk, atol=1e-3)


def test_lanczos_says_what_it_needs(without_itk: Any) -> None:
    without_itk()
    with pytest.raises(UsageProblem, match="lanczos interpolation needs SimpleITK"):
        resample(scan("linear"), MOVING, FIXED, MOVE, "lanczos")
