"""Change of a brain over time as a displacement field, and resampling through it.

The displacements have no affine part over the whole head, so that the true affine is that of the head.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnreg.core.itk import itk_for
from stnreg.geometry.grid import Grid
from stnreg.resampling.resample import Interpolation, resample
from stnreg.simulation.fields import Array, blurred, smooth_field
from stnreg.simulation.tissues import FLUID_AROUND, VENTRICLES, brain_of

STEP = 2  # spacing of the displacement field, voxels of the label map


@dataclass(frozen=True, eq=False)
class Displacement:
    """A displacement field d: voxel p of the later head has the value of p + d(p).

    Attributes
    ----------
    vectors : (z, y, x, 3) float32
        d at every `step`-th voxel, (x, y, z), in voxels.
    step : int
    """

    vectors: Array
    step: int = STEP

    def __add__(self, other: "Displacement") -> "Displacement":
        """Add two small displacements."""
        return Displacement(self.vectors + other.vectors, self.step)


def brain_loss(codes: NDArray[np.uint8], share: float) -> Displacement:
    """Shrink the brain about its centre by a fraction of its volume; CSF fills the gap, the skull does not move."""
    held = codes[::STEP, ::STEP, ::STEP]
    brain = brain_of(held)
    # Zero at the skull and outside.
    inside = np.clip(2 * blurred((brain | (held == FLUID_AROUND)).astype(np.float32), 1.0) - 1, 0, None)
    z, y, x = np.meshgrid(*(np.arange(n, dtype=np.float32) * STEP for n in held.shape), indexing="ij", sparse=True)
    middle = np.argwhere(brain).mean(0) * STEP
    vectors = [inside * (axis - np.float32(m)) for axis, m in zip((x, y, z), middle[::-1], strict=True)]
    field: Array = (np.stack(vectors, -1) * (share / 3)).astype(np.float32)
    # The brain next to the skull moves less, so the rest has to shrink more.
    for _ in range(2 if share else 0):
        field *= np.float32(share / _lost_fraction(brain, field))
    return Displacement(field)


def ventricle_growth(codes: NDArray[np.uint8], share: float) -> Displacement:
    """Grow the lateral ventricles by a fraction of their volume; the brain around them gives way.

    The displacement is the gradient of a potential, whose sources are in the ventricles and whose sinks lie in the
    brain within about 25 mm of them. It fades out towards the skull.
    """
    held = codes[::STEP, ::STEP, ::STEP]
    ventricles = np.isin(held, VENTRICLES).astype(np.float32)
    brain = brain_of(held)
    around = blurred(ventricles, 12.0 / STEP) * (brain & (ventricles == 0))
    source = ventricles / ventricles.sum() - around / around.sum()
    source = blurred(source.astype(np.float32), 1.0)
    z, y, x = held.shape
    frequencies = (np.fft.fftfreq(z), np.fft.fftfreq(y), np.fft.rfftfreq(x))
    waves = np.meshgrid(*(2 * np.pi * one for one in frequencies), indexing="ij", sparse=True)
    squared = waves[0] ** 2 + waves[1] ** 2 + waves[2] ** 2
    squared[0, 0, 0] = 1.0
    spread = np.fft.rfftn(source) / squared
    vectors = [np.fft.irfftn(1j * wave * spread, held.shape, axes=(0, 1, 2)) for wave in waves[::-1]]
    field: Array = (np.stack(vectors, -1) * -ventricles.sum() * share * STEP).astype(np.float32)
    inside = np.clip(2 * blurred((brain | (held == FLUID_AROUND)).astype(np.float32), 1.0) - 1, 0, None)
    field *= -inside[..., None]
    # A voxel of the later head comes from nearer the middle of the ventricles.
    for _ in range(3 if share else 0):
        field *= np.float32(share / -_lost_fraction(ventricles > 0, field))
    return Displacement(field)


def _lost_fraction(brain: NDArray[np.bool_], field: Array) -> float:
    """Return the fraction of the brain volume that a coarse displacement field removes."""
    z, y, x = brain.shape
    grid = Grid((x, y, z), np.eye(4))
    soft = brain.astype(np.float32)
    return 1 - float(
        sample(soft, grid, grid, np.eye(4), Displacement((field / STEP).astype(np.float32), step=1)).sum() / soft.sum()
    )


def smooth_change(codes: NDArray[np.uint8], reach_voxels: float, rng: np.random.Generator) -> Displacement:
    """Draw a smooth displacement without an affine part over the brain; at most `reach_voxels` long inside it."""
    brain = brain_of(codes[::STEP, ::STEP, ::STEP])
    points = np.argwhere(brain)
    design = np.c_[points, np.ones(len(points))]
    fields = [blurred(smooth_field(brain.shape, 7, rng), 3.0) for _ in range(3)]
    z, y, x = np.meshgrid(*(np.arange(n, dtype=np.float32) for n in brain.shape), indexing="ij", sparse=True)
    bent = []
    for one in fields:
        a, b, c, d = np.linalg.lstsq(design, one[brain], rcond=None)[0].astype(np.float32)
        bent.append(one - (a * z + b * y + c * x + d))
    vectors = np.stack(bent, -1)
    longest = np.sqrt((vectors**2).sum(-1))
    vectors *= np.float32(reach_voxels / longest[brain].max())
    # Far from the brain the fit extrapolates; limit it, so that the face does not fold.
    length = np.sqrt((vectors**2).sum(-1, keepdims=True))
    return Displacement((vectors * np.minimum(1, reach_voxels / np.maximum(length, 1e-6))).astype(np.float32))


def sample(
    array: NDArray[Any],
    grid: Grid,
    onto: Grid,
    onto_to_array: ArrayLike,
    change: Displacement | None = None,
    interp: Interpolation = "linear",
) -> NDArray[Any]:
    """Resample an array to a grid through an affine (LPS mm) and then a displacement, in one interpolation.

    Parameters
    ----------
    array : (z, y, x)
    grid, onto : Grid
        Grid of `array`, and of the result.
    onto_to_array : (4, 4) float64
    change : Displacement, optional
        In voxels of `grid`.
    interp : {"linear", "nearest"}

    Returns
    -------
    (z, y, x)
        float32, or the type of `array` for "nearest".
    """
    if change is None:
        return resample(array, grid, onto, onto_to_array, interp=interp)
    sitk = itk_for("a simulation")

    index_to_index = grid.lps_to_index @ np.asarray(onto_to_array) @ onto.index_to_lps
    affine = sitk.AffineTransform(3)
    affine.SetMatrix(index_to_index[:3, :3].ravel().tolist())
    affine.SetTranslation(index_to_index[:3, 3].tolist())
    vectors = sitk.GetImageFromArray(change.vectors.astype(np.float64), isVector=True)
    vectors.SetSpacing((float(change.step),) * 3)
    chain = sitk.CompositeTransform([sitk.DisplacementFieldTransform(vectors), affine])  # the last one acts first
    image = sitk.GetImageFromArray(array)
    nearest = interp == "nearest"
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(onto.size)
    resampler.SetTransform(chain)
    resampler.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    resampler.SetOutputPixelType(image.GetPixelID() if nearest else sitk.sitkFloat32)
    return sitk.GetArrayFromImage(resampler.Execute(image))
