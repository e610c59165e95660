"""What time does to a brain, as a displacement of where its voxels are looked up; and sampling through it.

Nothing here has an affine part over the whole head, so the head's move stays the truth.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnreg.geometry.grid import Grid
from stnreg.resampling.resample import Interpolation, resample
from stnreg.simulation.fields import Array, blurred, smooth_field
from stnreg.simulation.tissues import FLUID_AROUND, brain_of

STEP = 2  # voxels of the label map between the places where a displacement is held


@dataclass(frozen=True, eq=False)
class Displacement:
    """Voxel index p of the later head holds what was at p + d(p).

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
    """Shrink the brain about its middle by a share of its volume; the fluid around fills in, the skull stays."""
    held = codes[::STEP, ::STEP, ::STEP]
    brain = brain_of(held)
    # Nothing moves at the skull or beyond.
    inside = np.clip(2 * blurred((brain | (held == FLUID_AROUND)).astype(np.float32), 1.0) - 1, 0, None)
    z, y, x = np.meshgrid(*(np.arange(n, dtype=np.float32) * STEP for n in held.shape), indexing="ij", sparse=True)
    middle = np.argwhere(brain).mean(0) * STEP
    vectors = [inside * (axis - np.float32(m)) for axis, m in zip((x, y, z), middle[::-1], strict=True)]
    field: Array = (np.stack(vectors, -1) * (share / 3)).astype(np.float32)
    # Where the brain lies against the skull it is held back, so the rest has to give more.
    for _ in range(2 if share else 0):
        field *= np.float32(share / _lost(brain, field))
    return Displacement(field)


def _lost(brain: NDArray[np.bool_], field: Array) -> float:
    """Return the share of a brain that a displacement of the coarse places takes away."""
    z, y, x = brain.shape
    grid = Grid((x, y, z), np.eye(4))
    soft = brain.astype(np.float32)
    return 1 - float(
        sample(soft, grid, grid, np.eye(4), Displacement((field / STEP).astype(np.float32), step=1)).sum() / soft.sum()
    )


def smooth_change(codes: NDArray[np.uint8], reach_voxels: float, rng: np.random.Generator) -> Displacement:
    """Draw a smooth displacement without an affine part over the brain; nowhere longer than `reach_voxels` in it."""
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
    # Far from the brain the fit is a guess that grows; it must not tear the face.
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
    """Sample an array on a grid through an affine (LPS mm) and then a displacement: one interpolation.

    Parameters
    ----------
    array : (z, y, x)
    grid, onto : Grid
        Where its voxels lie, and where values are wanted.
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
    import SimpleITK as sitk

    index_to_index = grid.lps_to_index @ np.asarray(onto_to_array) @ onto.index_to_lps
    affine = sitk.AffineTransform(3)
    affine.SetMatrix(index_to_index[:3, :3].ravel().tolist())
    affine.SetTranslation(index_to_index[:3, 3].tolist())
    vectors = sitk.GetImageFromArray(change.vectors.astype(np.float64), isVector=True)
    vectors.SetSpacing((float(change.step),) * 3)
    chain = sitk.CompositeTransform([sitk.DisplacementFieldTransform(vectors), affine])  # the last acts first
    image = sitk.GetImageFromArray(array)
    nearest = interp == "nearest"
    resampler = sitk.ResampleImageFilter()
    resampler.SetSize(onto.size)
    resampler.SetTransform(chain)
    resampler.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    resampler.SetOutputPixelType(image.GetPixelID() if nearest else sitk.sitkFloat32)
    return sitk.GetArrayFromImage(resampler.Execute(image))
