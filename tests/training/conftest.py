import bz2
import json

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


def _ball(shape, center, radii):
    z, y, x = np.indices(shape)
    return ((np.stack([x, y, z], -1) - center) ** 2 / np.array(radii) ** 2).sum(-1) < 1


@pytest.fixture
def velocity_pack(tmp_path):
    """Four balls with three structures each, two for validation, and three label maps."""
    arrays, scans, anatomies = {}, [], []
    shape = (40, 40, 40)
    center = np.array([19.5, 19.5, 19.5])
    for k in range(4):
        labels = np.zeros(shape, np.uint8)
        labels[_ball(shape, center, (12 + k, 15 - k, 13))] = 1
        aside = 3 if k % 2 else -3
        labels[_ball(shape, center + np.array([4, aside, 0]), (4, 5, 6))] = 2
        labels[_ball(shape, center + np.array([-4, aside, 0]), (4, 5, 6))] = 3
        image = np.array([2, 20, 30, 38], np.uint8)[labels]
        for kind, volume in (("image", image), ("labels", labels)):
            arrays[f"s{k}.{kind}"] = np.frombuffer(bz2.compress(volume.tobytes()), np.uint8)
        matrix = np.diag([0.2, 0.2, 0.2, 1.0])
        matrix[:3, 3] = center
        scans.append({"name": f"s{k}", "shape": shape, "frame_to_index": matrix.tolist(), "validation": k > 1})
        if k < 3:
            codes = np.array([0, 3, 4, 43], np.uint8)[labels]
            arrays[f"a{k}.tissue"] = np.frombuffer(bz2.compress(codes.tobytes()), np.uint8)
            anatomies.append({**scans[-1], "name": f"a{k}", "validation": k > 0})
    tables = {
        "dlmuse": [0, 81, 52, 51],
        "freesurfer": [0, 2, 3, 4, 41, 43],
        "mirror_dlmuse": [0, 1, 3, 2],
        "mirror_freesurfer": [0, 4, 2, 5, 1, 3],
        "to_freesurfer": [0, 2, 3, 5],
    }
    about = {"tables": tables, "levels": 40, "scans": scans, "anatomies": anatomies}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    np.savez(tmp_path / "pack.npz", **arrays)
    return tmp_path / "pack.npz"


@pytest.fixture
def one_thread():
    """Small networks are faster on one thread, and the same on every machine."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
