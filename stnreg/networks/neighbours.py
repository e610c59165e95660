"""How like each voxel is to the 27 about its place in another image: sums of products over channels, in little room."""

from itertools import product
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

OFFSETS = tuple(product(range(3), repeat=3))


def _around(padded: Tensor, shape: torch.Size) -> list[Tensor]:
    """Return the 27 parts of a padded (N, C, D + 2, H + 2, W + 2) that begin at each offset, as views."""
    d, h, w = shape[2:]
    return [padded[:, :, z : z + d, y : y + h, x : x + w] for z, y, x in OFFSETS]


def with_neighbours(here: Tensor, there: Tensor) -> Tensor:
    """Return the product, summed over channels, of each voxel of `here` with the 27 of `there` about its place.

    Parameters
    ----------
    here, there : (N, C, D, H, W)

    Returns
    -------
    (N, 27, D, H, W)
        Offsets with x fastest; 0 beyond the border.
    """
    wide = functional.pad(there, (1, 1, 1, 1, 1, 1))
    return torch.stack([(here * part).sum(1) for part in _around(wide, here.shape)], 1)


class Neighbours(torch.autograd.Function):
    """`with_neighbours` with a gradient that is added up in place: that of each part would fill a volume of its own."""

    @staticmethod
    def forward(ctx: Any, here: Tensor, there: Tensor) -> Tensor:
        """Return `with_neighbours`."""
        ctx.save_for_backward(here, there)
        return with_neighbours(here, there)

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients by `here` and by `there`."""
        here, there = ctx.saved_tensors
        wide = functional.pad(there, (1, 1, 1, 1, 1, 1))
        by_here, by_wide = torch.zeros_like(here), torch.zeros_like(wide)
        for k, (seen, added) in enumerate(zip(_around(wide, here.shape), _around(by_wide, here.shape), strict=True)):
            grad = grads[0][:, k : k + 1]
            by_here.addcmul_(grad, seen)
            added.addcmul_(grad, here)
        return by_here, by_wide[:, :, 1:-1, 1:-1, 1:-1]
