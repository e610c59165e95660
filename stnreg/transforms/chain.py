"""Composition of transforms."""

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
    """A composition of transforms; the first member acts on a fixed point first.

    That is the order of `-t a -t b` in ANTs, and the reverse of the order in which matrices are written. Without
    members it is the identity.

    Attributes
    ----------
    members : tuple of Transform
        Nested chains are flattened.
    warnings : tuple of str
        Warnings about the files they came from.
    """

    members: tuple[Transform, ...] = ()
    warnings: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Flatten nested chains, and keep their warnings."""
        warnings = [text for member in self.members if isinstance(member, Chain) for text in member.warnings]
        object.__setattr__(self, "members", tuple(_flat(self.members)))
        object.__setattr__(self, "warnings", (*self.warnings, *warnings))

    @property
    def matrix(self) -> Matrix | None:
        """The whole chain as one `fixed_to_moving`, (4, 4) float64, LPS mm; None if a member is not linear."""
        matrices = [member.matrix for member in self.members]
        linear = [matrix for matrix in matrices if matrix is not None]
        return compose(*reversed(linear)) if len(linear) == len(matrices) else None

    def inverse(self) -> Chain:
        """Return the inverse: the inverses of the members in reverse order."""
        return Chain(tuple(member.inverse() for member in reversed(self.members)), self.warnings)

    def simplified(self) -> Chain:
        """Return the same map with adjacent linear members multiplied into one."""
        members: list[Transform] = []
        for member in self.members:
            before = members[-1].matrix if members else None
            if member.matrix is not None and before is not None:
                members[-1] = Affine(member.matrix @ before)
            else:
                members.append(member)
        return Chain(tuple(members), self.warnings)

    def map_voxels(self, grid: Grid, slices: slice = slice(None)) -> Points:
        """Map voxel centres; a first member on the same grid is not interpolated."""
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
