"""Variants of a head: each knows where its head went, and is the same in every run."""

import numpy as np
import pytest

from benchmarks.common import variants
from benchmarks.common.heads import Head
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid


@pytest.mark.parametrize("kind", variants.KINDS)
def test_every_variant_knows_where_its_head_went(kind):
    """A bright ball in the brain lies where the map says, unless it was cut away."""
    shape = (40, 44, 36)
    zyx = np.indices(shape)
    brain = sum((x - c) ** 2 for x, c in zip(zyx, (20, 22, 18), strict=True)) < 12**2
    ball = sum((x - c) ** 2 for x, c in zip(zyx, (24, 18, 22), strict=True)) < 4**2
    skull = sum((x - c) ** 2 for x, c in zip(zyx, (20, 22, 18), strict=True)) < 16**2
    grid = Grid.from_parts(shape[::-1], (4.0, 4.0, 4.0), (-70.0, -90.0, -80.0))
    head = Head("ball", (50 * skull + 100 * brain + 900 * ball).astype(np.float32), brain.astype(np.int16), grid)
    made = variants.make(head, kind)
    assert made.image.shape == made.grid.shape
    again = variants.make(head, kind)
    np.testing.assert_array_equal(made.image, again.image)
    if kind in ("no brain", "neck"):
        assert made.head is None
        return
    if kind == "t2":  # the ball is no longer the brightest
        return
    center = apply_affine(grid.index_to_lps, np.argwhere(ball).mean(0)[::-1])
    index = apply_affine(made.grid.lps_to_index @ made.head_to_image, center)
    in_view = np.all((index > 5) & (index < np.array(made.grid.size) - 6))
    assert in_view == (kind != "slab")
    if in_view and kind != "hole":
        bright = np.argwhere(made.image > 0.6 * made.image.max()).mean(0)[::-1]
        assert np.linalg.norm((bright - index) * made.grid.spacing) < 6
    assert (np.linalg.det(made.head_to_image[:3, :3]) < 0) == (kind == "mirrored")
