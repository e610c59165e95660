"""Pairs of 1 mm heads painted from the validation label maps, moved by a known affine; and real heads between people.

Each image of a pair is sampled from the anatomy through its own map, so neither lies on the other's lattice, and
has its own contrast, texture, blur, noise and bias field. Numpy and SimpleITK alone.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common.heads import shared_folder
from stnreg.geometry.affine import Parameters, apply_affine, compose, from_parameters, invert
from stnreg.geometry.grid import Grid
from stnreg.images.volume import load_volume
from stnreg.resampling.resample import resample

VALIDATION_ANATOMIES = (13, 14, 15)
FLUID_AROUND, FIRST_OUTSIDE = 24, 500  # FreeSurfer codes: CSF around the brain; from 500 on outside it
EDGE_MM = 0.6  # blur of the painted anatomy

# Shares of the white matter's intensity in T1, T2 and FLAIR; of the brightest brain tissue in PD, an inverted contrast,
# PET and EPI; and for CT, Hounsfield units over 1000, plus 1.
CONTRASTS = ("t1", "t2", "flair", "pd", "inverted", "pet", "epi", "ct")
TISSUES: dict[str, tuple[tuple[int, ...], tuple[float, ...]]] = {
    "white": ((2, 41, 7, 46, 16, 28, 60), (1.00, 0.45, 0.60, 0.70, 0.25, 0.35, 0.60, 1.028)),
    "gray": ((3, 42, 8, 47, 17, 53, 18, 54, 26, 58), (0.72, 0.62, 0.80, 0.85, 0.55, 1.00, 0.75, 1.038)),
    "deep": ((10, 49, 13, 52, 11, 50, 12, 51, 85, 530), (0.82, 0.50, 0.68, 0.80, 0.42, 1.00, 0.58, 1.036)),
    "fluid": ((4, 43, 5, 44, 14, 15, 24, 72, 506), (0.28, 1.00, 0.15, 1.00, 0.95, 0.10, 1.00, 1.008)),
    "vessel": ((136, 163, 137, 164, 30, 62), (0.50, 0.85, 0.50, 0.50, 0.60, 0.40, 0.30, 1.045)),
    "lesion": ((25, 57), (0.68, 0.75, 1.00, 0.90, 0.55, 0.30, 0.80, 1.020)),
    "soft": ((507, 508, 502), (0.55, 0.40, 0.50, 0.75, 0.50, 0.25, 0.15, 1.050)),
    "fat": ((511, 512, 516), (1.00, 0.60, 0.70, 0.90, 0.20, 0.08, 0.05, 0.910)),
    "dura": ((514,), (0.45, 0.45, 0.45, 0.40, 0.60, 0.15, 0.10, 1.060)),
    "bone": ((515,), (0.18, 0.12, 0.12, 0.15, 0.80, 0.10, 0.03, 1.900)),
    "air": ((0, 509), (0.02, 0.02, 0.02, 0.02, 0.02, 0.01, 0.01, 0.005)),
}


@dataclass(frozen=True)
class Scan:
    """An image, where it lies, and its brain as a soft map on a 5 mm grid of its own."""

    image: np.ndarray
    grid: Grid
    brain: np.ndarray
    brain_grid: Grid


@dataclass(frozen=True)
class Pair:
    """Two scans of one head, the true map between them, and points of the fixed brain, LPS mm."""

    name: str
    fixed: Scan
    moving: Scan
    fixed_to_moving: np.ndarray
    points: np.ndarray


@dataclass(frozen=True)
class Scanner:
    """How a head is painted: contrast, noise, bias as shares of white; "random" draws a share for each tissue."""

    contrast: str = "t1"
    noise: float = 0.045
    bias: float = 0.3
    texture: float = 0.04
    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    spread: float = 0.03  # of the mean of each structure, relative


def load_anatomy(number: int) -> tuple[np.ndarray, Grid]:
    """Load a label map of the training folder, (z, y, x) int16, and its grid."""
    volume = load_volume(str(shared_folder() / f"data/train/labelmaps/anatomy_{number:02d}.nii.gz"))
    return volume.array.astype(np.int16), volume.grid


def brain_of(codes: np.ndarray) -> np.ndarray:
    """Return where the brain is: tissue and ventricles, not the fluid around."""
    return (codes > 0) & (codes < FIRST_OUTSIDE) & (codes != FLUID_AROUND)


def paint(
    codes: np.ndarray,
    grid: Grid,
    head_to_scan: np.ndarray,
    scanner: Scanner,
    rng: np.random.Generator,
    change: str | list[np.ndarray] = "",
) -> Scan:
    """Scan a head that was moved by `head_to_scan` (LPS mm) on an upright 256 mm field about the scanner's centre."""
    size = np.round(256 / np.asarray(scanner.spacing_mm)).astype(int)
    center = apply_affine(head_to_scan, grid.center_lps)
    jitter = rng.uniform(-0.5, 0.5, 3)
    origin = center - (size - 1) / 2 * scanner.spacing_mm + jitter
    scan_grid = Grid.from_parts(size, scanner.spacing_mm, origin)
    fine = Grid.from_parts((256, 256, 256), (1.0, 1.0, 1.0), center - 127.5 + jitter)
    # Intensities are interpolated, not labels: the nearest label's offset, up to half a voxel, varies slowly
    # where two lattices are almost parallel, and would look like a motion.
    head = _blur(_intensities(codes, scanner, rng), EDGE_MM)
    if len(change):
        head = displaced(head, change_of(codes, change, rng) if isinstance(change, str) else change)
    image = resample(head, grid, fine, invert(head_to_scan))
    image *= 1 + scanner.texture * rng.standard_normal(image.shape, dtype=np.float32)
    image *= np.exp(smooth_field(image.shape, rng, np.log(1 + scanner.bias)))
    if scan_grid != fine:
        thick = [max(s - 1.0, 0.0) / 2.5 for s in scanner.spacing_mm]
        image = resample(_blur(image, *thick), fine, scan_grid, np.eye(4))
    real = image + scanner.noise * rng.standard_normal(image.shape, dtype=np.float32)
    image = np.hypot(real, scanner.noise * rng.standard_normal(image.shape, dtype=np.float32))
    return Scan(image.astype(np.float32), scan_grid, *soft_brain(brain_of(codes), grid, head_to_scan))


def soft_brain(mask: np.ndarray, grid: Grid, head_to_scan: np.ndarray) -> tuple[np.ndarray, Grid]:
    """Return the brain as a network gives it: shares in 5 mm voxels that are turned with the head."""
    center = apply_affine(grid.index_to_lps, np.argwhere(mask)[::97].mean(0)[::-1])
    cube = Grid.cube(center, 40, 5.0)
    share = resample(_blur(mask.astype(np.float32), 2.5 / float(grid.spacing.min())), grid, cube, np.eye(4))
    return share, Grid(cube.size, head_to_scan @ cube.index_to_lps)


def random_head_move(rng: np.random.Generator, center_lps: np.ndarray, share: float = 1.0) -> np.ndarray:
    """Draw a map as the bar has it: 30 degrees, 30 mm, +-15 %, shear 0.1; times `share`."""

    def draw(reach: float) -> tuple[float, float, float]:
        x, y, z = rng.uniform(-reach * share, reach * share, 3)
        return float(x), float(y), float(z)

    sx, sy, sz = draw(0.15)
    return from_parameters(Parameters(draw(30.0), draw(30.0), (1 + sx, 1 + sy, 1 + sz), draw(0.1)), center_lps)


def painted_pair(
    number: int, seed: int, fixed: Scanner, moving: Scanner, *, rigid: bool = False, change: str = ""
) -> Pair:
    """Paint one validation anatomy twice, the second time moved, and changed if asked.

    Parameters
    ----------
    number, seed : int
        Which anatomy, and of the random numbers.
    fixed, moving : Scanner
    rigid : bool
        Whether the move is a rigid one.
    change : {"", "smooth", "loss"}
        What happened between: 1.5 mm of smooth displacement; or the brain lost 2 % of its volume, the skull none.
    """
    rng = np.random.default_rng([number, seed])
    codes, grid = load_anatomy(number)
    move = random_head_move(rng, grid.center_lps)
    if rigid:
        move = from_parameters(
            Parameters(tuple(rng.uniform(-30, 30, 3)), tuple(rng.uniform(-30, 30, 3))), grid.center_lps
        )
    first = random_head_move(rng, grid.center_lps, share=0.1) if not rigid else np.eye(4)
    first[:3, 3] += rng.uniform(-0.5, 0.5, 3)
    points = apply_affine(grid.index_to_lps, np.argwhere(brain_of(codes))[::997, ::-1].astype(float))
    return Pair(
        f"anatomy{number}-{seed}",
        paint(codes, grid, first, fixed, rng),
        paint(codes, grid, move, moving, rng, change),
        compose(move, invert(first)),
        apply_affine(first, points),
    )


def change_of(codes: np.ndarray, change: str, rng: np.random.Generator) -> list[np.ndarray]:
    """Return where each voxel of the later head comes from, less its own place: three (z, y, x) fields, voxels.

    "loss" pulls the brain and the fluid around it in, fading out towards the skull; "smooth" is 1.5 mm of smooth
    displacement without an affine part over the brain.
    """
    if change == "smooth":
        return without_affine([smooth_field(codes.shape, rng, 1.5, knots=8) for _ in range(3)], brain_of(codes))
    z, y, x = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in codes.shape], indexing="ij", sparse=True)
    inside = _blur(brain_of(codes).astype(np.float32), 3.0) * (0.02 / 3)
    mean = np.argwhere(brain_of(codes))[::97].mean(0)
    return [inside * (axis - np.float32(m)) for axis, m in zip((z, y, x), mean, strict=True)]


def displaced(image: np.ndarray, shift: list[np.ndarray]) -> np.ndarray:
    """Look an image up at each voxel's own place and a shift, (z, y, x) fields in voxels."""
    import SimpleITK as sitk

    field = sitk.GetImageFromArray(np.stack(shift[::-1], -1).astype(np.float64), isVector=True)
    moved = sitk.Resample(sitk.GetImageFromArray(image), sitk.DisplacementFieldTransform(field), sitk.sitkLinear, 0.0)
    return sitk.GetArrayFromImage(moved)


def perturbed(fixed_to_moving: np.ndarray, points: np.ndarray, rng: np.random.Generator, mm: float, deg: float,
              scale: float = 0.0) -> np.ndarray:  # fmt: skip
    """Push a map off by a shift and a turn of that size, in random directions, and a scale, about the points' mean."""
    direction, axis = rng.standard_normal((2, 3))
    direction *= mm / np.linalg.norm(direction)
    axis *= deg / np.linalg.norm(axis)
    factor = 1 + rng.uniform(-scale, scale)
    push = Parameters(tuple(direction), tuple(axis), (factor,) * 3)
    return compose(fixed_to_moving, from_parameters(push, points.mean(0)))


def save(pair: Pair, path: Path) -> None:
    """Keep a pair in an .npz, so that a second run need not paint it again."""
    fields = {"name": pair.name, "fixed_to_moving": pair.fixed_to_moving, "points": pair.points}
    for side, scan in (("fixed", pair.fixed), ("moving", pair.moving)):
        image = np.round(scan.image * 1000).clip(0, 32767).astype(np.int16)
        fields |= {f"{side}_image": image, f"{side}_grid": scan.grid.index_to_lps}
        fields |= {f"{side}_brain": scan.brain, f"{side}_brain_grid": scan.brain_grid.index_to_lps}
    np.savez(path, **fields)


def load(path: Path) -> Pair:
    """Load what `save` kept."""
    kept = np.load(path)
    scans = []
    for side in ("fixed", "moving"):
        image, brain = kept[f"{side}_image"], kept[f"{side}_brain"]
        grids = [Grid(a.shape[::-1], kept[f"{side}_{g}"]) for a, g in ((image, "grid"), (brain, "brain_grid"))]
        scans.append(Scan(image, grids[0], brain, grids[1]))
    return Pair(str(kept["name"]), scans[0], scans[1], kept["fixed_to_moving"], kept["points"])


def _intensities(labels: np.ndarray, scanner: Scanner, rng: np.random.Generator) -> np.ndarray:
    column = 0 if scanner.contrast == "random" else CONTRASTS.index(scanner.contrast)
    mean = np.full(int(labels.max()) + 1, 0.5, np.float32)
    for tissue, (codes, shares) in TISSUES.items():
        if scanner.contrast == "random" and tissue != "air":
            shares = (float(rng.uniform(0.05, 1.0)),)
        for code in codes:
            if code < len(mean):
                mean[code] = max(shares[column] * (1 + scanner.spread * rng.standard_normal()), 0.0)
    return mean[labels]


def smooth_field(shape: tuple[int, ...], rng: np.random.Generator, reach: float, knots: int = 5) -> np.ndarray:
    """Return a smooth random field between -reach and reach, (z, y, x) float32."""
    coarse = rng.uniform(-1, 1, (knots, knots, knots)).astype(np.float32)
    middle, z, y, x = Grid.cube((0, 0, 0), 48, 2.0 / 44), *shape
    onto = Grid.from_parts((x, y, z), (2 / x, 2 / y, 2 / z), (1 / x - 1, 1 / y - 1, 1 / z - 1))
    smooth = resample(coarse, Grid.cube((0, 0, 0), knots, 2.0 / (knots - 3)), middle, np.eye(4), interp="bspline")
    field = resample(smooth, middle, onto, np.eye(4))
    return field * np.float32(reach / np.abs(field).max())


def without_affine(shift: list[np.ndarray], mask: np.ndarray) -> list[np.ndarray]:
    """Take from three (z, y, x) fields what an affine does in a mask."""
    points = np.argwhere(mask)[::199]
    design = np.c_[points, np.ones(len(points))]
    z, y, x = np.meshgrid(*[np.arange(n, dtype=np.float32) for n in mask.shape], indexing="ij", sparse=True)
    out = []
    for field in shift:
        a, b, c, d = np.linalg.lstsq(design, field[tuple(points.T)], rcond=None)[0].astype(np.float32)
        out.append(field - (a * z + b * y + c * x + d))
    return out


def _blur(image: np.ndarray, *sigma: float) -> np.ndarray:
    """Blur by a Gaussian; sigma in voxels, one or (x, y, z)."""
    import SimpleITK as sitk

    widths = list(sigma) * 3 if len(sigma) == 1 else list(sigma)
    if max(widths) <= 0:
        return image
    filtered = sitk.DiscreteGaussian(
        sitk.GetImageFromArray(image), [max(w, 1e-3) ** 2 for w in widths], useImageSpacing=False
    )
    return sitk.GetArrayFromImage(filtered)
