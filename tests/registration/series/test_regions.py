import numpy as np
import pytest

from stnreg.registration.series.contrast import smoothed
from stnreg.registration.series.regions import BRAIN, OTHER_FLUID, VENTRICLES, boundary_per_volume, make_regions

SIZE = 48


def ball(radius):
    z, y, x = np.indices((SIZE,) * 3) - (SIZE - 1) / 2
    return (np.sqrt(z**2 + y**2 + x**2) < radius).astype(np.float32)


@pytest.mark.parametrize("wall", [0.9, 1.4])
def test_ventricles_end_at_the_middle_of_the_wall_and_hold_the_plexus(wall):
    truth = ball(7)
    plexus = ball(2.5)
    clean = wall * (ball(14) - truth) + 0.85 * (ball(19) - ball(14)) + 0.28 * plexus
    mean = smoothed(clean, 0.7) + 0.05 * np.random.default_rng(0).standard_normal(truth.shape).astype(np.float32)
    maps = {VENTRICLES: smoothed(truth, 2.0), OTHER_FLUID: smoothed(1 - ball(20), 2.0)}
    found = make_regions(mean.astype(np.float32), maps, smoothed(ball(20), 2.0)).masks
    assert found[VENTRICLES].sum() == pytest.approx(truth.sum(), rel=0.06)
    assert found[BRAIN].sum() == pytest.approx(ball(19).sum() - truth.sum(), rel=0.06)
    assert (found[BRAIN] + found[VENTRICLES]).max() <= 1


def test_a_thin_horn_is_of_the_fluid_that_the_maps_find_more_likely():
    body, horn, cistern = ball(7), np.zeros((SIZE,) * 3, np.float32), np.zeros((SIZE,) * 3, np.float32)
    horn[22:25, 22:25, 30:40] = 1  # beyond the body, where the map of the ventricles is faint
    cistern[20:28, 36:39, 20:28] = 1
    mean = smoothed(ball(22) - body - horn - cistern, 0.5)
    maps = {VENTRICLES: 0.9 * smoothed(body, 2.0) + 0.03 * smoothed(horn, 2.0) + 0.01 * smoothed(cistern, 2.0)}
    maps[OTHER_FLUID] = 0.9 * smoothed(cistern, 2.0) + 1e-6
    found = make_regions(mean, maps, smoothed(ball(23), 2.0)).masks[VENTRICLES]
    assert found[23, 23, 33:39].min() > 0.5
    assert found[cistern > 0].max() == 0


def test_boundary_over_volume_is_that_of_a_ball():
    soft = smoothed(ball(15), 1.0)
    assert boundary_per_volume(soft, 1.0) == pytest.approx(3 / 15, rel=0.05)
    assert boundary_per_volume(soft, 2.0) == pytest.approx(3 / 30, rel=0.05)
