"""The header rule: which of a NIfTI file's two forms, sform or qform, defines its world space.

See docs/decisions/0003-header-rule.md. In short: if qform and sform differ by more than 0.1 mm at any
corner of the image, the sform is used by default, and outputs have that form in both places.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from stnreg.errors import DataError, UsageProblem
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.geometry.orientation import lps_from_ras

HeaderSource = Literal["auto", "sform", "qform"]
HEADER_SOURCES = ("auto", "sform", "qform")
TOLERANCE_MM = 0.1
QUATERNION_ROUNDING = 1e-3
"""What the squares of b, c and d may exceed 1 by. More is not rounding, and the qform is not usable."""
HALF_TURN = 1e-7
"""Below this 1 - b^2 - c^2 - d^2 is taken as 0, as in the NIfTI library."""
MM_PER_UNIT = {
    **dict.fromkeys(("m", "meter", "metre", "meters", "metres"), 1000.0),
    **dict.fromkeys(("cm", "centimeter", "centimetre", "centimeters"), 10.0),
    **dict.fromkeys(("um", "\u00b5m", "\u03bcm", "micron", "microns", "micrometer", "micrometre"), 0.001),
}
"""Names of units of length in Analyze and NRRD headers, lower case. All others are taken as millimetres."""
_MM_PER_UNIT = {1: 1000.0, 3: 0.001}  # xyzt_units: metre, micrometre; 0 (unknown) and 2 are millimetres
SMALLEST_FIELD_MM, LARGEST_FIELD_MM = 2.0, 5000.0
"""No field of view of a scanner is smaller or larger: a unit that says so is wrong, and the numbers are millimetres."""


@dataclass(frozen=True)
class World:
    """The result of the rule for a header.

    Attributes
    ----------
    grid : Grid
        Size, and voxel index to LPS mm.
    differs : bool
        Whether outputs get `grid` in both forms: those of the file differ, are missing, sheared, or not in mm.
    warnings : tuple of str
        Warnings for the user.
    """

    grid: Grid
    differs: bool
    warnings: tuple[str, ...]


def world_of_nifti(header: Any, size: tuple[int, int, int], path: str, source: HeaderSource = "auto") -> World:
    """Apply the header rule to a NIfTI-1 or NIfTI-2 header.

    Parameters
    ----------
    header : nibabel.Nifti1Header
        As read.
    size : tuple of int
        Voxels along (x, y, z).
    path : str
        For warnings and errors.
    source : {"auto", "sform", "qform"}
        Which form to use if the two differ. A form with code 0 is never used if the other has a code.

    Raises
    ------
    DataError
        If the form in use does not define a grid.
    """
    if source not in HEADER_SOURCES:
        raise UsageProblem(f"expected a header source out of {', '.join(HEADER_SOURCES)}, got {source!r}")
    qform_code, sform_code = int(header["qform_code"]), int(header["sform_code"])
    if qform_code <= 0 and sform_code <= 0:
        return _world_without_forms(header, size, path)
    qform = _grid_of(_qform(header), header, size, path, "qform") if qform_code > 0 else None
    sform = _grid_of(header.get_sform(), header, size, path, "sform") if sform_code > 0 else None
    chosen, other = (qform, sform) if source == "qform" else (sform, qform)
    grid = chosen or other
    if grid is None:
        form = "qform" if source == "qform" or sform_code <= 0 else "sform"
        raise DataError(
            f"{path}: the {form} is not a usable matrix (zero, flat or not finite). "
            "Repair the header, or choose the other matrix.",
            argument="header_source",
        )
    notes = list(_unit_notes(header, path))
    differs = bool(notes)  # most readers ignore units, so outputs are in millimetres
    if source != "auto" and not (qform_code > 0 and sform_code > 0):
        present = "sform" if sform_code > 0 else "qform"
        if source != present:
            notes.append(f"{path}: has no {source} (its code is 0), so the {present} is used.")
    elif qform is not None and sform is not None:
        apart_mm = float(np.linalg.norm(qform.corners_lps() - sform.corners_lps(), axis=1).max())
        if apart_mm > TOLERANCE_MM:
            differs = True
            notes.append(_disagreement(path, apart_mm, source))
    elif qform_code > 0 and sform_code > 0:
        differs = True
        used, broken = ("sform", "qform") if qform is None else ("qform", "sform")
        notes.append(f"{path}: the {broken} is not a usable matrix, so the {used} is used.")
    if not grid.is_orthonormal:
        differs = True
        notes.append(
            f"{path}: the voxel axes are not at right angles (a sheared sform). It is used as it stands; ITK tools "
            "(ANTs, Greedy, Slicer) refuse such a file or drop the shear, so do not apply a .tfm to it with them."
        )
    return World(grid, differs, tuple(notes))


def write_world(header: Any, grid: Grid, *, both: bool) -> None:
    """Set the grid of a NIfTI header, in place.

    Parameters
    ----------
    header : nibabel.Nifti1Header
        Header of an image on `grid`.
    grid : Grid
        The grid to write.
    both : bool
        True writes both forms from `grid` (a missing code becomes 1 where both were missing, else 2); False
        leaves the forms and codes as they are.
    """
    if not both:
        return
    index_to_ras = lps_from_ras(grid.index_to_lps)
    codes = int(header["qform_code"]), int(header["sform_code"])
    absent = 1 if max(codes) <= 0 else 2
    qform_code, sform_code = (code if code > 0 else absent for code in codes)
    header.set_sform(index_to_ras, sform_code)
    header.set_qform(index_to_ras, qform_code, strip_shears=True)
    header["pixdim"][1:4] = grid.spacing
    header["xyzt_units"] = 2 | int(header["xyzt_units"]) & 0x38  # millimetres, and the unit of time as it was


def _qform(header: Any) -> Matrix | None:
    """Return the qform, index to RAS; None if quaternion or pixdim are invalid.

    A header holds b, c and d of the unit quaternion in single precision. Near a half turn their squares can add up to
    more than 1 by rounding. As in ITK and the NIfTI library, a is 0 there, and the three are scaled to length 1.
    """
    b, c, d = vector = np.array([float(header[f"quatern_{name}"]) for name in "bcd"])
    square = float(vector @ vector)
    pixdim = np.asarray(header["pixdim"][:4], np.float64)
    offset = np.array([float(header[f"qoffset_{name}"]) for name in "xyz"])
    if not np.isfinite([square, *pixdim, *offset]).all() or square > 1 + QUATERNION_ROUNDING or (pixdim[1:] <= 0).any():
        return None
    a = np.sqrt(1 - square) if 1 - square >= HALF_TURN else 0.0
    if a == 0.0:
        b, c, d = vector / np.sqrt(square)
    turn = np.array(
        [
            [a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
            [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
            [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c],
        ]
    )
    index_to_ras = np.eye(4)
    index_to_ras[:3, :3] = turn * pixdim[1:] * (1, 1, -1 if pixdim[0] < 0 else 1)
    index_to_ras[:3, 3] = offset
    return index_to_ras


def _grid_of(index_to_ras: Matrix | None, header: Any, size: tuple[int, int, int], path: str, form: str) -> Grid | None:
    """Convert a RAS matrix in the header's unit to a grid in LPS mm; None if it is invalid."""
    if index_to_ras is None:
        return None
    index_to_lps = lps_from_ras(index_to_ras)
    index_to_lps[:3] *= _mm_per_unit(header)
    try:
        return Grid(size, index_to_lps)
    except DataError:
        return None


def _world_without_forms(header: Any, size: tuple[int, int, int], path: str) -> World:
    """Return the world of a file with both codes 0: centred, x to the left, like Analyze in nibabel."""
    grid = _grid_of(header.get_base_affine(), header, size, path, "pixdim")
    if grid is None:
        raise DataError(f"{path}: no qform, no sform, and voxel sizes {header.get_zooms()[:3]}. Repair the header.")
    note = (
        f"{path}: neither qform nor sform is set (both codes 0), so left and right are a guess: taken as stored "
        "right to left (LAS) with the origin in the middle, as FSL, SPM and nibabel do. ITK tools (ANTs, Greedy, "
        "Slicer) put its first voxel at 0 and run its second axis the other way: a .tfm for this file is wrong in "
        "them. Set the header first if you know it."
    )
    return World(grid, True, (*_unit_notes(header, path), note))


def _mm_per_unit(header: Any) -> float:
    return believable_unit(_MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0), _field_of_view(header))


def _field_of_view(header: Any) -> float:
    """Return the longest edge of the field of view, in the unit of the header."""
    spacing = np.abs(header["pixdim"][1:4].astype(np.float64))
    if int(header["sform_code"]) > 0 and np.isfinite(header.get_sform()).all():
        spacing = np.linalg.norm(header.get_sform()[:3, :3], axis=0)
    return float((spacing * header["dim"][1:4]).max())


def _unit_notes(header: Any, path: str) -> tuple[str, ...]:
    said = _MM_PER_UNIT.get(int(header["xyzt_units"]) & 7, 1.0)
    return unit_notes(said, _field_of_view(header), path)


def believable_unit(mm_per_unit: float, field_of_view: float) -> float:
    """Return how many millimetres a header's unit of length is: as it says, or 1 where no scan is that small or large.

    Parameters
    ----------
    mm_per_unit : float
        As the header says.
    field_of_view : float
        Longest edge of the image, in that unit.

    Examples
    --------
    >>> believable_unit(1000, 0.24), believable_unit(1000, 240)  # a head in metres; and in what is called metres
    (1000, 1.0)
    """
    return mm_per_unit if SMALLEST_FIELD_MM <= mm_per_unit * field_of_view <= LARGEST_FIELD_MM else 1.0


def unit_notes(mm_per_unit: float, field_of_view: float, path: str) -> tuple[str, ...]:
    """Return the warning about a header whose unit of length is not the millimetre; parameters as `believable_unit`."""
    if mm_per_unit == 1.0:
        return ()
    if believable_unit(mm_per_unit, field_of_view) == mm_per_unit:
        return (f"{path}: header lengths are taken times {mm_per_unit:g}, to millimetres.",)
    return (
        f"{path}: its header gives lengths in units of {mm_per_unit:g} mm, by which the image is "
        f"{mm_per_unit * field_of_view:g} mm long; no scan is. They are taken as millimetres. Repair the unit in the "
        "header.",
    )


def _disagreement(path: str, apart_mm: float, source: HeaderSource) -> str:
    used, other = ("qform", "sform") if source == "qform" else ("sform", "qform")
    text = f"{path}: qform and sform put the image up to {apart_mm:.1f} mm apart; the {used} is used"
    if used == "sform":
        return (
            f"{text}. ITK tools (ANTs, Greedy, Slicer) may read the qform: a .tfm that they apply to this file as "
            "the moving image is then wrong by that much. Use the header source qform for a transform that is meant "
            "for them, or repair the header."
        )
    return f"{text}, as most ITK tools do; nibabel, FSL and FreeSurfer read the {other}."
