"""Heads with unusual intensities: each kind is what its name says, and the head lies where the truth says."""

import numpy as np
import pytest

from benchmarks.common.heads import Head
from benchmarks.common.intensity_variants import KINDS, make
from benchmarks.common.views import BRAIN_STEM
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.preprocessing.hounsfield import ct_offset

GRID = Grid.from_parts((48, 52, 45), (4.0, 4.0, 4.0), (-96, -104, -90))


@pytest.fixture(scope="module")
def head() -> Head:
    """A ball of brain in bone and scalp, in air with noise."""
    rng = np.random.default_rng(2)
    z, y, x = (np.arange(n) * 4.0 - n * 2.0 for n in GRID.shape)
    far = np.sqrt(z[:, None, None] ** 2 + y[:, None] ** 2 + x**2)
    brain = 700 + 250 * np.sin(x / 9) * np.cos(y[:, None] / 11) * np.cos(z[:, None, None] / 10)
    image = np.select([far < 54, far < 60, far < 70], [brain, 150, 1000], 0) + np.abs(rng.normal(0, 10, GRID.shape))
    labels = np.select([far < 15, far < 54], [BRAIN_STEM, 1], 0)
    return Head("ball", image.astype(np.float32), labels.astype(np.int16), GRID)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_is_a_moved_head_with_its_truth(head: Head, kind: str) -> None:
    variant = make(head, kind)
    assert variant.image.shape == variant.grid.shape
    assert variant.image.dtype == np.float32
    turn = variant.head_to_image[:3, :3]
    assert np.allclose(turn @ turn.T, np.eye(3))
    middle = np.rint(apply_affine(variant.grid.lps_to_index @ variant.head_to_image, (0, 0, 0))).astype(int)[::-1]
    inside = variant.image[tuple(slice(m - 5, m + 6) for m in middle)]
    corner = variant.image[:6, :6, :6]
    assert np.isfinite(inside).all()
    assert abs(np.median(inside) - np.nanmedian(corner)) > 0.01 * np.ptp(inside) or not np.isfinite(corner).all()
    assert np.array_equal(make(head, kind).image, variant.image, equal_nan=True)


def test_a_ct_is_in_hounsfield_units(head: Head) -> None:
    for kind in ("CT with table", "CT in gantry"):
        assert ct_offset(make(head, kind).image.ravel().astype(float)) == 0
    assert ct_offset(make(head, "as it is").image.ravel().astype(float)) is None


def test_slices_are_thick_and_a_cube_is_small(head: Head) -> None:
    slices, cube = make(head, "slices of 11 mm"), make(head, "cube of 70 mm")
    np.testing.assert_allclose(slices.grid.spacing, (2, 2, 11))
    np.testing.assert_allclose(cube.grid.spacing * cube.grid.size, 70)
    # Each slice is the mean of what it covers, at its middle.
    whole, middle = make(head, "as it is"), apply_affine(slices.head_to_image, (0, 0, 0))
    place = np.rint(apply_affine(slices.grid.lps_to_index, middle)).astype(int)
    low, high = (apply_affine(slices.grid.index_to_lps, place + np.array([0, 0, d])) for d in (-0.5, 0.5))
    ends = [apply_affine(whole.grid.lps_to_index, end) for end in (low, high)]
    x, y = np.rint(ends[0][:2]).astype(int)
    first, last = np.rint([ends[0][2] + 0.5, ends[1][2] + 0.5]).astype(int)
    seen = whole.image[first:last, y - 3 : y + 4, x - 3 : x + 4].mean()
    got = slices.image[place[2], place[1] - 3 : place[1] + 4, place[0] - 3 : place[0] + 4].mean()
    assert got == pytest.approx(seen, rel=0.1)
