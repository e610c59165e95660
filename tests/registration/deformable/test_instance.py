"""What is left between two heads is found by local correlation: in any contrast, both ways, where it counts."""

import numpy as np
import pytest

from stnreg.registration.deformable.instance import InstanceSettings, Shown, box_around, moved, residual, signs
from stnreg.registration.deformable.velocity import smoothed

SHAPE = (28, 32, 30)
EVERYWHERE = np.pad(np.ones([n - 4 for n in SHAPE], np.float32), 2)  # but where windows end at the border
MANY = InstanceSettings(steps=30)


def texture(seed=0):
    noise = np.random.default_rng(seed).standard_normal((1, *SHAPE)).astype(np.float32)
    values = smoothed(noise, 1.2)[0]
    return (values - values.min()) / np.ptp(values)


def bump(length_voxels):
    z, y, x = np.indices(SHAPE)
    shape = np.exp(-((z - 14) ** 2 + (y - 16) ** 2 + (x - 15) ** 2) / (2 * 5.0**2))
    return np.stack([0.8 * shape, 0.6 * shape, 0 * shape]).astype(np.float32) * np.float32(length_voxels)


@pytest.mark.parametrize("contrast", [lambda v: v, lambda v: 1 - v, lambda v: (0.2 + v) ** 2])
def test_a_known_shift_is_found_in_any_contrast(contrast):
    image, shift = texture(), bump(1.5)
    fixed, moving = moved(image, shift / 2), contrast(moved(image, -shift / 2))
    found = residual([Shown(fixed, moving)], EVERYWHERE, MANY)
    middle = np.linalg.norm(shift, axis=0) > 0.5
    left = np.linalg.norm(found - shift, axis=0)[middle].mean()
    assert left < 0.35 * np.linalg.norm(shift, axis=0)[middle].mean()


def mixed(values):
    """A contrast in which half of the tissues keep their order, and half change it."""
    return np.abs(values - np.median(values))


def test_signs_tell_contrasts_apart():
    image = texture()
    assert signs(image, (0.2 + image) ** 2, EVERYWHERE) > 0.95
    assert signs(image, 1 - image, EVERYWHERE) < -0.99
    assert abs(signs(image, mixed(image), EVERYWHERE)) < 0.5


def test_a_share_of_what_images_say_is_followed():
    fixed, moving = moved(texture(), bump(1.0)), texture()
    whole, half, none = (residual([Shown(fixed, moving, share)], EVERYWHERE) for share in (1.0, 0.5, 0.0))
    assert np.allclose(half, whole / 2, atol=1e-4)
    assert not none.any()
    assert np.abs(whole).max() > 0.2


def test_a_second_view_leads_where_the_first_one_misleads():
    image, shift = texture(), bump(1.5)
    fixed, moving = moved(image, shift / 2), moved(image, -shift / 2)
    middle = np.linalg.norm(shift, axis=0) > 0.5
    one, both, same = (
        np.linalg.norm(residual(shown, EVERYWHERE, MANY) - shift, axis=0)[middle].mean()
        for shown in (
            [Shown(fixed, mixed(moving))],
            [Shown(fixed, mixed(moving)), Shown(fixed, moving)],
            [Shown(fixed, moving), Shown(fixed, moving)],
        )
    )
    assert same < both < 0.8 * one
    assert same < 0.35 * np.linalg.norm(shift, axis=0)[middle].mean()


def test_exchanged_images_change_the_sign_and_nothing_else():
    fixed, moving = moved(texture(), bump(1.0)), texture()
    assert np.array_equal(residual([Shown(moving, fixed)], EVERYWHERE), -residual([Shown(fixed, moving)], EVERYWHERE))


def test_equal_images_and_empty_ones_stay_where_they_are():
    assert np.abs(residual([Shown(texture(), texture())], EVERYWHERE)).max() < 1e-3
    assert not residual([Shown(np.zeros(SHAPE, np.float32), texture())], EVERYWHERE).any()
    assert not residual([Shown(texture(), texture(1))], np.zeros(SHAPE, np.float32)).any()


def test_what_has_no_weight_drives_nothing():
    weight = EVERYWHERE.copy()
    weight[10:18, 12:20, 11:19] = 0
    fixed, moving, other = moved(texture(), bump(1.0)), texture(), texture()
    # The windows of voxels that count reach one voxel in, and slopes and samples another two.
    other[13:15, 15:17, 14:16] = 5.0
    one, two = (residual([Shown(fixed, image)], weight, InstanceSettings(steps=1)) for image in (moving, other))
    assert np.abs(one - two).max() < 0.05


def test_a_view_drives_nothing_where_it_is_not_known():
    fixed, moving = moved(texture(), bump(1.0)), texture()
    known = EVERYWHERE * (np.indices(SHAPE)[0] < 14)
    one_view = residual([Shown(fixed, moving, known=known.astype(np.float32))], EVERYWHERE)
    assert np.array_equal(one_view, residual([Shown(fixed, moving)], known.astype(np.float32)))
    assert np.abs(one_view[:, 20:]).max() < 0.05 * np.abs(one_view[:, :14]).max()


def test_a_stiffer_setting_gives_a_smoother_field():
    fixed, moving = texture(), texture(1)
    rough, smooth = (
        residual([Shown(fixed, moving)], EVERYWHERE, InstanceSettings(of_one_sign=None).as_smooth_as(sigma))
        for sigma in (0.5, 3.0)
    )
    assert np.abs(np.diff(smooth, axis=1)).max() < 0.5 * np.abs(np.diff(rough, axis=1)).max()


def test_the_box_around_a_mask():
    mask = np.zeros((10, 10, 10), bool)
    assert box_around(mask, 2) is None
    mask[4, 1, 9] = True
    assert box_around(mask, 2) == (slice(2, 7), slice(0, 4), slice(7, 10))
