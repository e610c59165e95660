"""Fields of an existing method that guide another network: those of the velocity network, both ways, kept in a file."""

import random
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from stnreg.core.files import open_atomic
from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.registration.deformable.appearance import Appearance
from stnreg.registration.deformable.unfold import Watched, unfolded
from stnreg.registration.deformable.velocity import VelocityNetwork, lattice_of, prepared
from stnreg.registration.options import TWO_PEOPLE_STIFFNESS_MM
from stnreg.resampling.block_mean import block_mean
from stnreg.training.deformable.subjects import Pack
from stnreg.training.progress import Progress
from stnreg.training.related.heads import Heads
from stnreg.transforms.bspline import BSplineField
from stnreg.transforms.velocity import VelocityField

Array = np.ndarray
BLOCK = 2  # voxels that a stored displacement is the mean of, along each axis
PAIR_SEED = 4


@dataclass(frozen=True)
class Guidance:
    """Pairs and their fields.

    Attributes
    ----------
    pairs : list of (int, int)
        Fixed and moving subject.
    fields : (P, 3, D/2, H/2, W/2) float16
        Fixed to moving points, mm.
    """

    pairs: list[tuple[int, int]]
    fields: Tensor

    def field(self, number: int, shape: tuple[int, int, int], device: torch.device) -> Tensor:
        """Return the displacement of a pair on the voxels of the box, (1, 3, D, H, W) mm."""
        stored = self.fields[number][None].to(device).float()
        return functional.interpolate(stored, size=shape, mode="trilinear", align_corners=False)


def make_guidance(pack: Pack, count: int, network: VelocityNetwork, output: Path, threads: int) -> None:
    """Deform pairs of training scans onto each other by a velocity network, once, and write the fields of both ways.

    The pairs of scans lie in the frame already, each by an affine of its own.

    Parameters
    ----------
    pack : Pack
    count : int
        Pairs to draw.
    network : VelocityNetwork
    output : Path
        `.npz`.
    threads : int
    """
    scans = pack.scans.training
    if len(scans) < 2:
        raise DataError(f"{output.parent}: expected two scans to train on at least, got {len(scans)}")
    draw = random.Random(PAIR_SEED)
    heads = _heads_of(pack, network.box)
    pairs: list[tuple[int, int]] = []
    fields: list[Array] = []
    with Progress("guidance", 0, count) as progress:
        for number in range(1, count + 1):
            began = time.perf_counter()
            fixed, moving = draw.sample(scans, 2)
            pairs += [(fixed, moving), (moving, fixed)]
            fields += _both_ways(heads, fixed, moving, network, threads)
            progress.step(number, 0.0, time.perf_counter() - began)
    output.parent.mkdir(parents=True, exist_ok=True)
    with open_atomic(output) as stream:
        np.savez(stream, pairs=np.array(pairs, np.int16), fields=np.stack(fields).astype(np.float16))


def _heads_of(pack: Pack, box: Grid) -> Heads:
    """Return heads whose finer grid is the box of the velocity network."""
    z, y, x = (n // 2 for n in box.shape)
    return Heads(pack, (z, y, x), 2 * float(box.spacing.min()))


def _both_ways(heads: Heads, fixed: int, moving: int, network: VelocityNetwork, threads: int) -> list[Array]:
    grid = network.box
    shown = []
    for who in (fixed, moving):
        image, labels = (x[0, 0].cpu().numpy() for x in heads.fine_head(who))
        shown.append(Appearance(image, labels > 0, np.zeros(grid.shape, bool)))
    spacing_mm = BLOCK * float(grid.spacing.min())
    coefficients = network.predict(*shown)
    nothing = np.zeros(coefficients.shape[1:], bool)
    coefficients = prepared(coefficients, nothing, TWO_PEOPLE_STIFFNESS_MM, spacing_mm)
    field = BSplineField(coefficients, lattice_of(grid)).to_displacement(grid)
    velocity = unfolded(Watched.of(VelocityField(field.vectors, grid), threads), threads).velocity
    return [
        np.stack([block_mean(axis, grid, spacing_mm)[0] for axis in flow.exponential().vectors])
        for flow in (velocity, velocity.inverse())
    ]


def load_guidance(path: Path) -> Guidance:
    """Read what `make_guidance` wrote.

    Raises
    ------
    DataError
        If it is not such a file.
    """
    try:
        with np.load(path) as arrays:
            pairs = [(int(a), int(b)) for a, b in arrays["pairs"]]
            return Guidance(pairs, torch.from_numpy(arrays["fields"]))
    except (OSError, ValueError, KeyError) as error:
        raise DataError(f"{path}: no fields that guide ({error!r}); delete it, and train again") from error
