"""Volume change and folds, against closed forms and a slow count."""

from itertools import product

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.errors import DataError
from stnreg.geometry.affine import Parameters, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.transforms.affine import Affine
from stnreg.transforms.displacement import DisplacementField

SMALL = Grid.cube((0, 0, 0), (5, 6, 4), (1.0, 2.0, 1.5))


@given(st.from_type(Parameters), st.from_type(Grid))
@settings(max_examples=20)
def test_of_an_affine_it_is_the_determinant_on_any_grid(parameters, grid):
    affine = Affine(from_parameters(parameters, grid.center_lps))
    field = affine.to_displacement(grid)
    truth = np.linalg.det(affine.matrix[:3, :3])
    assert np.abs(field.jacobian_determinant() - truth).max() < 2e-3 * truth
    assert np.abs(field.log_jacobian() - np.log(truth)).max() < 2e-3
    assert field.count_folds().digital == field.count_folds().central == 0


def test_a_reflection_folds_everywhere():
    folds = Affine(np.diag([-1.0, 1, 1, 1])).to_displacement(SMALL).count_folds()
    assert folds.central == folds.digital == folds.voxels == 120
    # All cells are turned over: what is between the outer voxel centres.
    assert folds.volume_mm3 == pytest.approx(4 * 5 * 2 * 3 * 1.5)
    assert np.isnan(Affine(np.diag([-1.0, 1, 1, 1])).to_displacement(SMALL).log_jacobian()).all()


def test_itk_agrees_inside(smooth):
    """On grids along the LPS axes: ITK's filter leaves the direction of the voxel axes out."""
    for spacing in (4.0, (2.5, 3.0, 6.0)):
        grid = Grid.cube((5, -10, 20), (40, 36, 30), spacing)
        field = smooth(grid)
        image = sitk.GetImageFromArray(np.moveaxis(field.vectors, 0, -1), isVector=True)
        image.SetSpacing(grid.spacing.tolist())
        theirs = sitk.GetArrayFromImage(sitk.DisplacementFieldJacobianDeterminant(image))
        inner = (slice(1, -1),) * 3
        assert np.abs(theirs - field.jacobian_determinant())[inner].max() < 1e-4


def test_the_digital_count_is_that_of_its_definition():
    vectors = np.random.default_rng(0).normal(0, 0.45, (3, *SMALL.shape)).astype(np.float32)
    vectors *= SMALL.spacing[:, None, None, None].astype(np.float32)
    field = DisplacementField(vectors, SMALL)
    folded, volume = slow_count(field)
    folds = field.count_folds()
    assert 0 < folds.digital == folded.sum() < folds.voxels
    assert folds.volume_mm3 == pytest.approx(volume * 3.0, rel=1e-5)
    assert folds.percent_volume == pytest.approx(100 * volume / 120, rel=1e-5)
    some = np.zeros(SMALL.shape, bool)
    some[1:3, 2:4] = True
    assert field.count_folds(some).digital == (folded & some).sum()
    with pytest.raises(DataError, match="mask"):
        field.count_folds(some[1:])


def test_central_differences_miss_what_the_digital_count_finds():
    vectors = np.zeros((3, *SMALL.shape), np.float32)
    vectors[0, :, :, 2] = -1.5  # a plane jumps over its neighbour
    folds = DisplacementField(vectors, SMALL).count_folds()
    assert folds.central == 0
    assert folds.digital > 0


def slow_count(field):
    """Cell by cell, from the definition: signed volumes of ten tetrahedra, in voxels, LPS-upright grid."""
    there = field.map_voxels(field.grid) / field.grid.spacing[:, None, None, None]
    there = np.moveaxis(there, 0, -1)
    folded, volume = np.zeros(field.grid.shape, bool), 0.0
    z, y, x = field.grid.shape
    for k, j, i in product(range(z - 1), range(y - 1), range(x - 1)):
        cell = {(a, b, c): there[k + c, j + b, i + a] for a, b, c in product((0, 1), repeat=3)}
        for a, b, c in cell:
            ends = [cell[1 - a, b, c], cell[a, 1 - b, c], cell[a, b, 1 - c]]
            sign = (1 - 2 * a) * (1 - 2 * b) * (1 - 2 * c)
            six = sign * np.linalg.det(np.array(ends) - cell[a, b, c])
            folded[k + c, j + b, i + a] |= six <= 0
            volume -= min(six, 0) / 12
        for corners, sign in (
            (((0, 0, 0), (1, 1, 0), (1, 0, 1), (0, 1, 1)), -1),
            (((1, 1, 1), (0, 0, 1), (0, 1, 0), (1, 0, 0)), 1),
        ):
            first, *others = (cell[corner] for corner in corners)
            six = sign * np.linalg.det(np.array(others) - first)
            folded[k, j, i] |= six <= 0
            volume -= min(six, 0) / 12
    return folded, volume


@pytest.mark.parametrize("shape", [(9, 8, 7), (1, 8, 7), (9, 8, 1)])
@pytest.mark.parametrize("size", [0.1, 0.5, 2.0])
def test_central_folds_are_counted_where_cells_fold_and_are_all_there_are(shape, size):
    grid = Grid(shape[::-1], np.diag([1.0, -2.0, 1.5, 1.0]))
    steps = np.random.default_rng(3).normal(0, size, (3, *shape))
    field = DisplacementField((steps * np.abs(np.diag(grid.index_to_lps)[:3]).reshape(3, 1, 1, 1)), grid)
    assert field.count_folds().central == (field.jacobian_determinant() <= 0).sum()
