"""Affine transforms on disk: read any linear ITK file, write the one form that every tool reads rightly.

That form is a single `AffineTransform_double_3_3` with its centre at 0: the 3x3 row by row, then the translation,
fixed points to moving points, LPS mm. See docs/decisions/0001-lps-fixed-to-moving.md.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnreg.errors import DataError, TransformError, UsageProblem
from stnreg.geometry.affine import compose, invert
from stnreg.geometry.matrix import Matrix, check_affine
from stnreg.geometry.orientation import swap_lps_ras
from stnreg.io import matlab
from stnreg.io.files import check_input, check_output, write_atomic

SUFFIXES = (".tfm", ".txt", ".mat")
TEXT_HEAD = "#Insight Transform File V1.0"
_CLASS = re.compile(r"^(\w+?)_(?:double|float)_(\d)_(\d)$")


def load_transform(path: str | os.PathLike[str]) -> Matrix:
    """Read a linear ITK transform: text (.tfm, .txt), MATLAB 4 (.mat) or HDF5 (.h5), told apart by content.

    Any linear class is taken, alone or in a composite; a centre is folded in.

    Returns
    -------
    fixed_to_moving : (4, 4) float64
        Takes fixed points to moving points, LPS mm.

    Raises
    ------
    TransformError
        If the file is damaged, of another kind, or not linear; the message says what to do.
    DataError
        If there is no such file.
    """
    found = check_input(path)
    try:
        content = found.read_bytes()
    except OSError as error:
        raise DataError(f"{found}: cannot be read ({error.strerror or error}).") from error
    if content.lstrip().startswith(TEXT_HEAD[:23].encode()):
        members = _text_members(content, found)
    elif matlab.is_matlab4(content):
        members = [matlab.read_transform(content, found)]
    elif content.startswith(b"\x89HDF\r\n\x1a\n"):
        return _through_simpleitk(found)
    else:
        raise TransformError(f"{found}: {_guess_other_format(content, found)}")
    matrices = []
    for name, parameters, fixed in members:
        matrix = _matrix_of(name, parameters, fixed, found)
        if matrix is None:  # a rarer class: ITK knows it
            return _through_simpleitk(found)
        matrices.append(matrix)
    # A composite lists its members last-applied first, as matrices are written.
    return _checked(compose(*matrices), found)


def save_transform(path: str | os.PathLike[str], fixed_to_moving: ArrayLike) -> None:
    """Write an affine so that ITK, ANTs, Slicer, Greedy, FreeSurfer and nitransforms all read the same map.

    Full digits, centre 0, whole or not at all; the same matrix gives the same bytes.

    Parameters
    ----------
    path : path
        Ends in .tfm or .txt (text), or .mat (MATLAB 4, which ANTs wants for `-t [file,1]` in Python).
    fixed_to_moving : (4, 4) float64
        Takes fixed points to moving points, LPS mm.

    Raises
    ------
    UsageProblem
        If the suffix is not one of these.
    DataError
        If the file cannot be written.
    """
    _check_suffix(path)
    matrix = check_affine(fixed_to_moving)
    write_atomic(path, matlab.affine_bytes(_numbers(matrix)) if _is_matlab(path) else _text_bytes(matrix))


def check_transform_output(path: str | os.PathLike[str]) -> None:
    """Make sure that a transform may be written here, before any work is done for it.

    Raises
    ------
    UsageProblem
        If the suffix is not one we write, or a transform is there that stnreg did not write: in ANTs `-t` names an
        input, and that habit must not cost a transform.
    DataError
        If the place cannot be written to.
    """
    _check_suffix(path)
    check_output(path)
    if Path(path).is_file() and not written_by_us(path):
        raise UsageProblem(
            f"{path}: is there already, and stnreg did not write it. Choose another name for the output. "
            "To start from that transform, did you mean --init?"
        )


def written_by_us(path: str | os.PathLike[str]) -> bool:
    """Tell whether a transform file is, byte for byte, what `save_transform` writes: it may be overwritten."""
    try:
        content = Path(path).read_bytes()
        matrix = load_transform(path)
    except (OSError, DataError):
        return False
    return content in (_text_bytes(matrix), matlab.affine_bytes(_numbers(matrix)))


def parse_chain(links: Sequence[str | os.PathLike[str]], *, is_inverted: bool = False) -> Matrix:
    """Compose a chain of transform files to one matrix.

    Parameters
    ----------
    links : sequence of str
        A reference point goes through them in this order. `inv:FILE` is taken the other way round; `ras:FILE` is
        a bare 4x4 of numbers, reference to moving in RAS mm.
    is_inverted : bool
        Whether to return the inverse of the whole chain.

    Returns
    -------
    reference_to_moving : (4, 4) float64
        LPS mm.
    """
    matrices = [_load_link(str(link)) for link in links]
    reference_to_moving = compose(*reversed(matrices))
    return invert(reference_to_moving) if is_inverted else reference_to_moving


def chain_path(link: str) -> str:
    """Return the file of a link, without its prefixes."""
    while (prefix := link.partition(":")[0]) in ("inv", "ras", "fsl") and not Path(link).exists():
        link = link.removeprefix(f"{prefix}:")
    return link


def _load_link(link: str) -> Matrix:
    path = chain_path(link)
    prefixes = link.removesuffix(path).split(":")[:-1]
    if "fsl" in prefixes:
        raise UsageProblem(f"{link}: FLIRT matrices are not read yet. Convert it with c3d_affine_tool or lta_convert.")
    matrix = _load_bare_ras(path) if "ras" in prefixes else load_transform(path)
    return invert(matrix) if prefixes.count("inv") % 2 else matrix


def _load_bare_ras(path: str) -> Matrix:
    found = check_input(path)
    try:
        matrix = np.loadtxt(found, dtype=np.float64, ndmin=2)
    except (ValueError, UnicodeDecodeError) as error:
        raise TransformError(f"{found}: expected four rows of four numbers ({error}).") from error
    if matrix.shape != (4, 4):
        raise TransformError(f"{found}: expected four rows of four numbers, got {matrix.shape}.")
    return _checked(swap_lps_ras(matrix), found)


def _check_suffix(path: str | os.PathLike[str]) -> None:
    if not str(path).lower().endswith(SUFFIXES):
        raise UsageProblem(f"{path}: a transform is written as {', '.join(SUFFIXES)} (ITK).")


def _is_matlab(path: str | os.PathLike[str]) -> bool:
    return str(path).lower().endswith(".mat")


def _numbers(matrix: Matrix) -> list[float]:
    """The 3x3 row by row, then the translation; without negative zeros."""
    return [*(matrix[:3, :3] + 0.0).ravel().tolist(), *(matrix[:3, 3] + 0.0).tolist()]


def _text_bytes(matrix: Matrix) -> bytes:
    lines = (
        TEXT_HEAD,
        "#Transform 0",
        "Transform: AffineTransform_double_3_3",
        f"Parameters: {' '.join(map(_digits, _numbers(matrix)))}",
        "FixedParameters: 0 0 0",
        # A blank line, which ITK does not leave, tells our files from others. A comment would end nitransforms.
        "\n",
    )
    return "\n".join(lines).encode("ascii")


def _digits(number: float) -> str:
    """Write the shortest decimal that reads back as the same double; whole numbers without a point."""
    return f"{number:.0f}" if number.is_integer() and abs(number) < 1e15 else repr(number)


def _checked(matrix: Matrix, path: Path) -> Matrix:
    try:
        invert(matrix)
    except DataError as error:
        raise TransformError(f"{path}: {error}") from error
    return matrix


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
    if len(members) > 1 and not is_composite:
        raise TransformError(
            f"{path}: holds {len(members)} transforms side by side; one, or a composite, was expected."
        )
    return members[1:] if is_composite else members


def _matrix_of(name: str, parameters: Sequence[float], fixed: Sequence[float], path: Path) -> Matrix | None:
    """Return the matrix of one member, or None for a class that is left to ITK."""
    match = _CLASS.match(name)
    if match is None:
        raise TransformError(f"{path}: {name!r} is no ITK transform class.")
    kind, *dimensions = match.groups()
    if kind in ("DisplacementFieldTransform", "BSplineTransform") or "VelocityField" in kind:
        raise TransformError(f"{path}: {kind} bends space; only linear transforms are taken here. Apply it with ANTs.")
    if dimensions != ["3", "3"]:
        raise TransformError(f"{path}: is a transform of {dimensions[0]}-D points; 3-D was expected.")
    numbers, center = np.asarray(parameters, dtype=np.float64), np.zeros(3)
    matrix = np.eye(4)
    if kind == "IdentityTransform":
        return matrix
    if kind == "TranslationTransform":
        matrix[:3, 3] = _counted(numbers, 3, name, path)
        return matrix
    if kind not in ("AffineTransform", "MatrixOffsetTransformBase"):
        return None
    if len(fixed):
        center = _counted(np.asarray(fixed, dtype=np.float64), 3, name, path)
    matrix[:3, :3] = _counted(numbers, 12, name, path)[:9].reshape(3, 3)
    matrix[:3, 3] = numbers[9:] + center - matrix[:3, :3] @ center
    return matrix


def _counted(numbers: NDArray[np.float64], count: int, name: str, path: Path) -> NDArray[np.float64]:
    if len(numbers) != count or not np.isfinite(numbers).all():
        raise TransformError(f"{path}: {name} needs {count} finite numbers, got {numbers.tolist()}.")
    return numbers


def _through_simpleitk(path: Path) -> Matrix:
    """Let ITK read a class that we do not, and see where it takes four points."""
    import SimpleITK as sitk

    try:
        transform: Any = sitk.ReadTransform(str(path))
    except RuntimeError as error:
        reason = [line.strip() for line in str(error).splitlines() if line.strip()][-1]
        raise TransformError(f"{path}: ITK cannot read it as a transform ({reason}).") from error
    if transform.GetDimension() != 3 or not transform.IsLinear():
        raise TransformError(f"{path}: is not a linear 3-D transform ({transform.GetName()}). Apply it with ANTs.")
    matrix = np.eye(4)
    matrix[:3, 3] = transform.TransformPoint((0.0, 0.0, 0.0))
    for axis in range(3):
        matrix[:3, axis] = np.subtract(transform.TransformPoint(np.eye(3)[axis].tolist()), matrix[:3, 3])
    return _checked(matrix, path)


def _guess_other_format(content: bytes, path: Path) -> str:
    if path.name.lower().endswith((".nii", ".nii.gz", ".mgz", ".nrrd", ".mha")):
        return "is an image. A displacement field bends space and is not taken here; apply it with ANTs."
    text = content[:4096].decode("latin-1")
    if re.search(r"^\s*type\s*=\s*\d", text, re.MULTILINE):
        return "looks like a FreeSurfer LTA, which is not read yet. `lta_convert --outitk` makes an ITK file of it."
    if len(text.split()) == 16:
        return "is a bare 4x4 matrix, whose space is written nowhere. Say `ras:FILE` if it maps RAS mm points."
    return "is not an ITK transform (.tfm, .txt, .mat, .h5)."
