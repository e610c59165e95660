import numpy as np
import pytest


def blob(shape, seed):
    """A lopsided head: a few bright Gaussian bumps in a cube, so that every pose is different."""
    rng = np.random.default_rng(seed)
    axes = np.meshgrid(*(np.linspace(-1, 1, n) for n in shape), indexing="ij")
    image = np.zeros(shape)
    for height in (1, 0.8, 0.6, 0.5, 0.4):
        center, width = rng.uniform(-0.4, 0.4, 3), rng.uniform(0.1, 0.3)
        image += height * np.exp(-sum((a - c) ** 2 for a, c in zip(axes, center, strict=True)) / width**2)
    return image / image.max()


@pytest.fixture
def scans():
    """Six packed scans of 32^3 in a 256 mm cube, two of them for validation."""
    from stnreg.training.data import Scans

    images = np.stack([np.rint(255 * blob((32, 32, 32), seed)).astype(np.uint8) for seed in range(6)])
    return Scans(
        images=images,
        names=tuple(f"scan{k}" for k in range(6)),
        training=np.arange(4),
        validation=np.arange(4, 6),
        extent_mm=256.0,
        sources=({"name": "phantom", "terms": "CC0"},),
    )
