"""Make training images with soft segmentations from packed subjects."""

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stnreg.core.structures import GROUP_OF, NAMES
from stnreg.training.anatomy import augment, poses
from stnreg.training.anatomy.painting import paint
from stnreg.training.anatomy.poses import MoveRanges, uniform

CUT_SHARE = 0.5  # fraction of images with a truncated field of view
LEAST_LEFT = 0.3  # minimum fraction of the visible brain that a second truncation must keep


@dataclass(frozen=True)
class ImageSpec:
    """The training images of one network."""

    shape: tuple[int, int, int]  # voxels along z, y, x
    spacing_mm: float
    oversampling: tuple[float, ...]  # factor of the finer grid for painting; one is drawn
    ranges: MoveRanges
    grouped: bool  # maps of `GROUPS` rather than of `STRUCTURES`


POSE = ImageSpec(
    shape=(64, 64, 64),
    spacing_mm=4.0,
    oversampling=(1.0, 1.0, 1.5),
    ranges=MoveRanges(85, 0.3, 40, 45, 0.25, 0.08, 0.08, 6.0),
    grouped=True,
)
FINE = ImageSpec(
    shape=(64, 80, 64),  # an upright brain is longest along y
    spacing_mm=2.5,
    oversampling=(1.0,),
    ranges=MoveRanges(18, 0.3, 6, 14, 0.10, 0.10, 0.12, 6.0),
    grouped=False,
)


class Subjects:
    """Packed subjects in memory, by kind: scans (with images) and anatomies (label maps to paint)."""

    def __init__(self, folder: Path, names: list[str]) -> None:
        self.template = torch.from_numpy(np.load(folder / "template.npy"))  # (structures, 3) LPS mm, NaN for 0
        self.arrays = [dict(np.load(folder / f"{name}.npz")) for name in names]
        self.scans = [a for a in self.arrays if "image" in a]
        self.anatomies = [a for a in self.arrays if "tissue" in a]


def gather(volume: Tensor, index: Tensor) -> Tensor:
    """Sample the nearest voxel of (D, H, W) at (..., 3) float (x, y, z) indices; 0 outside."""
    near = torch.round(index).long()
    sizes = torch.tensor(volume.shape[::-1])
    inside = ((near >= 0) & (near < sizes)).all(-1)
    x, y, z = near.clamp_min(0).unbind(-1)
    x, y, z = x.clamp_max(int(sizes[0]) - 1), y.clamp_max(int(sizes[1]) - 1), z.clamp_max(int(sizes[2]) - 1)
    flat = (z * sizes[1] + y) * sizes[0] + x
    return torch.where(inside, volume.flatten()[flat], torch.zeros((), dtype=volume.dtype))


def sample_linear(volume: Tensor, index: Tensor) -> Tensor:
    """Interpolate (D, H, W) linearly at (D', H', W', 3) float (x, y, z) indices; 0 outside."""
    sizes = torch.tensor(volume.shape[::-1], dtype=torch.float32)
    grid = (2 * index + 1) / sizes - 1
    return functional.grid_sample(volume[None, None].float(), grid[None], align_corners=False)[0, 0]


def class_shares(classes: Tensor, shape: tuple[int, ...], maps: int) -> Tensor:
    """Return the share of each class in blocks of a (D, H, W) map, (maps, *shape) float32."""
    block = classes.shape[0] // shape[0]
    z, y, x = torch.meshgrid(*(torch.arange(n) // block for n in classes.shape), indexing="ij")
    flat = ((classes.long() * shape[0] + z) * shape[1] + y) * shape[2] + x
    counts = torch.bincount(flat.flatten(), minlength=maps * math.prod(shape))
    return counts.reshape(maps, *shape).float() / block**3


def normalise(image: Tensor) -> Tensor:
    """Map the 1st percentile to 0 and the 99.5th to 1, clip at 1.5; as `preprocess.intensity.percentile` does."""
    values, _ = image.flatten()[::5].sort()
    low, high = values[int(0.01 * (len(values) - 1))], values[int(0.995 * (len(values) - 1))]
    return ((image - low) / (high - low).clamp_min(1e-6)).clamp(0, 1.5)


def local_scalings(template: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Draw local scalings of the ventricles and of a few random spots: centres, strengths, radii in mm."""
    ventricles = template[[NAMES.index("lateral_ventricle_L"), NAMES.index("lateral_ventricle_R")]].float()
    pull = uniform(generator, -0.35, 0.6)
    spots = 1 + int(uniform(generator, 0, 3))
    centers = torch.cat([ventricles, torch.randn(spots, 3, generator=generator) * 40])
    strength = torch.cat([torch.full((2,), pull), 0.35 * (2 * torch.rand(spots, generator=generator) - 1)])
    radius = torch.cat([torch.full((2,), uniform(generator, 12, 24)), 12 + 20 * torch.rand(spots, generator=generator)])
    return centers, strength, radius


def training_image(
    subject: dict[str, np.ndarray], template: Tensor, spec: ImageSpec, generator: torch.Generator
) -> tuple[Tensor, Tensor]:
    """Make one training image and its soft segmentation.

    Returns
    -------
    image : (*spec.shape) float32
        Normalised.
    shares : (maps, D/2, H/2, W/2) float32
        Sum to 1 over the maps in each voxel.
    """
    finer = spec.oversampling[int(uniform(generator, 0, len(spec.oversampling)))]
    fine = tuple(int(n * finer) for n in spec.shape)
    box = poses.box_points(fine, spec.spacing_mm * spec.shape[0] / fine[0])
    box_to_template = poses.random_box_to_template(spec.ranges, generator)
    points = poses.template_points(box, box_to_template, spec.ranges.warp_mm, generator)
    if uniform(generator) < 0.7:
        points = poses.local_scaling(points, *local_scalings(template, generator))
    template_to_index = torch.from_numpy(subject["template_to_index"]).float()
    index = points @ template_to_index[:3, :3].T + template_to_index[:3, 3]
    classes = gather(torch.from_numpy(subject["classes"]), index)
    if "tissue" in subject:
        image = paint(gather(torch.from_numpy(subject["tissue"]), index), generator)
    else:
        image = sample_linear(torch.from_numpy(subject["image"]), index) / 255.0
        if uniform(generator) < 0.45:
            image = augment.random_curve(image, generator, monotone=uniform(generator) < 0.5)
    hidden = torch.zeros(classes.shape, dtype=torch.bool)
    if uniform(generator) < CUT_SHARE:
        hidden = augment.outside_field_of_view(box, generator, hard=uniform(generator) < 0.6)
    image = augment_scan(image, classes > 0, hidden, points, spec, generator)
    # The target is the visible part of each structure: the rest of a truncated one could only be guessed.
    classes = classes.masked_fill(hidden, 0)
    maps = int(GROUP_OF.max()) + 1 if spec.grouped else len(NAMES)
    wanted = torch.from_numpy(GROUP_OF)[classes.long()] if spec.grouped else classes
    return normalise(image), class_shares(wanted, tuple(n // 2 for n in spec.shape), maps)


def augment_scan(
    image: Tensor, brain: Tensor, hidden: Tensor, points: Tensor, spec: ImageSpec, generator: torch.Generator
) -> Tensor:
    """Augment an image, and resample it to the grid of the network.

    `hidden` voxels are removed before noise and blur (a padded image) or after (the edge of the field of view).
    """

    def chance(share: float) -> bool:
        return uniform(generator) < share

    if chance(0.22):
        image = augment.strip(image, brain, generator)
    elif chance(0.2):
        image = augment.deface(image, points, generator)
    if chance(0.12):
        image = augment.random_lesions(image, points, generator)
    if chance(0.8):
        image = augment.bias_field(image, generator)
    padded = chance(0.5)
    if padded:
        image = image.masked_fill(hidden, 0.0)
    if tuple(image.shape) != spec.shape:
        image = augment.gaussian_blur(image, (0.4 * image.shape[0] / spec.shape[0],) * 3)
        image = functional.interpolate(image[None, None], size=spec.shape, mode="trilinear")[0, 0]
        hidden = functional.interpolate(hidden[None, None].float(), size=spec.shape, mode="nearest")[0, 0] > 0
    elif chance(0.7):
        image = augment.blur(image, generator)
    if chance(0.25):
        image = augment.thick_slices(image, spec.spacing_mm, generator)
    if chance(0.8):
        image = augment.noise(image, generator)
    if not padded:
        image = image.masked_fill(hidden, 0.0)
    if chance(0.5):
        image = image.clamp_min(0) ** uniform(generator, 0.7, 1.4)
    return image


def augment_again(image: Tensor, shares: Tensor, points: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Augment a training image once more: truncation, contrast, bias field and noise.

    Painting an image takes longer than a training step, so each is used several times, augmented anew.

    Parameters
    ----------
    image : (D, H, W) float32
    shares : (maps, D/2, H/2, W/2) float32
    points : (D, H, W, 3) float32
        Voxel centres of the image, from `poses.box_points`.

    Returns
    -------
    image, shares
        As `training_image`.
    """

    def chance(share: float) -> bool:
        return uniform(generator) < share

    if chance(CUT_SHARE):
        image, shares = _cut(image, shares, augment.outside_field_of_view(points, generator, hard=chance(0.75)))
    if chance(0.5):
        image = augment.bias_field(image, generator)
    image = image.clamp_min(0) ** uniform(generator, 0.7, 1.4)
    if chance(0.3):
        image = augment.random_curve(image, generator, monotone=chance(0.5))
    if chance(0.5):
        image = augment.noise(image, generator)
    return normalise(image), shares


def _cut(image: Tensor, shares: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
    """Remove hidden voxels from an image and its shares, unless too little of the brain would be left."""
    visible = 1 - functional.avg_pool3d(hidden.float()[None, None], 2)[0, 0]
    left = shares[1:] * visible
    if left.sum() <= LEAST_LEFT * shares[1:].sum():
        return image, shares
    background = shares[:1] + (shares[1:] - left).sum(0, keepdim=True)
    return image.masked_fill(hidden, 0.0), torch.cat([background, left])
