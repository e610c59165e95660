"""Batches of pairs, made on the device: who, moved how, seen in which contrast.

Three kinds of pairs share a batch: two scans (labels of DLMUSE), two painted label maps, and one of each (labels of
FreeSurfer, which both have). Every head is moved by an affine that both heads of a pair share, by a smaller one of its
own, by a smooth warp, and is mirrored half the time.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from stnreg.simulation.tissues import FLUID_AROUND, HEAD
from stnreg.training.deformable import painting
from stnreg.training.deformable.painting import uniform
from stnreg.training.deformable.subjects import Pack, frame_points


@dataclass(frozen=True)
class BatchSettings:
    """What a batch consists of, and how far its heads are moved.

    Attributes
    ----------
    scan_pairs, painted_pairs, mixed_pairs : int
    shared_deg, shared_mm, shared_scale : float
        Of the affine of a pair: angle and translation at most, standard deviation of the strain.
    own_deg, own_mm, own_scale : float
        The same of each head: what an affine registration leaves.
    warp_mm : float
        Largest standard deviation of the smooth warp of each head.
    contrast_share : float
        Of the scans, that are shown in another contrast.
    painted_warp_mm : float
        As `warp_mm`, of painted heads: there are few of them, and strong warps make more.
    labelled_share : float
        Of all scans, that are painted from their own labels: contrasts for as many anatomies as there are scans.
    shares : tuple of float
        Of t1, t2, flair and pd among painted heads; the rest are painted in any contrast.
    reference_voxels : int
        By which the brain is grown that heads in one contrast are cut to.
    """

    scan_pairs: int = 5
    painted_pairs: int = 2
    mixed_pairs: int = 1
    shared_deg: float = 8.0
    shared_mm: float = 5.0
    shared_scale: float = 0.05
    own_deg: float = 2.0
    own_mm: float = 2.0
    own_scale: float = 0.02
    warp_mm: float = 3.0
    contrast_share: float = 0.4
    painted_warp_mm: float = 3.0
    labelled_share: float = 0.0
    shares: tuple[float, ...] = painting.SHARES
    reference_voxels: int = 2

    @property
    def pairs(self) -> int:
        """How many there are in a batch."""
        return self.scan_pairs + self.painted_pairs + self.mixed_pairs


@dataclass
class Batch:
    """One batch; N pairs, scans' pairs first, then painted ones, then mixed ones.

    Attributes
    ----------
    pair : (N, 2, D, H, W) float32
        What the network sees.
    labels : (2, N, D, H, W) int64
        Fixed, moving; in one scheme for both heads of a pair, 0 for none.
    reference : (2N, 1, D, H, W) float32
        All fixed, then all moving heads in one contrast, without noise.
    own_labels : (2N, D, H, W) int64
        Of DLMUSE's scheme where `is_scan`, else of FreeSurfer's.
    is_scan : (2N,) bool
    """

    pair: Tensor
    labels: Tensor
    reference: Tensor
    own_labels: Tensor
    is_scan: Tensor


def make_batch(
    pack: Pack, settings: BatchSettings, shape: tuple[int, ...], spacing_mm: float, generator: torch.Generator
) -> Batch:
    """Make a batch: a function of the generator's state alone."""
    s = settings
    scans = s.scan_pairs + s.mixed_pairs + s.scan_pairs  # first ones, those of mixed pairs, second ones
    maps = 2 * s.painted_pairs + s.mixed_pairs
    shared = _draw_affines(s.pairs, s.shared_deg, s.shared_mm, s.shared_scale, generator)
    first, drawn, mixed = range(s.scan_pairs), range(s.scan_pairs, s.scan_pairs + s.painted_pairs), s.mixed_pairs
    last = range(s.pairs - mixed, s.pairs)
    mirrored = torch.rand(s.pairs, generator=generator, device=generator.device) < 0.5
    seen, own, reference, in_freesurfer = [], [], [], []
    for count, pairs_of, make, warp_mm in (
        (scans, [*first, *last, *first], _scans, s.warp_mm),
        (maps, [*drawn, *drawn, *last], _painted, s.painted_warp_mm),
    ):
        if not count:
            continue
        # Images of a pair share its first affine; each has one more of its own, and a warp.
        affine = shared[pairs_of] @ _draw_affines(count, s.own_deg, s.own_mm, s.own_scale, generator)
        warp = _draw_warps(count, warp_mm, generator)
        mover = _Mover(affine, warp, mirrored[pairs_of], shape, spacing_mm)
        image, clean, labels, common = make(pack, settings, count, mover, generator)
        seen.append(image)
        own.append(labels)
        reference.append(clean)
        in_freesurfer.append(common)

    image, own_labels, clean = torch.cat(seen), torch.cat(own), torch.cat(reference)
    common = torch.cat(in_freesurfer)
    a, b = s.scan_pairs, s.painted_pairs
    fixed = [*range(a), *range(scans, scans + b), *range(a, a + mixed)]
    moving = [*range(a + mixed, scans), *range(scans + b, scans + 2 * b), *range(scans + 2 * b, scans + maps)]
    order = torch.tensor(fixed + moving, device=image.device)
    image, own_labels, clean, common = image[order], own_labels[order], clean[order], common[order]
    n = s.pairs
    both = torch.stack([own_labels[:n], own_labels[n:]])
    others = torch.stack([common[:n], common[n:]])
    labels = torch.cat([both[:, :a], others[:, a:]], 1)
    pair = torch.cat([image[:n], image[n:]], 1)
    return Batch(pair, labels, clean, own_labels, order < scans)


class _Mover:
    """Where in the frame each voxel of moved heads lies, at the box's resolution or a finer one."""

    def __init__(
        self, affine: Tensor, warp: Tensor, mirrored: Tensor, shape: tuple[int, ...], spacing_mm: float
    ) -> None:
        self.affine, self.warp, self.mirrored = affine, warp, mirrored
        self.shape, self.spacing_mm = shape, spacing_mm

    def points(self, finer: int = 1) -> Tensor:
        """Return (N, D, H, W, 3) frame mm."""
        shape = tuple(n * finer for n in self.shape)
        base = frame_points(shape, self.spacing_mm / finer, self.affine.device)
        flat = base.reshape(1, -1, 3) @ self.affine[:, :3, :3].transpose(1, 2) + self.affine[:, None, :3, 3]
        moved = flat.reshape(-1, *shape, 3)
        bend = functional.interpolate(self.warp, size=shape, mode="trilinear", align_corners=False)
        moved = moved + bend.permute(0, 2, 3, 4, 1)
        sign = torch.where(self.mirrored, -1.0, 1.0).view(-1, 1, 1, 1)
        return torch.cat([moved[..., :1] * sign[..., None], moved[..., 1:]], -1)


def _choose(stack_training: list[int], count: int, generator: torch.Generator) -> Tensor:
    """Draw subjects, no one twice where there are enough."""
    pool = torch.tensor(stack_training, device=generator.device)
    rounds = math.ceil(count / len(pool))
    drawn = [torch.randperm(len(pool), generator=generator, device=generator.device) for _ in range(rounds)]
    return pool[torch.cat(drawn)[:count]]


def _scans(
    pack: Pack, settings: BatchSettings, count: int, mover: _Mover, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Return what is seen, the clean images, DLMUSE and FreeSurfer indices of moved scans."""
    who = _choose(pack.scans.training, count, generator)
    points = mover.points()
    labels = pack.scans.nearest("labels", who, points)
    labels = torch.where(mover.mirrored.view(-1, 1, 1, 1), pack.mirror[labels], labels)
    clean = pack.scans.linear("image", who, points) / 255
    brain = (labels > 0)[:, None]
    seen = painting.another_contrast(clean, settings.contrast_share, generator)
    if settings.labelled_share:
        palette = painting.palettes(painting.draw_contrasts(count, generator, settings.shares), generator)
        painted = painting.paint_scans(clean, pack.code_of_dlmuse[labels], palette, generator)
        chosen = uniform((count, 1, 1, 1, 1), 0.0, 1.0, generator) < settings.labelled_share
        seen = torch.where(chosen, painted, seen)
    seen = _as_seen(painting.scanner(seen, generator), brain, generator)
    kept = painting.grown(brain, _all(settings.reference_voxels, brain))
    return seen, painting.normalise(clean, brain, kept), labels, pack.to_freesurfer[labels]


def _painted(
    pack: Pack, settings: BatchSettings, count: int, mover: _Mover, generator: torch.Generator
) -> tuple[Tensor, ...]:
    """Return what is seen, the same painted as T1, and FreeSurfer indices (twice) of moved label maps."""
    who = _choose(pack.anatomies.training, count, generator)
    codes = pack.anatomies.nearest("tissue", who, mover.points())
    fine = pack.anatomies.nearest("tissue", who, mover.points(2))
    codes = torch.where(mover.mirrored.view(-1, 1, 1, 1), pack.mirror_codes[codes], codes)
    labels = pack.freesurfer_of_code[codes]
    brain = ((codes > 0) & (codes < HEAD) & (codes != FLUID_AROUND))[:, None]
    contrasts = painting.draw_contrasts(count, generator, settings.shares)
    seen = painting.paint(fine, painting.palettes(contrasts, generator), generator)
    clean = painting.paint(fine, painting.palettes(["t1"] * count, generator, 0.0), generator, 0.0)
    seen = _as_seen(painting.scanner(seen, generator), brain, generator)
    kept = painting.grown(brain, _all(settings.reference_voxels, brain))
    return seen, painting.normalise(clean, brain, kept), labels, labels


def _all(voxels: int, brain: Tensor) -> Tensor:
    return torch.full((brain.shape[0],), voxels, device=brain.device)


def _as_seen(image: Tensor, brain: Tensor, generator: torch.Generator) -> Tensor:
    """Cut images (N, 1, D, H, W) to a brain that is grown by more or less, and normalise more or less well."""
    n = image.shape[0]
    voxels = torch.randint(0, 7, (n,), generator=generator, device=image.device)
    kept = painting.grown(brain, voxels)
    gain, offset = uniform((2, n, 1, 1, 1, 1), -0.1, 0.1, generator)
    return painting.normalise(image, brain, kept) * (1 + gain) + offset * kept


def _draw_affines(count: int, degrees: float, mm: float, scale: float, generator: torch.Generator) -> Tensor:
    """Draw affines about the frame's origin, (count, 4, 4)."""
    device = generator.device
    turn = uniform((count, 3), -1, 1, generator) * math.radians(degrees) / math.sqrt(3)
    zero = torch.zeros(count, device=device)
    x, y, z = turn.unbind(1)
    rotation = torch.linalg.matrix_exp(torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], 1).reshape(-1, 3, 3))
    strain = torch.randn((count, 3, 3), generator=generator, device=device) * scale
    strain = (strain + strain.transpose(1, 2)) / 2
    strain = strain + torch.eye(3, device=device) * scale * torch.randn(
        (count, 1, 1), generator=generator, device=device
    )
    affine = torch.eye(4, device=device).repeat(count, 1, 1)
    affine[:, :3, :3] = torch.linalg.matrix_exp(strain) @ rotation
    affine[:, :3, 3] = uniform((count, 3), -mm, mm, generator)
    return affine


def _draw_warps(count: int, warp_mm: float, generator: torch.Generator) -> Tensor:
    """Draw smooth displacements at a few control points, (count, 3, 6, 7, 6) mm: some 30 mm wide."""
    size = uniform((count, 1, 1, 1, 1), 0.0, warp_mm, generator)
    return size * torch.randn((count, 3, 6, 7, 6), generator=generator, device=generator.device)
