"""ITK's transforms in HDF5, read and written by h5py: for an installation without SimpleITK.

The layout is that of ITK 5: `/TransformGroup/N` has `TransformType`, `TransformFixedParameters` and
`TransformParameters`; of a composite, group 0 is its type and the others are its members, last-applied first.
"""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.errors import TransformError, UsageProblem
from stnreg.geometry.grid import Grid
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.itk import linear_of

FIELD = "DisplacementFieldTransform"
NAMES = (("TransformFixedParameters", "TranformFixedParameters"), ("TransformParameters", "TranformParameters"))
"""The second of each is how ITK 4 spells it."""


def h5py_for(purpose: str) -> Any:
    """Return the module h5py.

    Raises
    ------
    UsageProblem
        If it is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise UsageProblem(f"{purpose} needs h5py or SimpleITK: pip install h5py") from error
    return h5py


def read_members(path: Path) -> list[Transform]:
    """Read the members of a transform in ITK's order; LPS mm, fixed to moving.

    Raises
    ------
    TransformError
        If it is damaged, or has members that are not linear or displacement fields.
    UsageProblem
        If h5py is not installed.
    """
    h5py = h5py_for(f"{path}: a transform in HDF5")
    try:
        with h5py.File(path, "r") as file:
            groups = file["TransformGroup"]
            parts = [_parts(groups[name]) for name in sorted(groups, key=int)]
    except (OSError, KeyError, ValueError, RuntimeError, AttributeError) as error:
        raise TransformError(f"{path}: is cut short or damaged; it cannot be read as a transform ({error}).") from error
    return [_member(*part, path) for part in parts if not part[0].startswith("CompositeTransform")]


def packed(members: Sequence[Transform]) -> bytes:
    """Return a composite of affine transforms and displacement fields, in ITK's order, as the bytes of a file."""
    h5py = h5py_for("a transform in HDF5")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("ITKVersion", data=["5.4.0"], dtype=h5py.string_dtype("ascii"))
        groups = file.create_group("TransformGroup")
        kinds = ["CompositeTransform", *(FIELD if m.matrix is None else "AffineTransform" for m in members)]
        for number, kind in enumerate(kinds):
            group = groups.create_group(str(number))
            group.create_dataset("TransformType", data=[f"{kind}_double_3_3"], dtype=h5py.string_dtype("ascii"))
            if number:
                for (name, _), values in zip(NAMES, _parameters(members[number - 1]), strict=True):
                    group.create_dataset(name, data=values)
    return buffer.getvalue()


def _parts(group: Any) -> tuple[str, np.ndarray, np.ndarray]:
    """Return the type of a transform, its fixed parameters and its parameters."""
    kind = group["TransformType"].asstr()[0]
    fixed, own = (next((group[name][()] for name in names if name in group), np.zeros(0)) for names in NAMES)
    return kind, np.asarray(fixed, np.float64), np.asarray(own)


def _member(kind: str, fixed: np.ndarray, own: np.ndarray, path: Path) -> Transform:
    if not kind.startswith(FIELD):
        return Affine(linear_of(kind, own.tolist(), fixed.tolist(), path))
    try:
        size = tuple(int(v) for v in fixed[:3])
        grid = Grid.from_parts(size, fixed[6:9], fixed[3:6], fixed[9:18].reshape(3, 3))
        return DisplacementField.from_last_axis(own.reshape(*size[::-1], 3), grid)
    except ValueError as error:
        raise TransformError(f"{path}: {error}") from error


def _parameters(member: Transform) -> tuple[np.ndarray, np.ndarray]:
    """Return fixed parameters and parameters, as ITK counts them."""
    if member.matrix is not None:
        return np.zeros(3), np.concatenate([member.matrix[:3, :3].ravel(), member.matrix[:3, 3]])
    if not isinstance(member, DisplacementField):
        raise TransformError(f"a {type(member).__name__} is no displacement field")
    grid = member.grid
    fixed = np.concatenate([grid.size, grid.origin, grid.spacing, grid.direction.ravel()]).astype(np.float64)
    return fixed, np.moveaxis(member.vectors, 0, -1).astype(np.float64).ravel()
