"""Every orientation in every format: an identity puts each point where it was, within 0.01 mm, in everybody's eyes."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from stnreg.geometry.affine import apply_affine, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import lps_from_ras
from stnreg.images.volume import Volume, load_volume, save_volume
from stnreg.resampling.apply import apply_transform

LIMIT_MM = 0.01
SUFFIXES = (".nii", ".nii.gz", ".mgz", ".img", ".nrrd", ".mha", ".mhd")
CODES = ("LPS", "RAS", "LAS", "RPI", "AIL", "SPL", "PIR", "IRP", "oblique")
SLOPES = np.array([[1.0, 0.3, -0.2], [0.1, 1.0, 0.4], [-0.3, 0.2, 1.0]])
"""Three images whose intensities are the L, P and S coordinates: their values at a point are its position."""


def grid_of(code: str) -> Grid:
    """Return a grid of 24 x 22 x 26 voxels in that orientation, about (5, -10, 20) LPS."""
    if code == "oblique":
        axes = np.linalg.qr(np.array([[1.0, 0.3, -0.2], [-0.25, 1.0, 0.35], [0.15, -0.3, 1.0]]))[0]
    else:
        axes = np.zeros((3, 3))
        for axis, letter in enumerate(code):
            axes["LPSRAI".index(letter) % 3, axis] = 1 if letter in "LPS" else -1
    spacing, size = np.array([2.0, 1.5, 3.0]), (24, 22, 26)
    return Grid.from_parts(
        size, spacing, np.array([5.0, -10, 20]) - (axes * spacing) @ ((np.array(size) - 1) / 2), axes
    )


def ramps(grid: Grid) -> np.ndarray:
    """Return the three images on a grid, (3, z, y, x) float32."""
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij")[::-1], axis=-1)
    return np.moveaxis(apply_affine(grid.index_to_lps, index) @ SLOPES.T, -1, 0).astype(np.float32)


def write(path: Path, array: np.ndarray, grid: Grid) -> None:
    """Write an image with somebody else's code, in the format of the suffix."""
    if path.suffix in (".nrrd", ".mha", ".mhd"):
        image = sitk.GetImageFromArray(array)
        image.SetSpacing(grid.spacing.tolist())
        image.SetOrigin(grid.origin.tolist())
        image.SetDirection(grid.direction.ravel().tolist())
        sitk.WriteImage(image, str(path))
        return
    kind = {".mgz": nibabel.MGHImage, ".img": nibabel.Nifti1Pair}.get(path.suffix, nibabel.Nifti1Image)
    nibabel.save(kind(array.T, lps_from_ras(grid.index_to_lps)), path)


def off_mm(values: np.ndarray, grid: Grid) -> np.ndarray:
    """Return how far each voxel (3, z, y, x) is from where its three values say that it is, mm."""
    return np.linalg.norm(np.linalg.inv(SLOPES) @ (values - ramps(grid)).reshape(3, -1), axis=0).reshape(grid.shape)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("code", CODES)
def test_the_identity_moves_nothing(tmp_path: Path, code: str, suffix: str) -> None:
    grid, onto = grid_of(code), grid_of("oblique" if code != "oblique" else "RAS")
    sampled = []
    for number, array in enumerate(ramps(grid)):
        path = tmp_path / f"a{number}{suffix}"
        write(path, array, grid)
        volume = load_volume(path)
        assert np.abs(volume.grid.corners_lps() - grid.corners_lps()).max() < LIMIT_MM
        sampled.append(apply_transform(path, Volume(array, onto), np.eye(4), threads=1).array)
        # Onto itself nothing changes at all.
        same = apply_transform(path, path, np.eye(4), threads=1)
        assert np.array_equal(same.array, array)
        save_volume(tmp_path / "out.nii.gz", same.array, like=same)
    index = np.stack(np.meshgrid(*map(np.arange, onto.shape), indexing="ij")[::-1], axis=-1)
    index = apply_affine(invert(grid.index_to_lps) @ onto.index_to_lps, index)
    inside = ((index > 0) & (index < np.array(grid.size) - 1)).all(axis=-1)
    assert inside.mean() > 0.2
    assert off_mm(np.stack(sampled), onto)[inside].max() < LIMIT_MM
    theirs_ras = nibabel.load(tmp_path / "out.nii.gz").affine
    itk: Any = sitk.ReadImage(str(tmp_path / "out.nii.gz"))
    for corner in ((0, 0, 0), (23, 21, 25), (23, 0, 0), (0, 21, 0)):
        place = apply_affine(grid.index_to_lps, corner)
        assert np.abs(apply_affine(lps_from_ras(theirs_ras), corner) - place).max() < LIMIT_MM
        assert np.abs(np.array(itk.TransformIndexToPhysicalPoint(corner)) - place).max() < LIMIT_MM
