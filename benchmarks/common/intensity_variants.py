"""Heads whose intensities are unusual: offsets, fill, hot voxels, noise for a background, bright scalps, CT; and views.

Each is made of a real scan that was moved by a known rigid transform. The tissues stay where they are, so the truth is
known to every voxel. What the scanner sees of the head (`Kind.view`) is in `views`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from benchmarks.common.heads import Head, random_turn
from benchmarks.common.variants import Variant, generator, moved_grid, spoilt
from benchmarks.common.views import View, brainstem_cube, sinus_dropout, thick_slices
from stnreg.geometry.affine import invert
from stnreg.geometry.grid import Grid
from stnreg.resampling.resample import resample
from stnreg.simulation.fields import blurred

Array = np.ndarray
Change = Callable[[Array, Head, np.random.Generator], Array]
ANGLE_DEG, SHIFT_MM, SPACING_MM, NOISE = 30.0, 20.0, 2.0, 0.04
SCALP_MM, SCALP, NECK = 6.0, 10.0, 6.0
VENTRICLE_MM = {"L": 22.0, "P": 38.0, "S": 20.0}
AIR_HU, BONE_HU, FAT_HU, MUSCLE_HU, TABLE_HU, GANTRY_HU = -1000.0, 900.0, -90.0, 40.0, 200.0, -3024.0
BRAIN_HU = ((0.0, 0.35, 0.6, 0.75, 1.0), (5, 8, 38, 34, 27))
"""Shares of white matter in T1, and Hounsfield units: fluid, gray, white matter."""


@dataclass(frozen=True)
class Kind:
    """A change of intensities, whether the scanner's noise and bias field come before it or after, and what is seen."""

    change: Change
    is_after_noise: bool = True
    background: float = 0.0
    view: View | None = None


def make(head: Head, kind: str, number: int = 0) -> Variant:
    """Move a head, and change its intensities.

    Parameters
    ----------
    head : Head
    kind : str
        Of `KINDS`.
    number : int
        Another move for each number.
    """
    chosen, rng = KINDS[kind], generator(head.name, kind, number)
    move = random_turn(rng, ANGLE_DEG, SHIFT_MM, head.grid.center_lps)
    grid = moved_grid(head.grid, move, SPACING_MM)
    if chosen.is_after_noise:
        image = spoilt(resample(head.image, head.grid, grid, invert(move)), rng, NOISE)
        labels = resample(head.labels, head.grid, grid, invert(move), interp="nearest")
        changed = chosen.change(image, replace(head, image=image, labels=labels, grid=grid), rng)
    else:
        whole = chosen.change(head.image, head, rng)
        changed = resample(whole, head.grid, grid, invert(move), background=chosen.background)
        if chosen.background == 0:
            changed = spoilt(changed, rng, NOISE / SCALP)
    variant = Variant(f"{head.name}:{kind}#{number}", np.asarray(changed, np.float32), grid, head, move)
    return chosen.view(variant) if chosen.view else variant


def outline(image: Array) -> Array:
    """Return the head with all that is inside it, (z, y, x) bool."""
    import SimpleITK as sitk

    bright = (blurred(image, 1.0) > 0.12 * np.percentile(image, 98)).astype(np.uint8)
    closed = sitk.BinaryMorphologicalClosing(sitk.GetImageFromArray(bright), [3] * 3)
    return sitk.GetArrayFromImage(sitk.BinaryFillhole(closed)) > 0


def _top(image: Array) -> float:
    return float(np.percentile(image, 99))


def _as_it_is(image: Array, head: Head, rng: np.random.Generator) -> Array:
    return image


def _shifted(share: float) -> Kind:
    return Kind(lambda image, head, rng: image + share * _top(image))


def _filled(value: float) -> Kind:
    """Fill what lies outside a box inside the field of view."""

    def change(image: Array, head: Head, rng: np.random.Generator) -> Array:
        z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in image.shape), indexing="ij", sparse=True)
        outside = (np.abs(x) > 0.93) | (np.abs(y) > 0.93) | (np.abs(z) > 0.95)
        return np.where(np.broadcast_to(outside, image.shape), value, image)

    return Kind(change)


def _hot(image: Array, head: Head, rng: np.random.Generator) -> Array:
    out = image.copy()
    out.reshape(-1)[rng.integers(0, out.size, 30)] = 1e5 * _top(image)
    return out


def _white_background(image: Array, head: Head, rng: np.random.Generator) -> Array:
    return np.where(outline(image), image, 1.2 * _top(image))


def _inverted(image: Array, head: Head, rng: np.random.Generator) -> Array:
    return (1.2 * _top(image) - image).clip(0)


def _uniform_noise(image: Array, head: Head, rng: np.random.Generator) -> Array:
    """Make an MP2RAGE: a ratio of two images, which in air and bone is noise between dark and bright."""
    share = (image / np.percentile(image[head.labels > 0], 99)).clip(0, 1)
    signal = 1 / (1 + (0.08 / np.maximum(share, 1e-3)) ** 2)
    return 4095 * (signal * share + (1 - signal) * rng.random(image.shape))


def _anisotropy(image: Array, head: Head, rng: np.random.Generator) -> Array:
    """Make a map of fractional anisotropy: white matter bright, and noise in the air as bright."""
    share = image / np.percentile(image[head.labels > 0], 99)
    tissue = (1.6 * share - 0.75).clip(0.1, 0.8) + 0.05 * rng.standard_normal(image.shape)
    return np.where(share < 0.1, rng.beta(3, 3, image.shape), tissue).clip(0, 1)


def _bright_scalp(image: Array, head: Head, rng: np.random.Generator) -> Array:
    """Brighten what lies within `SCALP_MM` of the surface, and what lies below the brain."""
    import SimpleITK as sitk

    whole = outline(image)
    reach = [round(SCALP_MM / float(s)) for s in head.grid.spacing]
    inner = sitk.BinaryErode(sitk.GetImageFromArray(whole.astype(np.uint8)), reach, boundaryToForeground=True)
    out = image.copy()
    out[whole & (sitk.GetArrayFromImage(inner) == 0)] *= SCALP
    axis, is_up = _axis(head.grid, 2)
    below = [slice(None)] * 3
    levels = np.argwhere(head.labels > 0)[:, axis]
    gap = round(20 / float(head.grid.spacing[2 - axis]))
    below[axis] = slice(0, max(int(levels.min()) - gap, 0)) if is_up else slice(int(levels.max()) + gap, None)
    out[tuple(below)] *= NECK
    return out


def _large_ventricles(image: Array, head: Head, rng: np.random.Generator) -> Array:
    """Put an ellipsoid of fluid into the middle of the brain."""
    middle = np.argwhere(head.labels > 0).mean(0)
    radii = [list(VENTRICLE_MM.values())[int(np.abs(head.grid.direction[:, 2 - axis]).argmax())] for axis in range(3)]
    lines = [
        (np.arange(n) - c) * s / r
        for n, c, s, r in zip(image.shape, middle, head.grid.spacing[::-1], radii, strict=True)
    ]
    z, y, x = np.meshgrid(*lines, indexing="ij", sparse=True)
    fluid = np.percentile(image[head.labels > 0], 3)
    return blurred(np.where(z**2 + y**2 + x**2 < 1, fluid, image).astype(np.float32), 0.5)


def _hounsfield(image: Array, head: Head, rng: np.random.Generator) -> Array:
    """Make a CT: bone around the brain, fat and muscle outside, a table behind the head."""
    share = image / np.percentile(image[head.labels > 0], 98)
    whole, brain = outline(image), head.labels > 0
    units = np.where(whole, MUSCLE_HU, AIR_HU)
    units[(share > 0.8) & whole] = FAT_HU
    units[(blurred(brain.astype(np.float32), 3.0) > 0.02) & (share < 0.45) & whole] = BONE_HU
    units = np.where(brain, np.interp(share, *BRAIN_HU), units)
    units = blurred(units.astype(np.float32), 0.5) + 5 * rng.standard_normal(image.shape)
    axis, is_back = _axis(head.grid, 1)
    levels = np.argwhere(whole)[:, axis]
    first = int(levels.max()) + 3 if is_back else int(levels.min()) - 4
    if 0 <= first < image.shape[axis] - 2:
        table = [slice(None)] * 3
        table[axis] = slice(first, first + 2)
        units[tuple(table)] = TABLE_HU
    return units


def _in_gantry(image: Array, head: Head, rng: np.random.Generator) -> Array:
    """Make a CT that is filled outside the circle of the gantry."""
    lines = np.meshgrid(*(np.linspace(-1, 1, n) for n in image.shape), indexing="ij", sparse=True)
    first, second = (line for axis, line in enumerate(lines) if axis != _axis(head.grid, 2)[0])
    outside = np.broadcast_to(first**2 + second**2 > 1, image.shape)
    return np.where(outside, GANTRY_HU, _hounsfield(image, head, rng))


def _axis(grid: Grid, lps: int) -> tuple[int, bool]:
    """Return the array axis that runs along an LPS axis, and whether it runs its way."""
    voxel = int(np.abs(grid.direction[lps]).argmax())
    return 2 - voxel, bool(grid.direction[lps, voxel] > 0)


KINDS: Mapping[str, Kind] = {
    "as it is": Kind(_as_it_is),
    "offset +32768": Kind(lambda image, head, rng: image + np.float32(32768)),
    "offset +1e6": Kind(lambda image, head, rng: image + np.float32(1e6)),
    "offset -5 x brightest": _shifted(-5),
    "offset +20 x brightest": _shifted(20),
    "scale 1e-20": Kind(lambda image, head, rng: image * np.float32(1e-20)),
    "fill -1024": _filled(-1024),
    "fill -32768": _filled(-32768),
    "fill NaN": _filled(np.nan),
    "hot voxels": Kind(_hot),
    "white background": Kind(_white_background),
    "inverted": Kind(_inverted),
    "MP2RAGE noise": Kind(_uniform_noise),
    "FA, noise in air": Kind(_anisotropy),
    "bright scalp, neck": Kind(_bright_scalp, is_after_noise=False),
    "large ventricles": Kind(_large_ventricles),
    "CT with table": Kind(_hounsfield, is_after_noise=False, background=AIR_HU),
    "CT in gantry": Kind(_in_gantry, is_after_noise=False, background=GANTRY_HU),
    "sinus dropout": Kind(sinus_dropout),
    "slices of 11 mm": Kind(_as_it_is, view=thick_slices),
    "cube of 70 mm": Kind(_as_it_is, view=brainstem_cube),
}
