"""Transforms one after the other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import reduce

from stnreg.geometry.affine import compose
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix, Points
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform


@dataclass(frozen=True, eq=False)
class Chain(Transform):
    """Members in the order in which a fixed point goes through them: the first meets it, the last ends in moving.

    That is the order of `-t a -t b` in ANTs, and the reverse of the order in which matrices are written. Without
    members it is the identity.

    Attributes
    ----------
    members : tuple of Transform
        Chains among them are taken apart.
    warnings : tuple of str
        What a user should hear about the files they came from.
    """

    members: tuple[Transform, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Take chains among the members apart, and keep their warnings."""
        warnings = [text for member in self.members if isinstance(member, Chain) for text in member.warnings]
        object.__setattr__(self, "members", tuple(_flat(self.members)))
        object.__setattr__(self, "warnings", (*self.warnings, *warnings))

    @property
    def matrix(self) -> Matrix | None:
        """The whole chain as one `fixed_to_moving`, (4, 4) float64, LPS mm; None where a member is not linear."""
        matrices = [member.matrix for member in self.members]
        linear = [matrix for matrix in matrices if matrix is not None]
        return compose(*reversed(linear)) if len(linear) == len(matrices) else None

    def inverse(self) -> Chain:
        """Return the chain from moving to fixed: each member's inverse, in the opposite order."""
        return Chain(tuple(member.inverse() for member in reversed(self.members)), self.warnings)

    def simplified(self) -> Chain:
        """Return the same map with neighbours that are linear multiplied into one member."""
        members: list[Transform] = []
        for member in self.members:
            before = members[-1].matrix if members else None
            if member.matrix is not None and before is not None:
                members[-1] = Affine(member.matrix @ before)
            else:
                members.append(member)
        return Chain(tuple(members), self.warnings)

    def map_voxels(self, grid: Grid, slices: slice = slice(None)) -> Points:
        """Say where voxel centres go; a first member that is held on the same grid is not interpolated."""
        if not self.members:
            return super().map_voxels(grid, slices)
        first, *others = self.members
        points = first.map_voxels(grid, slices)
        flat = points.reshape(3, -1)
        return reduce(lambda at, member: member._map(at), others, flat).reshape(points.shape)

    def _map(self, points: Points) -> Points:
        return reduce(lambda at, member: member._map(at), self.members, points)


def _flat(members: Iterable[Transform]) -> Iterable[Transform]:
    for member in members:
        yield from member.members if isinstance(member, Chain) else (member,)
