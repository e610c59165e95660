"""Pairs of scans for the related methods: heads in the frame, kept in memory, moved at random where that is wanted."""

import math
from dataclasses import dataclass, replace
from random import Random

import torch
from torch import Tensor
from torch.nn import functional

from stnreg.training.deformable.subjects import Pack, frame_points
from stnreg.training.deformable.validate import as_seen

Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Moves:
    """How far each head of a pair is moved on its own; 0 leaves heads as their affine has put them into the frame.

    Attributes
    ----------
    degrees : tuple of float
        Largest angle about x, y and z.
    mm, scale : float
        Largest shift, and change of size, along each axis.
    """

    degrees: tuple[float, ...] = (0.0, 0.0, 0.0)
    mm: float = 0.0
    scale: float = 0.0

    def draw(self, draw: Random) -> Tensor:
        """Return an affine about the middle of the box, (3, 4), mm."""
        x, y, z = (math.radians(draw.uniform(-most, most)) for most in self.degrees)
        turn = torch.linalg.matrix_exp(torch.tensor([[0.0, -z, y], [z, 0.0, -x], [-y, x, 0.0]]))
        sizes = torch.tensor([1 + draw.uniform(-self.scale, self.scale) for _ in range(3)])
        shift = torch.tensor([draw.uniform(-self.mm, self.mm) for _ in range(3)])
        return torch.cat([turn * sizes, shift[:, None]], 1)


@dataclass
class Pair:
    """Two heads.

    Attributes
    ----------
    fixed, moving : (1, 1, D, H, W) float32
        Intensities as a network sees them.
    brain : (1, 1, D, H, W) bool
        Where the fixed brain is.
    fixed_labels, moving_labels : (1, 2D, 2H, 2W) int64
        Indices of structures at half the spacing, to judge by; 0 for none.
    """

    fixed: Tensor
    moving: Tensor
    brain: Tensor
    fixed_labels: Tensor
    moving_labels: Tensor

    @property
    def images(self) -> Tensor:
        """Both images, (1, 2, D, H, W)."""
        return torch.cat([self.fixed, self.moving], 1)


@dataclass
class Head:
    """One head: image and brain (1, 1, D, H, W), labels (1, 2D, 2H, 2W)."""

    image: Tensor
    brain: Tensor
    labels: Tensor


class Heads:
    """Scans of a pack on a grid of the frame, kept in memory once they were asked for.

    They are looked up at half the spacing, cut to their brains and normalised there; the network's voxels are means of
    eight of those.

    Parameters
    ----------
    pack : Pack
    shape : tuple of int
        Voxels of the network along z, y, x.
    spacing_mm : float
    """

    def __init__(self, pack: Pack, shape: Shape, spacing_mm: float) -> None:
        self.pack, self.shape, self.spacing_mm = pack, shape, spacing_mm
        d, h, w = shape
        self.fine: Shape = (2 * d, 2 * h, 2 * w)
        self._points = frame_points(self.fine, spacing_mm / 2, pack.scans.frame_to_index.device)
        self._fine: dict[int, tuple[Tensor, Tensor]] = {}
        self._still: dict[int, Head] = {}

    def fine_head(self, who: int) -> tuple[Tensor, Tensor]:
        """Return the image of a subject at half the spacing, (1, 1, 2D, 2H, 2W) float32, and its labels, uint8."""
        if who not in self._fine:
            scans = self.pack.scans
            one = torch.tensor([who], device=self._points.device)
            labels = scans.nearest("labels", one, self._points)[:, None]
            image = as_seen(scans.linear("image", one, self._points), labels > 0)
            self._fine[who] = image, labels.to(torch.uint8)
        return self._fine[who]

    def head(self, who: int) -> Head:
        """Return a head as its affine has put it into the frame."""
        if who not in self._still:
            image, labels = self.fine_head(who)
            brain = functional.avg_pool3d((labels > 0).float(), 2) > 0.5
            self._still[who] = Head(functional.avg_pool3d(image, 2), brain, labels[:, 0].long())
        return self._still[who]

    def moved(self, who: int, affine: Tensor, *, labelled: bool) -> Head:
        """Return a head that shows at every point what lies where the affine (3, 4), mm, takes it.

        Labels are moved, too, if it is to be `labelled`.
        """
        image, labels = self.fine_head(who)
        half = self.spacing_mm * torch.tensor(self.shape[::-1]) / 2
        theta = torch.cat([affine[:, :3] * half, affine[:, 3:]], 1) / half[:, None]

        def sample(volume: Tensor, shape: Shape, mode: str) -> Tensor:
            grid = functional.affine_grid(theta[None].to(volume.device), [1, 1, *shape], align_corners=False)
            return functional.grid_sample(volume, grid, mode=mode, align_corners=False)

        brain = sample((labels > 0).float(), self.shape, "bilinear") > 0.5
        found = sample(labels.float(), self.fine, "nearest")[:, 0].long() if labelled else labels[:, 0]
        return Head(sample(image, self.shape, "bilinear"), brain, found)

    def pair(self, fixed: int, moving: int, moves: Moves, draw: Random, *, labelled: bool = True) -> Pair:
        """Return two heads, each moved on its own."""
        if moves == Moves():
            a, b = self.head(fixed), self.head(moving)
        else:
            a, b = (self.moved(who, moves.draw(draw), labelled=labelled) for who in (fixed, moving))
        return Pair(a.image, b.image, a.brain, a.labels, b.labels)

    def training_pair(self, moves: Moves, draw: Random) -> Pair:
        """Draw two people to train on: mirrored half the time, each image a little brighter or darker."""
        fixed, moving = draw.sample(self.pack.scans.training, 2)
        pair = self.pair(fixed, moving, moves, draw, labelled=False)
        images = [image * draw.uniform(0.9, 1.1) for image in (pair.fixed, pair.moving)]
        found = replace(pair, fixed=images[0], moving=images[1])
        if draw.random() < 0.5:  # labels are left as they are: nothing is trained on them
            found = replace(found, **{name: getattr(found, name).flip(4) for name in ("fixed", "moving", "brain")})
        return found
