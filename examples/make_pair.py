"""Paint the pair of heads that the README registers: examples/fixed.nii.gz and examples/moving.nii.gz.

Two anatomies of the SynthSeg project (label maps, Apache-2.0; see NOTICE) become two T1-like scans: an intensity
for each tissue, texture, blur, a bias field and noise. The moving one lies turned and shifted in its grid, and the
grid's header knows nothing of it. A seed gives the same bytes.

    python examples/make_pair.py [FOLDER_OF_LABEL_MAPS]

The label maps are looked for in $STNREG_SHARED/data/train/labelmaps, else beside the repository in ../shared.
"""

import gzip
import os
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from stnreg.geometry.affine import Parameters, from_parameters

HERE = Path(__file__).resolve().parent

# FreeSurfer codes; 500 and up lie outside the brain. Intensities as a T1 at 3 T shows them, white matter 110.
T1 = {
    110: (2, 41, 7, 46, 85, 530),  # white matter, cerebellar white matter, optic chiasm
    100: (16, 13, 52, 28, 60, 512),  # brain stem, pallidum, ventral diencephalon, spinal cord
    92: (10, 49),  # thalamus
    84: (11, 50, 12, 51, 26, 58),  # caudate, putamen, accumbens
    76: (3, 42, 8, 47, 17, 53, 18, 54),  # cortex, cerebellar cortex, hippocampus, amygdala
    55: (30, 62, 136, 137, 163, 164, 72),  # vessels, choroid plexus
    24: (4, 43, 5, 44, 14, 15, 24, 25, 57, 506),  # ventricles, the fluid around the brain, the eyes
    70: (507, 509, 508),  # muscle and fat (see `fat`), mucosa, lens
    88: (511,),  # skin
    14: (515, 502, 514),  # dense bone, air-filled bone
    95: (516,),  # marrow
}
FAT = 150.0
SOFT_TISSUE = 507


def smooth_noise(rng: np.random.Generator, shape: tuple[int, ...], sigma_mm: float) -> np.ndarray:
    """Gaussian noise of unit variance, smooth over about `sigma_mm`, on a 1 mm grid of `shape`."""
    step = max(1, int(sigma_mm / 2))
    coarse = rng.normal(size=[n // step + 4 for n in shape]).astype(np.float32)
    image = sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(coarse), sigma_mm / step)
    image.SetSpacing([float(step)] * 3)
    grid = sitk.Image([int(n) for n in shape[::-1]], sitk.sitkFloat32)
    field = sitk.GetArrayFromImage(sitk.Resample(image, grid))
    return field / field.std()


def paint(labels: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Turn a 1 mm label map (z, y, x) into a T1-like image without noise, float32."""
    image = np.full(labels.shape, 2.0, np.float32)
    for intensity, codes in T1.items():
        image[np.isin(labels, codes)] = intensity * rng.normal(1, 0.03)
    soft = labels == SOFT_TISSUE
    fatty = smooth_noise(rng, labels.shape, 4.0) > 0.1
    image[soft & fatty] = FAT
    image *= 1 + 0.04 * smooth_noise(rng, labels.shape, 1.5)
    image *= np.exp(0.10 * smooth_noise(rng, labels.shape, 50.0))
    return sitk.GetArrayFromImage(sitk.SmoothingRecursiveGaussian(sitk.GetImageFromArray(image), 0.7))


def lay_out(
    image: np.ndarray, grid_to_anatomy: np.ndarray, size: tuple[int, ...], spacing: tuple[float, ...]
) -> np.ndarray:
    """Sample a 1 mm image, its centre the origin, on a grid about the same centre: blurred to it, then pulled."""
    source = sitk.GetImageFromArray(image)
    source.SetOrigin([-(n - 1) / 2 for n in source.GetSize()])
    source = sitk.SmoothingRecursiveGaussian(source, [0.35 * s for s in spacing])
    affine = sitk.AffineTransform(grid_to_anatomy[:3, :3].ravel().tolist(), grid_to_anatomy[:3, 3].tolist())
    origin = [-(n - 1) * s / 2 for n, s in zip(size, spacing, strict=True)]
    return sitk.GetArrayFromImage(
        sitk.Resample(source, size, affine, sitk.sitkLinear, origin, spacing, np.eye(3).ravel(), 2.0)
    )


def add_noise(image: np.ndarray, sigma: float, rng: np.random.Generator) -> np.ndarray:
    """Rician noise, as a magnitude image has it, then uint8."""
    real, imaginary = rng.normal(0, sigma, (2, *image.shape))
    return np.clip(np.rint(np.hypot(image + real, imaginary)), 0, 255).astype(np.uint8)


def save(path: Path, array: np.ndarray, spacing: tuple[float, ...], codes: tuple[str, str, str]) -> None:
    """Write a (z, y, x) LPS array as NIfTI in another axis order, centred on the world's origin, same bytes always."""
    matrix = np.diag([-spacing[0], -spacing[1], spacing[2], 1.0])
    matrix[:3, 3] = -matrix[:3, :3] @ (np.array(array.shape[::-1]) - 1) / 2
    image = nib.Nifti1Image(array.transpose(2, 1, 0), matrix)
    turn = nib.orientations.ornt_transform(nib.io_orientation(matrix), nib.orientations.axcodes2ornt(codes))
    image = image.as_reoriented(turn)
    image.set_qform(image.affine, 1)
    image.set_sform(image.affine, 1)
    path.write_bytes(gzip.compress(image.to_bytes(), mtime=0))
    print(f"{path}  {image.shape}  {path.stat().st_size / 1024:.0f} KiB")


def load_lps(path: Path) -> np.ndarray:
    """Load a label map as a (z, y, x) array whose axes run to the patient's left, back and head."""
    image = nib.load(path)
    turn = nib.orientations.ornt_transform(
        nib.io_orientation(image.affine), nib.orientations.axcodes2ornt(("L", "P", "S"))
    )
    return np.asarray(image.as_reoriented(turn).dataobj).astype(np.int16).transpose(2, 1, 0)


def main() -> None:
    """Paint both heads, or say why not."""
    shared = Path(os.environ.get("STNREG_SHARED", HERE.parent.parent / "shared"))
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else shared / "data" / "train" / "labelmaps"
    anatomies = [folder / f"anatomy_{number}.nii.gz" for number in (13, 15)]
    if not all(path.exists() for path in anatomies):
        print(f"skipped: no label maps anatomy_13 and anatomy_15 in {folder}; give their folder", file=sys.stderr)
        return
    rng = np.random.default_rng(20)
    fixed = lay_out(paint(load_lps(anatomies[0]), rng), np.eye(4), (100, 116, 112), (2.0, 2.0, 2.0))
    save(HERE / "fixed.nii.gz", add_noise(fixed, 1.6, rng), (2.0, 2.0, 2.0), ("R", "A", "S"))
    turned = from_parameters(Parameters((14.0, -9.0, 11.0), (10.0, -8.0, 21.0)), np.zeros(3))
    moving = lay_out(0.8 * paint(load_lps(anatomies[1]), rng), np.linalg.inv(turned), (112, 120, 100), (2.0, 2.0, 2.2))
    save(HERE / "moving.nii.gz", add_noise(moving, 1.8, rng), (2.0, 2.0, 2.2), ("L", "I", "A"))


if __name__ == "__main__":
    main()
