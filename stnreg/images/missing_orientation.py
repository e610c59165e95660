"""Warnings about files without an orientation: formats that cannot store one, or files with that field empty.

NIfTI files with both codes 0 are handled in `headers`.
"""

from pathlib import Path
from typing import Any


def analyze_note(image: Any, path: Path) -> str:
    """Return the warning about an Analyze 7.5 image.

    SPM keeps a matrix in a MATLAB file beside such an image, which nibabel reads and most other tools do not.

    Parameters
    ----------
    image : nibabel.AnalyzeImage
        As read.
    path : Path
        Named in the warning.
    """
    mat = image.file_map.get("mat")
    matrix = Path(mat.filename) if mat is not None and mat.filename else None
    if matrix is not None and matrix.is_file() and matrix.stat().st_size:
        return (
            f"{path}: Analyze 7.5 says nothing of orientation; {matrix.name} beside it does, as SPM wrote it, and is "
            "used. FSL and ITK tools (ANTs, Greedy, Slicer) ignore that file: a .tfm for this image may be wrong in "
            "them. Convert it to NIfTI."
        )
    middle = "at SPM's origin field" if _has_origin(image.header) else "in the middle"
    return (
        f"{path}: Analyze 7.5 says nothing of orientation, so left and right are a guess: taken as stored right to "
        f"left (LAS) with the origin {middle}, as FSL, SPM and nibabel do. ITK tools (ANTs, Greedy, Slicer) may take "
        "it otherwise: a .tfm for this image may be wrong in them. Convert it to NIfTI with the right orientation if "
        "you know it."
    )


def freesurfer_note(path: Path, head: bytes) -> tuple[str, ...]:
    """Return the warning about an .mgh or .mgz without a valid geometry.

    Parameters
    ----------
    path : Path
        For the warning.
    head : bytes
        The first 30 bytes of the uncompressed file.
    """
    if any(head[28:30]):  # goodRASFlag
        return ()
    return (
        f"{path}: its header marks its geometry as not valid, so left and right, voxel size and place are a guess: "
        "coronal slices (LIA) of 1 mm, centred, as FreeSurfer does. Set the header first if you know it.",
    )


def metaimage_note(fields: dict[str, str], path: Path) -> tuple[str, ...]:
    """Return the warning about a MetaImage without a matrix."""
    if any(key in fields for key in ("TransformMatrix", "Rotation", "Orientation")):
        return ()
    return (_axes_note(path, "no TransformMatrix"),)


def nrrd_note(fields: dict[str, str], path: Path) -> tuple[str, ...]:
    """Return the warning about a NRRD without axis directions, or without their space."""
    if "space directions" not in fields:
        return (_axes_note(path, "no space directions"),)
    if "space" not in fields:
        return (
            f"{path}: the header has no space, so left and right are a guess: its directions are taken as LPS, as "
            "ITK does. Set the header first if you know it.",
        )
    return ()


def _axes_note(path: Path, lack: str) -> str:
    return (
        f"{path}: the header has {lack}, so left and right are a guess: the axes are taken to run along LPS, as ITK "
        "does. Set the header first if you know it."
    )


def _has_origin(header: Any) -> bool:
    """Return whether SPM's origin is used: nibabel uses it if it is set and near the image."""
    if "origin" not in header.keys():  # noqa: SIM118 (no mapping)
        return False
    origin, size = header["origin"][:3].tolist(), header["dim"][1:4].tolist()
    return any(origin) and all(-n < o < 2 * n for o, n in zip(origin, size, strict=True))
