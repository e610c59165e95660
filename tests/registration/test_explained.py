"""Whether an image shows the structures that were found in it."""

import numpy as np
import pytest

from stnreg.geometry.grid import Grid
from stnreg.registration import explained
from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.explained import explained_contrast
from stnreg.resampling.block_mean import BlockMeans

GRID = Grid.cube(np.zeros(3), 28, 5.0)
RADIUS = 11


def _encoding() -> Encoding:
    """Return a ball of eight structures, one in each octant."""
    z, y, x = np.indices(GRID.shape) - 13.5
    owner = np.where(x * x + y * y + z * z < RADIUS**2, 1 + (x > 0) + 2 * (y > 0) + 4 * (z > 0), 0)
    maps = (owner == np.arange(9).reshape(-1, 1, 1, 1)).astype(np.float32)
    nothing = np.full((9, 3), np.nan)
    return Encoding(nothing, np.zeros(9), maps, GRID, np.eye(4), 1.0, 1.0, np.zeros(9))


ENCODING = _encoding()


def _image(levels, noise: float, bias: float = 0.0) -> BlockMeans:
    rng = np.random.default_rng(3)
    image = np.asarray(levels, np.float32)[ENCODING.maps.argmax(0)]
    image = image * np.exp(bias * np.linspace(-1, 1, len(image)))[:, None, None]
    return BlockMeans((image + noise * rng.standard_normal(image.shape)).astype(np.float32), GRID)


@pytest.mark.parametrize("seed", range(4))
def test_any_contrast_is_explained(seed):
    levels = np.random.default_rng(seed).permutation(9) / 8
    assert explained_contrast(_image(levels, 0.0), ENCODING) > 0.9
    assert explained_contrast(_image(levels, 0.0, bias=0.5), ENCODING) > 0.8
    assert 0.3 < explained_contrast(_image(levels, 0.15), ENCODING) < 0.95


def test_the_scale_of_intensities_does_not_count():
    levels = np.arange(9) / 8
    first, second = _image(levels, 0.1), _image(levels, 0.1)
    second.array[:] = 1000 * second.array - 300
    assert explained_contrast(first, ENCODING) == pytest.approx(explained_contrast(second, ENCODING), abs=1e-4)


@pytest.mark.parametrize("inside", [0.0, 0.5])
def test_what_is_not_in_the_image_is_not_explained(inside):
    levels = [1.0] + [inside] * 8
    assert explained_contrast(_image(levels, 0.1), ENCODING) < 0.05, "the border of the brain alone says nothing"
    assert explained_contrast(_image(levels, 0.0), ENCODING) < 1e-6


def test_an_empty_brain_explains_nothing():
    empty = Encoding(**{**vars(ENCODING), "maps": np.zeros_like(ENCODING.maps)})
    empty.maps[0] = 1
    assert explained_contrast(_image(range(9), 0.0), empty) == 0


def test_what_is_left_of_a_hollow_brain_counts_little(monkeypatch):
    z, y, x = np.indices(GRID.shape) - 13.5
    radius = np.sqrt(x * x + y * y + z * z)
    shell = (radius >= RADIUS - 3) & (radius < RADIUS)
    maps = np.stack([radius >= RADIUS, radius < RADIUS - 3, shell & (x > 0), shell & (x <= 0)]).astype(np.float32)
    thick = Encoding(**{**vars(ENCODING), "maps": maps})
    noise = 0.01 * np.random.default_rng(4).standard_normal(GRID.shape)
    image = np.where(shell & (y < -7), 1.0, noise).astype(np.float32)
    found = explained_contrast(BlockMeans(image, GRID), thick)
    monkeypatch.setattr(explained, "CLIPPED", np.inf)
    assert found < 0.5 * explained_contrast(BlockMeans(image, GRID), thick)
