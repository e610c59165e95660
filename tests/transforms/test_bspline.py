"""B-spline fields: against ITK's, on points and on grids, and the bound that keeps them from folding."""

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.errors import TransformError
from stnreg.geometry.affine import Parameters, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.transforms.bspline import BSplineField
from stnreg.transforms.sampling import voxel_points

TURN = from_parameters(Parameters(rotation_deg=(12, -18, 25)), (0, 0, 0))[:3, :3]
LATTICE = Grid.cube((5, -10, 20), (10, 11, 12), (8.0, 9.0, 10.0), TURN)


def spline(lattice: Grid, share: float = 0.9, seed: int = 0) -> BSplineField:
    """Draw coefficients up to a share of the bound along each lattice axis."""
    steps = np.random.default_rng(seed).uniform(-1, 1, (3, *lattice.shape)) * share / 2.479472335
    return BSplineField(np.tensordot(lattice.index_to_lps[:3, :3], steps, 1), lattice)


def test_itk_has_the_same_spline():
    ours = spline(LATTICE)
    theirs = sitk.BSplineTransform(3, 3)
    mesh = [count - 3 for count in LATTICE.size]
    origin = LATTICE.index_to_lps @ (1, 1, 1, 1)
    theirs.SetTransformDomainMeshSize(mesh)
    theirs.SetTransformDomainOrigin(origin[:3].tolist())
    theirs.SetTransformDomainPhysicalDimensions((np.array(mesh) * LATTICE.spacing).tolist())
    theirs.SetTransformDomainDirection(LATTICE.direction.ravel().tolist())
    theirs.SetParameters(ours.coefficients.astype(np.float64).ravel().tolist())
    index = np.random.default_rng(1).uniform(1.1, np.array(LATTICE.size) - 2.1, (200, 3))
    points = index @ LATTICE.index_to_lps[:3, :3].T + LATTICE.origin
    expected = [theirs.TransformPoint(point) for point in points.tolist()]
    assert np.abs(ours.map_points(points) - expected).max() < 1e-4


@pytest.mark.parametrize("turned", [False, True])
def test_grids_and_points_agree(turned):
    field = spline(LATTICE)
    along = Grid.cube((0, 0, 0), (30, 28, 26), (3.5, -4.0, 5.0), TURN if not turned else np.eye(3))
    for slices in (slice(None), slice(3, 9)):
        points = np.moveaxis(field.map_voxels(along, slices), 0, -1)
        centres = np.moveaxis(voxel_points(along, slices), 0, -1)
        assert np.abs(points - field.map_points(centres)).max() < 1e-4


def test_it_fades_to_nothing_beyond_its_lattice():
    field = spline(LATTICE)
    index = np.array([[-2.1, 5, 5], [5, 13.1, 5], [40, 40, 40]])
    points = index @ LATTICE.index_to_lps[:3, :3].T + LATTICE.origin
    assert np.abs(field.map_points(points) - points).max() < 1e-9


@given(st.integers(0, 10_000))
@settings(max_examples=10)
def test_within_the_bound_it_never_folds(seed):
    field = spline(LATTICE, 0.999, seed)
    assert field.share_of_bound() < 1
    fine = Grid(tuple(4 * n for n in LATTICE.size), LATTICE.index_to_lps @ np.diag([0.25, 0.25, 0.25, 1]))
    assert field.to_displacement(fine).count_folds().digital == 0


def test_the_bound_is_in_millimetres_along_the_lattice():
    assert np.allclose(spline(LATTICE).folding_bound(), 0.4033 * LATTICE.spacing, rtol=1e-3)
    assert spline(LATTICE, 0.5).share_of_bound() == pytest.approx(0.5, rel=0.02)


def test_it_is_inverted():
    field = spline(LATTICE)
    points = LATTICE.center_lps + np.random.default_rng(0).uniform(-40, 40, (500, 3))
    there = field.inverse().map_points(points)
    assert np.linalg.norm(field.map_points(there) - points, axis=1).max() < 0.0011


def test_beyond_the_bound_only_a_fold_is_refused():
    assert spline(LATTICE, 1.1).inverse().map_points(LATTICE.center_lps).shape == (3,)
    with pytest.raises(TransformError, match="folds"):
        spline(LATTICE, 8.0).inverse()
