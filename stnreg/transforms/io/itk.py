"""ITK's transform files, .tfm .txt .mat .h5: all linear classes are read, one is written.

It is a single `AffineTransform_double_3_3` with its centre at 0: the 3x3 row by row, then the translation,
fixed points to moving points, LPS mm. See docs/decisions/0001-lps-fixed-to-moving.md.
"""

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.core.itk import has_itk, itk_for
from stnreg.errors import DataError, TransformError
from stnreg.geometry.affine import compose, invert
from stnreg.geometry.matrix import Matrix
from stnreg.transforms.io import matlab
from stnreg.transforms.io.itk_classes import COUNTS, matrix_of

TEXT_HEAD = "#Insight Transform File V1.0"
HDF5_HEAD = b"\x89HDF\r\n\x1a\n"
HDF5_LIMIT_S = 120
_CLASS = re.compile(r"^(\w+?)_(?:double|float)_(\d)_(\d)$")


def is_itk(content: bytes) -> bool:
    """Return whether bytes are the start of an ITK transform file."""
    is_text = content.lstrip().startswith(TEXT_HEAD[:23].encode())
    return is_text or content.startswith(HDF5_HEAD) or matlab.is_matlab4(content)


def read_itk(content: bytes, path: Path) -> Matrix:
    """Return the `fixed_to_moving` of a linear ITK transform, LPS mm, the centre folded into the translation.

    Raises
    ------
    TransformError
        If it is damaged or not linear; the message says what to do.
    """
    if content.startswith(HDF5_HEAD):
        return _read_hdf5(path)
    members = [matlab.read_transform(content, path)] if matlab.is_matlab4(content) else _text_members(content, path)
    matrices = [linear_of(*member, path) for member in members]
    # A composite lists its members last-applied first, in the order of a matrix product.
    return check_invertible(compose(*matrices), path)


def text_bytes(matrix: Matrix) -> bytes:
    """Return the text file of an affine, all digits."""
    lines = (
        TEXT_HEAD,
        "#Transform 0",
        "Transform: AffineTransform_double_3_3",
        f"Parameters: {' '.join(map(digits, _numbers(matrix)))}",
        "FixedParameters: 0 0 0",
        # The blank line marks files of stnreg: ITK writes none. nitransforms fails on a comment.
        "\n",
    )
    return "\n".join(lines).encode("ascii")


def matlab_bytes(matrix: Matrix) -> bytes:
    """Return the MATLAB 4 file of an affine."""
    return matlab.affine_bytes(_numbers(matrix))


def digits(number: float) -> str:
    """Write the shortest decimal that reads back as the same double; whole numbers without a point."""
    return f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else repr(number)


def check_invertible(matrix: Matrix, path: Path) -> Matrix:
    """Check that a matrix is affine and invertible, and return it; TransformError with the file's name if not."""
    try:
        invert(matrix)
    except DataError as error:
        raise TransformError(f"{path}: {error}") from error
    return matrix


def _numbers(matrix: Matrix) -> list[float]:
    """The 3x3 row by row, then the translation; without negative zeros."""
    return [*(matrix[:3, :3] + 0.0).ravel().tolist(), *(matrix[:3, 3] + 0.0).tolist()]


def _text_members(content: bytes, path: Path) -> list[tuple[str, list[float], list[float]]]:
    """Split an ITK text file into (class, parameters, fixed parameters), without the composite's own entry."""
    members: list[tuple[str, list[float], list[float]]] = []
    for line in content.decode("latin-1").splitlines():
        key, _, value = line.strip().partition(":")
        if key == "Transform":
            members.append((value.strip(), [], []))
        elif key in ("Parameters", "FixedParameters"):
            if not members:
                raise TransformError(f"{path}: {key} come before any Transform; the file is damaged.")
            _, parameters, fixed = members[-1]
            try:
                (parameters if key == "Parameters" else fixed).extend(map(float, value.split()))
            except ValueError as error:
                raise TransformError(f"{path}: {error}; the file is damaged.") from error
    if not members:
        raise TransformError(f"{path}: holds no transform; the file is cut short.")
    is_composite = members[0][0].startswith("CompositeTransform")
    if is_composite and len(members) == 1:
        raise TransformError(f"{path}: is a composite without members; the file is cut short.")
    if len(members) > 1 and not is_composite:
        raise TransformError(
            f"{path}: holds {len(members)} transforms side by side; one, or a composite, was expected."
        )
    return members[1:] if is_composite else members


def linear_of(name: str, parameters: Sequence[float], fixed: Sequence[float], path: Path) -> Matrix:
    """Return the matrix of one transform: ITK's name of its class, and its numbers.

    Raises
    ------
    TransformError
        If it is not linear, not 3-D, or its numbers do not fit its class.
    """
    match = _CLASS.match(name)
    if match is None:
        raise TransformError(f"{path}: {name!r} is no ITK transform class.")
    kind, *dimensions = match.groups()
    if kind in ("DisplacementFieldTransform", "BSplineTransform") or "VelocityField" in kind:
        raise TransformError(
            f"{path}: {kind} is non-linear, and is not read from text or .mat. Write it as an image or a composite .h5."
        )
    if dimensions != ["3", "3"]:
        raise TransformError(f"{path}: is a transform of {dimensions[0]}-D points; 3-D was expected.")
    if kind not in COUNTS:
        raise TransformError(f"{path}: {kind} is not read here; write it again as AffineTransform_double_3_3.")
    numbers, center = np.asarray(parameters, dtype=np.float64), np.asarray(fixed, dtype=np.float64)
    if len(numbers) != COUNTS[kind] or not np.isfinite(numbers).all():
        raise TransformError(f"{path}: {name} needs {COUNTS[kind]} finite numbers, got {numbers.tolist()[:20]}.")
    if len(center) not in ((0, 3, 4) if kind == "Euler3DTransform" else (0, 3)) or not np.isfinite(center).all():
        raise TransformError(f"{path}: {name} needs a centre of 3 finite numbers, got {center.tolist()[:20]}.")
    with np.errstate(over="ignore", invalid="ignore"):  # the result is checked
        return check_invertible(matrix_of(kind, numbers, center), path)


def _read_hdf5(path: Path) -> Matrix:
    """Let ITK read an HDF5 file in another process: a damaged file can crash ITK. Without SimpleITK h5py reads it."""
    if not has_itk():
        from stnreg.transforms.io.h5_by_h5py import read_members

        matrices = [member.matrix for member in read_members(path)]
        if any(matrix is None for matrix in matrices):
            raise TransformError(f"{path}: is not a linear 3-D transform, and one is expected here.")
        return check_invertible(compose(*(matrix for matrix in matrices if matrix is not None)), path)
    try:
        done = subprocess.run(
            [sys.executable, "-c", f"from {__name__} import _say_hdf5; _say_hdf5()", str(path)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=HDF5_LIMIT_S,
            check=False,
        )
        said = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        raise TransformError(f"{path}: is cut short or damaged; ITK cannot read it as a transform.") from error
    if "error" in said:
        raise TransformError(f"{path}: {said['error']}")
    return check_invertible(np.array(said["matrix"]), path)


def _say_hdf5() -> None:
    """Print the matrix of the HDF5 file in `sys.argv`, or the error, as JSON."""
    sitk = itk_for("a transform in HDF5 (.h5)")

    try:
        transform: Any = sitk.ReadTransform(sys.argv[1])
    except RuntimeError as error:
        reason = [line.strip() for line in str(error).splitlines() if line.strip()][-1]
        print(json.dumps({"error": f"ITK cannot read it as a transform ({reason})."}))
        return
    if transform.GetDimension() != 3 or not transform.IsLinear():
        name = transform.GetName()
        print(json.dumps({"error": f"is not a linear 3-D transform ({name}), and one is expected here."}))
        return
    start = np.array(transform.TransformPoint((0.0, 0.0, 0.0)))
    axes = [np.array(transform.TransformPoint(axis)) - start for axis in np.eye(3).tolist()]
    matrix = np.eye(4)
    matrix[:3] = np.stack([*axes, start], axis=1)
    print(json.dumps({"matrix": matrix.tolist()}))
