"""Make the pack that a velocity network is trained on: heads and label maps, each cut to where its brain is.

A pack is one `.npz`. Voxels stay as they were scanned: every subject carries the affine that takes millimetres of the
frame (`stnreg.training.deformable.frame`) to its voxel indices, found as `stnreg register` finds it. Scans
keep few grey levels, and nothing that is far from the brain; volumes are compressed one by one with bzip2, which the
reader (`stnreg.training.deformable.subjects`) undoes with the standard library.
"""

import bz2
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import distance_transform_edt

from stnreg.core.files import open_atomic
from stnreg.core.structures import FREESURFER_CORTEX, FREESURFER_WHITE, STRUCTURES, Structure
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.images.volume import load_volume
from stnreg.simulation.tissues import CONTRASTS, tissue_of_code, to_byte_codes
from stnreg.training.deformable.frame import box_corners_mm

Array = np.ndarray
FrameOf = Callable[[Array, Grid], Array]
"""Takes an image and its grid to the affine from the frame to the image, (4, 4) LPS mm."""

LEVELS = 40  # grey levels that are kept: finer than the noise, and a fraction of the bytes
KEPT_MM = 16.0  # around the brain; what lies farther is stored as nothing
MARGIN_MM = 8.0  # kept around the box, for images that are moved
VALIDATION_SCANS, VALIDATION_ANATOMIES = 18, 3  # the last ones by name
KEPT_VALIDATION_SCANS = 12  # of them, the first: enough to validate on
FORNIX = {"L": (90, 89), "R": (89, 90)}  # DLMUSE codes of either half and of the other one


def crop(shape: tuple[int, ...], frame_to_index: Array) -> tuple[tuple[slice, ...], Array]:
    """Return what of an array (z, y, x) the box covers, and the affine from the frame to indices of that part."""
    corners = apply_affine(frame_to_index, box_corners_mm(MARGIN_MM))
    low = np.maximum(np.floor(corners.min(0)).astype(int), 0)
    high = np.minimum(np.ceil(corners.max(0)).astype(int) + 1, np.array(shape[::-1]))
    moved = frame_to_index.copy()
    moved[:3, 3] -= low
    return tuple(slice(int(a), int(b)) for a, b in zip(low[::-1], high[::-1], strict=True)), moved


def squeeze(volume: Array) -> Array:
    """Compress a uint8 volume; the bytes as a uint8 array."""
    return np.frombuffer(bz2.compress(np.ascontiguousarray(volume).tobytes(), 9), np.uint8)


def label_tables() -> dict[str, Any]:
    """Return the label schemes: codes of either, mirrors, and the step from DLMUSE to FreeSurfer.

    Returns
    -------
    dict
        `dlmuse`, `freesurfer`: codes in the order of their indices, 0 first. `mirror_dlmuse`, `mirror_freesurfer`:
        index of the same structure on the other side. `to_freesurfer`:
        index of each DLMUSE index in FreeSurfer's scheme, 0 where it has none.
    """
    place = {(s.name, s.side): s for s in STRUCTURES}
    other = {"L": "R", "R": "L", "-": "-"}
    mirror_of, code_of = {0: 0}, {0: 0}
    for structure in STRUCTURES:
        beside = place[structure.name, other[structure.side]]
        for number, code in enumerate(structure.dlmuse):
            mirror_of[code] = beside.dlmuse[number]
            code_of[code] = _freesurfer_code(structure, number)
    for side, (code, mirror) in FORNIX.items():  # its halves are one structure with the corpus callosum
        mirror_of[code] = mirror
        code_of[code] = FREESURFER_WHITE[side][0]
    codes, freesurfer = sorted(code_of), sorted(set(code_of.values()))
    mirror_code = {code_of[c]: code_of[mirror_of[c]] for c in codes}
    return {
        "dlmuse": codes,
        "freesurfer": freesurfer,
        "mirror_dlmuse": [codes.index(mirror_of[c]) for c in codes],
        "mirror_freesurfer": [freesurfer.index(mirror_code[c]) for c in freesurfer],
        "to_freesurfer": [freesurfer.index(code_of[c]) for c in codes],
    }


def _freesurfer_code(structure: Structure, number: int) -> int:
    """Return FreeSurfer's code of what DLMUSE numbers `number` in a structure; 0 where it has none."""
    if not structure.is_parcel:
        return structure.freesurfer[number] if number < len(structure.freesurfer) else 0
    if structure.side == "-":
        return 0
    is_white = structure.group.startswith("white")
    return (FREESURFER_WHITE if is_white else FREESURFER_CORTEX)[structure.side][0]


def pack_scan(path: Path, codes: Array, frame_of: FrameOf) -> tuple[dict[str, Any], dict[str, Array]]:
    """Pack one scan with its DLMUSE labels: what is said of it, and its volumes."""
    scan, labels = load_volume(str(path)), load_volume(str(path).replace("_T1", "_labels"))
    frame_to_lps = frame_of(scan.array, scan.grid)
    where, frame_to_index = crop(scan.array.shape, scan.grid.lps_to_index @ frame_to_lps)
    image, found = scan.array[where].astype(np.float32), codes[labels.array[where].astype(np.int64)]
    near = distance_transform_edt(found == 0, sampling=scan.grid.spacing[::-1]) <= KEPT_MM
    top = float(np.percentile(image[near], 99.7))
    volumes = {"image": np.rint(np.clip(image * near / top, 0, 1) * LEVELS).astype(np.uint8), "labels": found}
    return {"name": path.name.split("_")[0], "frame_to_index": frame_to_index.tolist()}, volumes


def pack_anatomy(path: Path, frame_of: FrameOf) -> tuple[dict[str, Any], dict[str, Array]]:
    """Pack one label map at its own resolution, as byte codes; its frame is found painted as T1."""
    volume = load_volume(str(path))
    tissue = to_byte_codes(volume.array.astype(np.int16))
    painted = np.array(CONTRASTS["t1"], np.float32)[tissue_of_code()][tissue]
    frame_to_lps = frame_of(painted, volume.grid)
    where, frame_to_index = crop(tissue.shape, volume.grid.lps_to_index @ frame_to_lps)
    said = {"name": path.name.split(".")[0], "frame_to_index": frame_to_index.tolist()}
    return said, {"tissue": tissue[where]}


def make_pack(
    root: Path, output: Path, frame_of: FrameOf, encoder: dict[str, Array], *, validation: int = VALIDATION_SCANS
) -> dict[str, Any]:
    """Write a pack.

    Parameters
    ----------
    root : Path
        `root/ixi` holds `*_T1.nii.gz` with `*_labels.nii.gz` (DLMUSE), `root/labelmaps` FreeSurfer-coded maps.
    output : Path
    frame_of : callable
    encoder : dict of ndarray
        Weights of the anatomy network, to start the encoder from; may be empty.
    validation : int
        How many scans, the last ones by name, are kept for validation.

    Returns
    -------
    dict
        What the pack says of itself.
    """
    tables = label_tables()
    lookup = np.zeros(4096, np.uint8)
    lookup[tables["dlmuse"]] = np.arange(len(tables["dlmuse"]))
    images = sorted((root / "ixi").glob("*_T1.nii.gz"))
    maps = sorted((root / "labelmaps").glob("*.nii.gz"))
    about: dict[str, Any] = {"tables": tables, "levels": LEVELS, "scans": [], "anatomies": []}
    arrays: dict[str, Array] = {}
    held = images[-validation:]
    for path in [p for p in images if p not in held[KEPT_VALIDATION_SCANS:]]:
        said, volumes = pack_scan(path, lookup, frame_of)
        _add(about["scans"], arrays, said, volumes, path in held)
    for path in maps:
        said, volumes = pack_anatomy(path, frame_of)
        _add(about["anatomies"], arrays, said, volumes, path in maps[-VALIDATION_ANATOMIES:])
    for name, weights in encoder.items():
        arrays[f"encoder.{name}"] = weights.astype(np.float16)
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    output.parent.mkdir(parents=True, exist_ok=True)
    with open_atomic(output) as stream:
        np.savez(stream, **arrays)  # type: ignore[arg-type]
    return about


def _add(
    subjects: list[dict[str, Any]],
    arrays: dict[str, Array],
    said: dict[str, Any],
    volumes: dict[str, Array],
    held: bool,
) -> None:
    for kind, volume in volumes.items():
        arrays[f"{said['name']}.{kind}"] = squeeze(volume)
        said["shape"] = list(volume.shape)
    subjects.append({**said, "validation": held})
