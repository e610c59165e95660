"""The velocity network: two heads in, a stationary velocity field between them out, symmetric by construction.

Arrays are (N, C, z, y, x); vectors are (x, y, z) in millimetres of the frame that both images were sampled in. A
velocity is given by cubic B-spline coefficients on a lattice of one control point per two voxels. Its exponential takes
fixed points to moving points, that of its negative is the inverse; exchange the images and the velocity changes its
sign.
"""

from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from stnreg.networks.anatomy import AnatomyNet, AnatomyShape
from stnreg.networks.neighbours import Neighbours, with_neighbours

SQUARINGS = 7
# Cubic B-spline at the distances 0.25, 0.75, 1.25, 1.75 control points.
_NEAR, _NEXT, _FAR, _LAST = 0.61197917, 0.31510417, 0.0703125, 0.00260417


@dataclass(frozen=True)
class VelocityShape:
    """What rebuilds the network: grid, widths of the shared encoder and of the matchers, fine to coarse."""

    shape: tuple[int, int, int] = (80, 96, 80)  # voxels along z, y, x
    spacing_mm: float = 2.0
    maps: int = 146  # structures that the encoder is taught to tell apart, background first
    widths: tuple[int, ...] = (24, 48, 96, 96)
    matcher_widths: tuple[int, ...] = (32, 48, 96)
    match_channels: int = 16
    repeats: tuple[int, ...] = (1, 2, 2)  # how often each level matches
    bounds_mm: tuple[float, ...] = (8.0, 12.0, 24.0)  # the most that one match adds to a coefficient

    def as_dict(self) -> dict[str, object]:
        """Return plain values for a checkpoint or a sidecar."""
        return asdict(self)


def spline_upsample(coefficients: Tensor) -> Tensor:
    """Evaluate a cubic B-spline at voxel centres: two a control point along each axis.

    Parameters
    ----------
    coefficients : (N, C, D, H, W)
        Control points lie between the voxels: point k at voxel 2 k + 1/2.

    Returns
    -------
    (N, C, 2D, 2H, 2W)
    """
    values = coefficients
    for axis in (2, 3, 4):
        count = values.shape[axis]
        pad = [0] * 6
        pad[2 * (4 - axis)] = pad[2 * (4 - axis) + 1] = 2
        wide = functional.pad(values, pad, mode="replicate")
        taps = [wide.narrow(axis, k, count) for k in range(5)]
        low = _LAST * taps[0] + _NEXT * taps[1] + _NEAR * taps[2] + _FAR * taps[3]
        high = _FAR * taps[1] + _NEAR * taps[2] + _NEXT * taps[3] + _LAST * taps[4]
        values = torch.stack([low, high], axis + 1).flatten(axis, axis + 1)
    return values


def spline_values(coefficients: Tensor) -> Tensor:
    """Evaluate a cubic B-spline at its own control points, (N, C, D, H, W) to the same."""
    values = coefficients
    for axis in (2, 3, 4):
        pad = [0] * 6
        pad[2 * (4 - axis)] = pad[2 * (4 - axis) + 1] = 1
        wide = functional.pad(values, pad, mode="replicate")
        count = values.shape[axis]
        sides = wide.narrow(axis, 0, count) + wide.narrow(axis, 2, count)
        values = (sides + 4 * values) / 6
    return values


def identity_grid(shape: tuple[int, ...], *, like: Tensor) -> Tensor:
    """Return voxel centres in the [-1, 1] cube, (1, D, H, W, 3), x first."""
    axes = [(2 * torch.arange(n, device=like.device, dtype=torch.float32) + 1) / n - 1 for n in shape]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x, y, z], -1)[None]


def warp(
    volume: Tensor, displacement_mm: Tensor, spacing_mm: float, padding: str = "border", grid: Tensor | None = None
) -> Tensor:
    """Sample a volume where a displacement points to, linearly.

    Parameters
    ----------
    volume : (N, C, D, H, W) float32
    displacement_mm : (N, 3, D, H, W) float32
        On the same grid, (x, y, z).
    spacing_mm : float
        Of that grid.
    padding : str
        `border` or `zeros` beyond it.
    grid : (1, D, H, W, 3) float32, optional
        `identity_grid` of the shape, where it is at hand.
    """
    shape = tuple(displacement_mm.shape[2:])
    scale = torch.tensor([2 / (n * spacing_mm) for n in reversed(shape)], device=volume.device)
    grid = identity_grid(shape, like=volume) if grid is None else grid
    places = grid + displacement_mm.permute(0, 2, 3, 4, 1) * scale
    return functional.grid_sample(volume, places, mode="bilinear", padding_mode=padding, align_corners=False)


def integrate(velocity_mm: Tensor, spacing_mm: float, squarings: int = SQUARINGS) -> Tensor:
    """Return the displacement of a stationary velocity's exponential, by scaling and squaring; (N, 3, D, H, W) mm."""
    grid = identity_grid(tuple(velocity_mm.shape[2:]), like=velocity_mm)
    displacement = velocity_mm / 2**squarings
    for _ in range(squarings):
        displacement = displacement + warp(displacement, displacement, spacing_mm, grid=grid)
    return displacement


class Encoder(AnatomyNet):
    """The anatomy network's trunk: features of one image at 2, 4 and 8 voxels, whatever its contrast.

    Its weights have the anatomy network's names, whose released ones are a good start.
    """

    def features(self, image: Tensor) -> list[Tensor]:
        """Return features, fine to coarse, of (N, 1, D, H, W): (N, widths[l], D / 2^(l+1), ...)."""
        down = []
        x = image
        for block in self.down:
            x = block(x)
            down.append(x)
        found = []
        for level in reversed(range(len(self.up))):
            x = self.up[level](self.enlarge(self.narrow[level](x)) + down[level])
            found.append(x)
        return found[::-1]

    def enlarge(self, x: Tensor) -> Tensor:
        """Repeat each voxel along all axes; written out, as onnxruntime's own resizing is slow."""
        n, c, d, h, w = x.shape
        return x[:, :, :, None, :, None, :, None].expand(n, c, d, 2, h, 2, w, 2).reshape(n, c, 2 * d, 2 * h, 2 * w)


class Matcher(nn.Module):
    """One level: how features of a head still differ from those of another, as coefficients to add."""

    def __init__(self, features: int, width: int, match_channels: int, coarser: int) -> None:
        super().__init__()
        self.project = nn.Conv3d(features, match_channels, 1)
        self.first = nn.Conv3d(2 * features + 27 + 3, width, 3, 1, 1)
        self.second = nn.Conv3d(width, width, 3, 1, 1)
        self.narrow = nn.Conv3d(coarser, width, 1) if coarser else None
        self.head = nn.Conv3d(width, 3, 3, 1, 1)
        nn.init.normal_(self.head.weight, std=1e-3)
        assert self.head.bias is not None  # as built above
        nn.init.zeros_(self.head.bias)

    def forward(self, here: Tensor, there: Tensor, velocity: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor]:
        """Match `here` to `there`; both (N, features, D, H, W), `velocity` (N, 3, D, H, W) mm so far.

        Returns
        -------
        update : (N, 3, D, H, W)
            Raw coefficients, to be made antisymmetric by the caller.
        hidden : (N, width, D, H, W)
        """
        costs = self.correlate(self.project(here), self.project(there))
        x = self.first(torch.cat([here, there, costs, velocity / 4], 1))
        if hidden is not None and hidden.shape[1] != x.shape[1]:  # of the coarser level
            assert self.narrow is not None
            hidden = self.narrow(hidden)
        if hidden is not None:
            x = x + hidden
        x = functional.leaky_relu(x, 0.1)
        x = x + functional.leaky_relu(self.second(x), 0.1)
        return self.head(x), x

    def correlate(self, here: Tensor, there: Tensor) -> Tensor:
        """Return how like each voxel is to the 27 voxels around its place in the other, (N, 27, D, H, W)."""
        here = here * torch.rsqrt(here.square().sum(1, keepdim=True) + 1e-4)
        there = there * torch.rsqrt(there.square().sum(1, keepdim=True) + 1e-4)
        return Neighbours.apply(here, there) if self.training else with_neighbours(here, there)


class VelocityNet(nn.Module):
    """A feature pyramid of each image, matched from coarse to fine halfway between them."""

    def __init__(self, shape: VelocityShape) -> None:
        super().__init__()
        self.shape = shape
        self.encoder = Encoder(AnatomyShape(shape.shape, shape.spacing_mm, shape.maps, shape.widths))
        levels = len(shape.matcher_widths)
        self.matchers = nn.ModuleList(
            Matcher(
                shape.widths[level],
                shape.matcher_widths[level],
                shape.match_channels,
                shape.matcher_widths[level + 1] if level + 1 < levels else 0,
            )
            for level in range(levels)
        )

    def forward(self, pair: Tensor) -> Tensor:
        """Return the velocity's coefficients.

        Parameters
        ----------
        pair : (N, 2, D, H, W) float32
            Fixed and moving image, normalised, on the same grid.

        Returns
        -------
        (N, 3, D/2, H/2, W/2) float32
            Millimetres, (x, y, z).
        """
        return self.match(self.pyramid(pair))

    def again(self, pair: Tensor, coefficients: Tensor) -> Tensor:
        """Return what is left after `coefficients`: both heads are moved halfway along them and seen once more.

        Parameters
        ----------
        pair : (N, 2, D, H, W) float32
            As `forward` takes it.
        coefficients : (N, 3, D/2, H/2, W/2) float32
            Taken as they are: no gradient goes through where the heads meet.

        Returns
        -------
        (N, 3, D/2, H/2, W/2)
            Coefficients to add.
        """
        with torch.no_grad(), torch.autocast(pair.device.type, enabled=False):
            velocity = spline_upsample(coefficients.detach().float())
            halves = integrate(torch.cat([-velocity, velocity]) / 2, self.shape.spacing_mm)
            met = warp(torch.cat([pair[:, :1], pair[:, 1:]]), halves, self.shape.spacing_mm, "zeros")
        n = pair.shape[0]
        return self(torch.cat([met[:n], met[n:]], 1))

    def pyramid(self, pair: Tensor) -> list[Tensor]:
        """Return features of (N, 2, D, H, W), fine to coarse, (2N, C, ...): all fixed images, then all moving."""
        return self.encoder.features(torch.cat([pair[:, :1], pair[:, 1:]]))

    def match(self, features: list[Tensor]) -> Tensor:
        """Return the velocity's coefficients from what `pyramid` gave."""
        coarsest = features[len(self.matchers) - 1].float()
        coefficients, hidden = torch.zeros_like(coarsest[: coarsest.shape[0] // 2, :3]), None
        for level in reversed(range(len(self.matchers))):
            both = features[level].float()
            if hidden is not None:
                coefficients = spline_upsample(coefficients)
                hidden = self.encoder.enlarge(hidden)
            for _ in range(self.shape.repeats[level]):
                coefficients, hidden = self._step(level, both, coefficients, hidden)
        return coefficients

    def _step(self, level: int, both: Tensor, coefficients: Tensor, hidden: Tensor | None) -> tuple[Tensor, Tensor]:
        """Bring both images' features halfway, match them both ways, and add what is left to the coefficients."""
        matcher = self.matchers[level]
        n = coefficients.shape[0]
        spacing_mm = self.shape.spacing_mm * 2.0 ** (level + 1)
        with torch.autocast(both.device.type, enabled=False):
            velocity = spline_values(coefficients)
            # The fixed head goes half the way back, the moving head half the way there: to where they meet.
            signed = torch.cat([-velocity, velocity])
            met = warp(both, integrate(signed / 2, spacing_mm, 4), spacing_mm)
        swapped = torch.cat([met[n:], met[:n]])
        update, hidden = matcher(met, swapped, -signed, hidden)
        with torch.autocast(both.device.type, enabled=False):
            update = update.float()
            bound_mm = self.shape.bounds_mm[level]
            update = bound_mm * torch.tanh((update[:n] - update[n:]) / (2 * bound_mm))
        return coefficients + update, hidden
