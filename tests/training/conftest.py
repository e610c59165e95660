import nibabel as nib
import numpy as np
import pytest

from stnreg.core.structures import STRUCTURES


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


def _structure_map(scheme, seed):
    """Put a cube of every code of a scheme at its own place; sides mirrored about the middle of x."""
    rng = np.random.default_rng(7)
    volume = np.zeros((60, 60, 60), np.int16)
    for s in STRUCTURES[1:]:
        codes = getattr(s, scheme)
        x, y, z = rng.integers(8, 26), *rng.integers(6, 52, 2)
        x = {"R": 59 - x, "L": x, "-": 29}[s.side]  # x grows to the right: RAS
        for k, code in enumerate(codes[:2]):
            volume[x - 2 : x + 2, y - 2 : y + 2, z + k : z + k + 3] = code
    return np.roll(volume, seed, axis=1)


def _write_training_data(root, scans):
    """Write what anatomy networks are trained on: painted scans with DLMUSE labels, two label maps."""
    for folder in ("ixi", "labelmaps"):
        (root / folder).mkdir(parents=True)
    affine = np.diag([3.0, 3.0, 3.0, 1.0])
    affine[:3, 3] = -90
    for k in range(scans):
        labels = _structure_map("dlmuse", k % 3)
        image = (labels * 7 % 250).astype(np.uint8)
        nib.save(nib.Nifti1Image(image, affine), root / "ixi" / f"IXI{k:03d}_T1.nii.gz")
        nib.save(nib.Nifti1Image(labels, affine), root / "ixi" / f"IXI{k:03d}_labels.nii.gz")
    for k in (1, 13):
        labels = _structure_map("freesurfer", k % 2)
        labels[5:55, 2:5, 5:55] = 515
        labels[26:34, 30:34, 30:34] = 3
        nib.save(nib.Nifti1Image(labels, affine), root / "labelmaps" / f"anatomy_{k:02d}.nii.gz")
    return root


@pytest.fixture(scope="session")
def structure_map():
    return _structure_map


@pytest.fixture(scope="session")
def write_training_data():
    return _write_training_data
