"""ITK's composite transforms in HDF5, .h5: affine transforms and displacement fields.

LPS mm, fixed to moving. ITK lists the members of a composite last-applied first; a `Chain` lists them first-applied
first. antsRegistration writes such files with `--write-composite-transform 1`.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.core.files import check_input, check_output, write_atomic
from stnreg.core.itk import has_itk
from stnreg.errors import TransformError
from stnreg.geometry.affine import compose
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.h5_by_h5py import h5py_for, packed, read_members
from stnreg.transforms.io.hdf5_bytes import without_times
from stnreg.transforms.io.itk import HDF5_LIMIT_S, check_invertible

OURS = b"\nWritten by stnreg.\n"
"""The end of our files, beyond that of the HDF5 in them; readers leave it alone."""


def check_h5(purpose: str) -> None:
    """Check that transforms in HDF5 can be written and read here.

    Raises
    ------
    UsageProblem
        If neither SimpleITK nor h5py is installed.
    """
    if not has_itk():
        h5py_for(purpose)


def load_h5(path: str | os.PathLike[str]) -> Chain:
    """Read an ITK transform from HDF5, single or double precision, single or composite.

    Returns
    -------
    chain : Chain
        Of `Affine` and `DisplacementField`, LPS mm, fixed to moving; of one `Affine` where all members are linear.

    Raises
    ------
    TransformError
        If it is damaged, or has members of other kinds, such as ITK's B-splines.
    DataError
        If there is no such file.
    """
    found = check_input(path)
    if not has_itk():
        members = read_members(found)
        matrices = [member.matrix for member in members if member.matrix is not None]
        if len(matrices) == len(members):
            return Chain((Affine(check_invertible(compose(*matrices), found)),))
        return Chain(tuple(reversed(members)))
    import SimpleITK as sitk

    _check_readable(found)
    transform = sitk.ReadTransform(str(found))
    if transform.GetDimension() != 3:
        raise TransformError(f"{path}: is a transform of {transform.GetDimension()}-D points; 3-D was expected.")
    if transform.IsLinear():
        members = _members(transform)
        one = members[0] if len(members) == 1 else transform
        return Chain((Affine(check_invertible(_matrix(one), found)),))
    return Chain(tuple(_member(member, found) for member in reversed(_members(transform))))


def save_h5(path: str | os.PathLike[str], fixed_to_moving: Transform, grid: Grid | None = None) -> None:
    """Write a chain as an ITK composite, double precision; atomic, and always the same bytes.

    Parameters
    ----------
    path : path
        Ends in .h5.
    fixed_to_moving : Transform
        LPS mm. Linear members are written as AffineTransform, displacement fields as they are.
    grid : Grid, optional
        Grid on which other members are sampled as displacement fields.

    Raises
    ------
    TransformError
        If there is such a member and no grid, or the grid is sheared, which ITK does not support.
    DataError
        If the file cannot be written.
    """
    check_output(path)
    members = [_plain(member, grid, path) for member in reversed(Chain((fixed_to_moving,)).members)]
    members = members or [Affine(np.eye(4))]
    if not has_itk():
        write_atomic(path, packed(members), OURS)
        return
    import SimpleITK as sitk

    composite = sitk.CompositeTransform([_to_itk(member) for member in members])
    with tempfile.TemporaryDirectory() as folder:
        beside = Path(folder) / "composite.h5"
        sitk.WriteTransform(composite, str(beside))
        write_atomic(path, without_times(beside.read_bytes()), OURS)


def is_our_h5(path: str | os.PathLike[str]) -> bool:
    """Tell whether a file ends as `save_h5` ends it, so that it may be overwritten."""
    with open(path, "rb") as stream:
        stream.seek(-min(len(OURS), os.path.getsize(path)), os.SEEK_END)
        return stream.read() == OURS


def _members(transform: Any) -> list[Any]:
    """Return the members of a transform in ITK's order, nested composites flattened."""
    import SimpleITK as sitk

    if transform.GetTransformEnum() != sitk.sitkComposite:
        return [transform.Downcast()]
    composite = sitk.CompositeTransform(transform)
    parts = [composite.GetNthTransform(k) for k in range(composite.GetNumberOfTransforms())]
    return [member for part in parts for member in _members(part)]


def _member(transform: Any, path: Path) -> Transform:
    import SimpleITK as sitk

    try:
        if transform.IsLinear():
            return Affine(_matrix(transform))
        if transform.GetTransformEnum() == sitk.sitkDisplacementField:
            image = sitk.DisplacementFieldTransform(transform).GetDisplacementField()
            grid = Grid.from_parts(image.GetSize(), image.GetSpacing(), image.GetOrigin(), image.GetDirection())
            return DisplacementField.from_last_axis(sitk.GetArrayViewFromImage(image), grid)
    except ValueError as error:
        raise TransformError(f"{path}: {error}") from error
    raise TransformError(
        f"{path}: expected affine transforms and displacement fields, got {transform.GetName()}. Write it as one "
        "displacement field with ANTs: antsApplyTransforms -d 3 -r REF -t FILE -o [warp.nii.gz,1]"
    )


def _matrix(transform: Any) -> Matrix:
    import SimpleITK as sitk

    matrix = np.eye(4)
    if transform.GetTransformEnum() == sitk.sitkAffine:
        affine = sitk.AffineTransform(transform)
        if not any(affine.GetCenter()):  # as we write it: to the last digit, which mapped points would lose
            matrix[:3, :3] = np.reshape(affine.GetMatrix(), (3, 3))
            matrix[:3, 3] = affine.GetTranslation()
            return matrix
    start = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    axes = [np.array(transform.TransformPoint(axis)) - start for axis in np.eye(3).tolist()]
    matrix[:3] = np.stack([*axes, start], axis=1)
    return matrix


def _plain(member: Transform, grid: Grid | None, path: str | os.PathLike[str]) -> Affine | DisplacementField:
    """Return a transform as one of the two kinds that are written."""
    if member.matrix is not None:
        return Affine(member.matrix)
    if not isinstance(member, DisplacementField):
        if grid is None:
            raise TransformError(f"{path}: expected a grid on which to sample a {type(member).__name__} for ITK")
        member = member.to_displacement(grid)
    if not member.grid.is_orthonormal:
        raise TransformError(f"{path}: expected a field on a grid at right angles, as ITK has them; it is sheared")
    return member


def _to_itk(member: Affine | DisplacementField) -> Any:
    import SimpleITK as sitk

    if isinstance(member, Affine):
        affine = sitk.AffineTransform(3)
        affine.SetMatrix(member.matrix[:3, :3].ravel().tolist())
        affine.SetTranslation(member.matrix[:3, 3].tolist())
        return affine
    image = sitk.GetImageFromArray(np.moveaxis(member.vectors, 0, -1).astype(np.float64), isVector=True)
    image.SetSpacing(member.grid.spacing.tolist())
    image.SetOrigin(member.grid.origin.tolist())
    image.SetDirection(member.grid.direction.ravel().tolist())
    return sitk.DisplacementFieldTransform(image)


def _check_readable(path: Path) -> None:
    """Let ITK read the file in another process first: a damaged file can crash ITK."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"from {__name__} import _say_readable; _say_readable()", str(path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=HDF5_LIMIT_S,
            check=False,
        )
        problem = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise TransformError(f"{path}: is cut short or damaged; ITK cannot read it as a transform.") from error
    if problem:
        raise TransformError(f"{path}: ITK cannot read it as a transform ({problem}).")


def _say_readable() -> None:
    """Print the error of reading the file in `sys.argv` as JSON; an empty string if ITK reads it."""
    import SimpleITK as sitk

    try:
        sitk.ReadTransform(sys.argv[1])
    except RuntimeError as error:
        print(json.dumps([line.strip() for line in str(error).splitlines() if line.strip()][-1]))
        return
    print(json.dumps(""))
