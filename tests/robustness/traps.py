"""Traps: every way in which a file of one head is met in the wild, and what must come of registering it.

Each is either aligned with its clean twin, or refused. `python -m benchmarks.robustness.traps` runs them all.
"""

import contextlib
import gzip
import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stnreg.cli import main as stnreg_main
from stnreg.geometry.affine import apply_affine, mean_error_mm
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import load_reference, load_volume
from stnreg.transforms.io.files import load_transform
from tests.robustness.trap_files import (
    CLEAN,
    Write,
    changed_bytes,
    empty_folder,
    flip_in_the_middle,
    in_format,
    linked,
    load_head,
    metres,
    named,
    nifti,
    no_forms,
    patched,
    reoriented,
    rescanned,
    rgb,
    sheared,
    spoiled,
    ten_terabytes,
    two_forms,
    typed,
    with_axes,
)

LIMIT_MM = 0.3


@dataclass(frozen=True)
class Trap:
    """One trap.

    Attributes
    ----------
    write : callable
    outcome : {"aligned", "refused", "any"}
        Within `LIMIT_MM`; exit 4; or any exit but a defect, where the image shows too little.
    moved : callable, optional
        Takes the clean grid and the trap's, as stnreg reads them; returns the true `fixed_to_moving`. The identity
        where the trap's header is right.
    dof : int
    options : tuple of str
        Of the command.
    is_sampled, is_large : bool
        Whether it shows the head on another lattice; whether it takes gigabytes, and is left out unless `--large`.
    """

    write: Write
    outcome: str = "aligned"
    moved: Callable[[Grid, Grid], Matrix] | None = None
    dof: int = 6
    options: tuple[str, ...] = ()
    is_sampled: bool = False
    is_large: bool = False


def _by_voxels(clean: Grid, trap: Grid) -> Matrix:
    """Return the truth where voxels are the same and the header puts them elsewhere."""
    return trap.index_to_lps @ clean.lps_to_index


def _no_forms_moved(clean: Grid, trap: Grid) -> Matrix:
    """Return the truth for `_no_forms`: the middles on each other, spacing and directions kept."""
    matrix = np.eye(4)
    matrix[:3, 3] = trap.center_lps - clean.center_lps
    return matrix


TRAPS = {
    "qform and sform differ, codes 1 and 2": Trap(two_forms(1, 2)),
    "qform and sform differ, codes 1 and 4": Trap(two_forms(1, 4)),
    "both codes 0": Trap(no_forms, moved=_no_forms_moved),
    "sheared sform": Trap(sheared, moved=_by_voxels, dof=12),
    "sform with a code and all zero": Trap(patched(srow_x=0, srow_y=0, srow_z=0)),
    "qform with a code and no spacing": Trap(patched(pixdim=(1, 0, 0, 0, 1, 1, 1, 1))),
    "an offset of 0": Trap(patched(vox_offset=0), "refused"),
    "voxels of no known type": Trap(patched(datatype=1536, bitpix=128), "refused"),
    "length-1 fourth axis": Trap(with_axes((1,))),
    "length-1 fourth and fifth axis": Trap(with_axes((1, 1))),
    "origin 195 mm off": Trap(
        lambda head, folder: nifti(head.array, _shift(195) @ head.affine, folder / "off.nii"), moved=_by_voxels
    ),
    "int16 with an offset of -1000": Trap(typed("<i2", 1, -1000)),
    "int16, negative": Trap(typed("<i2", -1, 0)),
    "uint8 with slope and intercept": Trap(typed("u1", 1.5, -3, ".nii.gz")),
    "int8 with slope and intercept": Trap(typed("i1", 1.5, 150)),
    "uint16": Trap(typed("<u2")),
    "int32": Trap(typed("<i4")),
    "uint64": Trap(typed("<u8")),
    "float32, big-endian": Trap(typed(">f4")),
    "float64, big-endian": Trap(typed(">f8", suffix=".nii.gz")),
    "NaN outside the head": Trap(spoiled(np.nan, 1)),
    "infinity in one voxel of a thousand": Trap(spoiled(np.inf, 1e-3)),
    ".mgz": Trap(in_format(".mgz")),
    ".img with .hdr": Trap(in_format(".img")),
    ".nrrd": Trap(in_format(".nrrd")),
    ".mha": Trap(in_format(".mha")),
    ".mhd with .raw": Trap(in_format(".mhd")),
    "stored as PIR": Trap(reoriented("PIR")),
    "stored as LAS": Trap(reoriented("LAS")),
    "stored as SPL": Trap(reoriented("SPL")),
    "oblique": Trap(rescanned((2, 2, 2), (12, -18, 25)), is_sampled=True),
    "slices of 5 mm, pixels of 0.5 mm": Trap(rescanned((0.5, 0.5, 5), (0, 0, 0)), is_sampled=True),
    "512 x 512 x 512 voxels": Trap(rescanned((0.4375, 0.4297, 0.4688), (0, 0, 0)), is_sampled=True, is_large=True),
    "8 x 8 x 8 voxels": Trap(rescanned((28, 28, 30), (0, 0, 0)), outcome="any"),
    "blanks and dots in the name": Trap(named("a b/c.d e.nii.gz")),
    "a symbolic link": Trap(linked),
    "lengths in metres": Trap(metres),
    "a series": Trap(
        lambda head, folder: nifti(np.stack([head.array] * 2, -1), head.affine, folder / "series.nii"), "refused"
    ),
    "a series, its mean": Trap(
        lambda head, folder: nifti(np.stack([head.array] * 2, -1), head.affine, folder / "series.nii"),
        options=("--volume", "mean"),
    ),
    "colour": Trap(rgb, "refused"),
    "complex": Trap(
        lambda head, folder: nifti(head.array.astype(np.complex64), head.affine, folder / "complex.nii"),
        "refused",
    ),
    "two axes": Trap(lambda head, folder: nifti(head.array[:, :, 20], head.affine, folder / "flat.nii"), "refused"),
    "one slice": Trap(lambda head, folder: nifti(head.array[:, :, 20:21], head.affine, folder / "one.nii"), "refused"),
    "constant": Trap(
        lambda head, folder: nifti(np.ones_like(head.array), head.affine, folder / "constant.nii"), "refused"
    ),
    "NaN everywhere": Trap(
        lambda head, folder: nifti(np.full(head.array.shape, np.nan, "f4"), head.affine, folder / "nan.nii"),
        "refused",
    ),
    "gzip cut short": Trap(changed_bytes(lambda content: content[: len(content) * 2 // 3]), "refused"),
    "gzip without its end": Trap(changed_bytes(lambda content: content[:-8]), "refused"),
    "gzip damaged in the middle": Trap(changed_bytes(flip_in_the_middle), "refused"),
    "named .nii.gz and not packed": Trap(changed_bytes(gzip.decompress), "refused"),
    "named .nii and packed": Trap(changed_bytes(gzip.compress, ".nii"), "refused"),
    "cut short": Trap(changed_bytes(lambda content: content[: len(content) // 2], ".nii"), "refused"),
    "wrong magic": Trap(changed_bytes(lambda content: content[:344] + b"x+1\0" + content[348:], ".nii"), "refused"),
    "a header that promises 10 TB": Trap(changed_bytes(ten_terabytes, ".nii"), "refused"),
    "a packed header that promises 10 TB": Trap(
        changed_bytes(lambda content: gzip.compress(ten_terabytes(gzip.decompress(content)))), "refused"
    ),
    "no bytes": Trap(changed_bytes(lambda content: b""), "refused"),
    "a page of HTML": Trap(changed_bytes(lambda content: b"<html>not found</html>" * 40), "refused"),
    "a folder": Trap(empty_folder, "refused"),
}


def _shift(mm: float) -> Matrix:
    matrix = np.eye(4)
    matrix[:3, 3] = mm / np.sqrt(3)
    return matrix


def run_trap(trap: Trap, folder: Path, threads: int = 1) -> tuple[int, float]:
    """Register the clean head to a trap; return the exit status, and how far the result is off over the head, mm."""
    path = trap.write(load_head(), folder)
    out = folder / "out.tfm"
    line = ["register", CLEAN, path, "-t", out, "--dof", trap.dof, "--threads", threads, *trap.options]
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            stnreg_main([str(word) for word in line])
    except SystemExit as end:
        status = int(end.code or 0)
    if not out.exists():
        return status, np.nan
    clean = load_volume(CLEAN)
    truth = np.eye(4) if trap.moved is None else trap.moved(clean.grid, load_reference(path).grid)
    index = np.argwhere(clean.array[::7, ::7, ::7] > 20)[:, ::-1] * 7
    return status, mean_error_mm(load_transform(out), truth, apply_affine(clean.grid.index_to_lps, index))


def is_as_it_should_be(trap: Trap, status: int, error_mm: float) -> bool:
    """Tell whether a trap came out as its `outcome` says."""
    if trap.outcome == "refused":
        return status == 4
    return status in (0, 3, 4) if trap.outcome == "any" else status == 0 and error_mm < LIMIT_MM
