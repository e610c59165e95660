"""A network that predicts B-spline coefficients, with and without a bound that keeps the map from folding.

The future work of "Medical image registration by a spatial transformer network": its twelve parameters exchanged for
the control points of a free-form deformation (Rueckert et al., IEEE TMI 1999). A cubic B-spline map is one to one if
no component of a coefficient reaches 1 / 2.479 of the spacing of control points (Choi and Lee 2000). With the bound,
the network predicts several such maps and the deformation is their composition (Rueckert et al., MICCAI 2006), each
bounded by tanh; without it, one map as large as it likes.

Arrays are (N, C, z, y, x); vectors are (x, y, z), mm.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnreg.networks.anatomy import Block
from stnreg.networks.velocity import identity_grid, warp
from stnreg.transforms.bspline import FOLDING_FACTOR

VOXELS = 2  # per control point, along each axis


@dataclass(frozen=True)
class BSplineShape:
    """What rebuilds the network.

    Attributes
    ----------
    shape : tuple of int
        Voxels of the input along z, y, x; multiples of 4.
    spacing_mm : float
        Of the input. Control points are twice as far apart.
    widths : tuple of int
        Of the levels at 1, 2 and 4 voxels.
    steps : int
        How many maps are composed.
    share : float
        Of the bound of Choi and Lee that a coefficient may reach; 0 leaves coefficients unbounded.
    """

    shape: tuple[int, int, int] = (40, 48, 40)
    spacing_mm: float = 4.0
    widths: tuple[int, ...] = (16, 32, 48)
    steps: int = 4
    share: float = 0.99


def basis(points: int, *, like: Tensor) -> Tensor:
    """Return the weight of each control point at each of `points`, (points, points / 2).

    A control point lies in the middle between two points. Beyond the outermost ones the spline falls to nothing.
    """
    at = (torch.arange(points, device=like.device, dtype=torch.float32) - (VOXELS - 1) / 2) / VOXELS
    away = (at[:, None] - torch.arange(points // VOXELS, device=like.device, dtype=torch.float32)).abs()
    near = 2 / 3 - away.square() + away**3 / 2
    far = (2 - away).clamp_min(0) ** 3 / 6
    return torch.where(away < 1, near, far)


def evaluate(coefficients: Tensor) -> Tensor:
    """Evaluate cubic B-splines (N, C, D/2, H/2, W/2) at voxel centres, (N, C, D, H, W)."""
    d, h, w = coefficients.shape[2:]
    z, y, x = (basis(VOXELS * count, like=coefficients) for count in (d, h, w))
    flat = (y @ (coefficients @ x.T)).flatten(3)
    return (z @ flat).reshape(*coefficients.shape[:2], VOXELS * d, VOXELS * h, VOXELS * w)


def composed(steps: Tensor, spacing_mm: float) -> Tensor:
    """Compose displacements (N, S, 3, D, H, W), the first one met first, to (N, 3, D, H, W) mm."""
    found = steps[:, 0]
    if steps.shape[1] > 1:
        grid = identity_grid(tuple(steps.shape[3:]), like=steps)
        for number in range(1, steps.shape[1]):
            found = found + warp(steps[:, number], found, spacing_mm, "zeros", grid)
    return found


def too_steep(coefficients: Tensor, control_mm: float, share: float = 1 / 3) -> Tensor:
    """Return how far differences of neighbouring coefficients exceed a share of the spacing: mean square, a scalar.

    The derivatives of a B-spline are means of these differences, over the spacing. Where all are below a third, the
    derivative of the map is strictly diagonally dominant, and it folds nowhere. Chun and Fessler, IEEE J. Sel. Top.
    Signal Process. 3 (2009) 159-169, PMC3004236, penalise what lies beyond such a condition, as is done here: it
    encourages maps without folds and does not ensure them.

    Parameters
    ----------
    coefficients : (N, S, 3, D/2, H/2, W/2)
        mm.
    control_mm : float
        Spacing of the control points.
    share : float
        Of the spacing that a difference may reach.
    """
    excess = [(coefficients.diff(dim=axis).abs() / control_mm - share).clamp_min(0) for axis in (3, 4, 5)]
    return torch.stack([e.square().mean() for e in excess]).sum()


class BSplineNet(nn.Module):
    """Two images in, coefficients out, at half the resolution."""

    def __init__(self, shape: BSplineShape) -> None:
        super().__init__()
        self.shape = shape
        first, second, third = shape.widths
        self.first = Block(2, first)
        self.second = Block(first, second, 2)
        self.third = Block(second, third, 2)
        self.deep = Block(third, third)
        self.join = Block(second + third, second)
        self.head = nn.Conv3d(second, 3 * shape.steps, 3, padding=1)
        nn.init.normal_(self.head.weight, std=1e-3)
        nn.init.zeros_(self.head.bias)  # type: ignore[arg-type]

    def forward(self, pair: Tensor) -> Tensor:
        """Return the displacement of a pair (N, 2, D, H, W): (N, 3, D, H, W) mm."""
        return self.displacement(self.coefficients(pair))

    def coefficients(self, pair: Tensor) -> Tensor:
        """Return the coefficients of each map, (N, steps, 3, D/2, H/2, W/2) mm."""
        finest = self.second(self.first(pair))
        deep = functional.interpolate(self.deep(self.third(finest)), scale_factor=2.0, mode="nearest")
        raw = self.head(self.join(torch.cat([finest, deep], 1))).float()
        n, _, d, h, w = raw.shape
        raw = raw.reshape(n, self.shape.steps, 3, d, h, w) * self.control_mm
        if not self.shape.share:
            return raw
        bound_mm = self.shape.share * self.control_mm / FOLDING_FACTOR
        return bound_mm * torch.tanh(raw / bound_mm)

    @property
    def control_mm(self) -> float:
        """Spacing of the control points."""
        return self.shape.spacing_mm * VOXELS

    def displacement(self, coefficients: Tensor) -> Tensor:
        """Return the composition of the maps of coefficients (N, steps, 3, ...), (N, 3, D, H, W) mm."""
        n, steps = coefficients.shape[:2]
        each = evaluate(coefficients.flatten(0, 1))
        return composed(each.reshape(n, steps, *each.shape[1:]), self.shape.spacing_mm)
