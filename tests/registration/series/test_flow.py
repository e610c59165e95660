import numpy as np
import pytest

from stnreg.geometry.grid import Grid
from stnreg.registration.series.contrast import (
    contrast_difference,
    noise_of,
    smoothed,
    weight_of_first,
    without_noise_floor,
)
from stnreg.registration.series.flow import flow_between, volume_factor, warped

SIZE = 44
GRID = Grid.cube((0, 0, 0), SIZE, 1.5)


def ball(radius, noise=0.0, seed=0):
    """Return a ball of waves, in voxels about the middle; its surface is soft."""
    z, y, x = (np.indices((SIZE,) * 3) - (SIZE - 1) / 2) / radius
    r = np.sqrt(z**2 + y**2 + x**2)
    waves = 0.15 * np.cos(7 * x + 1) * np.cos(6 * y) * np.cos(5 * z + 2)
    image = np.clip((1.05 - r) * 8, 0, 1) * (1 + waves)
    return (image + noise * np.random.default_rng(seed).standard_normal(image.shape)).astype(np.float32)


def change(flow, mask):
    half = flow.displacement / 2
    return float((mask * volume_factor(half)).sum() / (mask * volume_factor(-half)).sum() - 1)


@pytest.fixture(scope="module")
def shrunk():
    mask = smoothed((ball(15) > 0.5).astype(np.float32), 0.5)
    weight = np.ones_like(mask)
    first, second = ball(15.15, 0.03, 1), ball(14.85, 0.03, 2)
    return first, second, weight, mask, flow_between(first, second, weight, GRID, 0.5, 1)


def test_a_loss_of_volume_is_found(shrunk):
    *_, mask, flow = shrunk
    assert change(flow, mask) == pytest.approx((14.85 / 15.15) ** 3 - 1, rel=0.08)
    assert 0 < flow.error_of(mask) < 0.005


def test_exchanged_images_change_the_sign(shrunk):
    first, second, weight, _, flow = shrunk
    back = flow_between(second, first, weight, GRID, 0.5, 1)
    assert np.abs(flow.displacement + back.displacement).max() < 1e-3


def test_gain_offset_and_noise_are_no_change():
    mask = smoothed((ball(15) > 0.5).astype(np.float32), 0.5)
    first, second = ball(15, 0.03, 3), 1.05 * ball(15, 0.05, 4) + 0.02
    flow = flow_between(first, second.astype(np.float32), np.ones_like(mask), GRID, 0.5, 1)
    assert abs(change(flow, mask)) < 0.003


def test_a_difference_in_resolution_is_no_motion():
    sharp = ball(15)
    dull = smoothed(sharp, 0.6)
    mean, everywhere = (sharp + dull) / 2, np.ones_like(sharp)
    other = contrast_difference(mean, dull - sharp, everywhere, GRID, 0.5)
    assert np.square(dull - sharp - other).sum() < 0.3 * np.square(dull - sharp).sum()
    assert np.abs(other + contrast_difference(mean, sharp - dull, everywhere, GRID, 0.5)).max() < 1e-4


def test_the_weighted_mean_shares_no_noise_with_the_difference():
    rng = np.random.default_rng(0)
    first, second = 3 * rng.standard_normal(100_000), rng.standard_normal(100_000)
    share = weight_of_first(9.0, 1.0)
    mean = share * first + (1 - share) * second
    assert share == pytest.approx(0.1)
    assert abs(np.corrcoef(mean, second - first)[0, 1]) < 0.01
    assert weight_of_first(0.0, 0.0) == 0.5


def test_a_noisier_scan_is_no_change():
    mask = smoothed((ball(15) > 0.5).astype(np.float32), 0.5)
    first, second = ball(15, 0.02, 5), ball(15, 0.12, 6)
    flow = flow_between(first, second, np.ones_like(mask), GRID, 0.5, 1, weight_of_first(0.02**2, 0.12**2))
    assert abs(change(flow, mask)) < 0.004


def test_the_volume_factor_of_a_stretch():
    place = np.stack(np.meshgrid(*map(np.arange, (6, 7, 8)), indexing="ij")[::-1]).astype(np.float32)
    assert np.abs(volume_factor(0.1 * place) - 1.1**3).max() < 1e-4


def test_warping_looks_up_where_it_is_told():
    image = np.random.default_rng(0).standard_normal((8, 9, 10)).astype(np.float32)
    shift = np.zeros((3, 8, 9, 10), np.float32)
    shift[0] = 1.0
    assert np.abs(warped(image, shift, 1)[..., :-1] - image[..., 1:]).max() < 1e-6


def test_noise_is_measured_and_its_floor_removed():
    rng = np.random.default_rng(0)
    clean = np.full((40, 40, 40), 100.0)
    clean[:, :, 20:] = 30.0
    scan = np.hypot(clean + 10 * rng.standard_normal(clean.shape), 10 * rng.standard_normal(clean.shape))
    scan = scan.astype(np.float32)
    grid = Grid.cube((0, 0, 0), 40, 1.0)
    level = noise_of((scan, grid), (np.ones((8, 8, 8)), Grid.cube((0, 0, 0), 8, 4.0)))
    assert level == pytest.approx(10, rel=0.1)
    bright, dark = slice(2, 17), slice(23, 38)
    assert scan[..., dark].mean() > 31
    better = without_noise_floor(scan, level)
    assert better[..., dark].mean() == pytest.approx(30, abs=0.3)
    assert better[..., bright].mean() == pytest.approx(100, abs=0.3)
