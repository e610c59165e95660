import base64
import io

import numpy as np
import pytest
from brains import BRAIN_CENTER, brain
from PIL import Image

from stnreg.geometry.affine import apply_affine
from stnreg.reports.outlines import BRAIN
from stnreg.reports.tiles import PLANES, choose_slices, describe_tiles, normal_of


def picture_of(address):
    head, packed = address.split(",")
    assert head == "data:image/webp;base64"
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(packed))).convert("L"))


def test_three_slices_a_plane_through_the_brain(pair):
    slices = choose_slices(pair[0], brain(), 2.0)
    assert [one.plane for one in slices] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    for one in slices[1::3]:
        normal = normal_of(one.plane)
        assert one.grid.origin[normal] == pytest.approx(BRAIN_CENTER[normal], abs=3)
        middle = apply_affine(one.grid.index_to_lps, np.array([[*np.array(one.grid.size[:2]) / 2, 0]]))[0]
        assert np.allclose(middle, BRAIN_CENTER, atol=5)
        voxel = pair[0].grid.lps_to_index @ [*one.grid.origin, 1]
        assert one.number == round(float(voxel[normal]))
        assert one.position_mm == pytest.approx(one.grid.origin[normal] * (1 if normal == 2 else -1))
    assert [PLANES[plane][3:] for plane in range(3)] == [
        ("A", "P", "S", "I"),
        ("R", "L", "S", "I"),
        ("R", "L", "A", "P"),
    ]


def test_pictures_hold_the_slices_below_each_other(pair, outlines):
    shown = describe_tiles(*pair, outlines, 2.0, with_before=True)
    sizes = [one["size"] for one in shown["slices"]]
    fixed, moved, before = (picture_of(shown[name]).astype(float) for name in ("fixed", "moved", "before"))
    assert fixed.shape == (sum(height for _, height in sizes), max(width for width, _ in sizes))
    assert np.abs(fixed - moved).mean() < 0.3 * np.abs(fixed - before).mean()
    codes = [picture_of(shown[f"{name}_codes"]) // 16 for name in ("fixed", "moved")]
    assert {BRAIN, BRAIN + 1} <= {*np.unique(codes[0])}
    assert (codes[0] != codes[1]).mean() < 0.05
    assert shown["contour"] == "brain"


def test_without_a_network_there_is_the_head(pair):
    shown = describe_tiles(*pair, None, 3.0)
    assert {*np.unique(picture_of(shown["fixed_codes"]) // 16)} == {0, 1}
    assert shown["contour"] == "head"
    assert "before" not in shown
