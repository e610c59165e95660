"""Detect files that are compressed without the suffix for it, or vice versa."""

from pathlib import Path

from stnreg.errors import DataError

GZIP_HEAD = b"\x1f\x8b"
UNPACKED = {".nii.gz": ".nii", ".mgz": ".mgh"}
PACKED = {".nii": ".nii.gz", ".mgh": ".mgz"}
_NIFTI_HEADS = tuple(size.to_bytes(4, order) for size in (348, 540) for order in ("little", "big"))
_MGH_HEAD = b"\0\0\0\1"


def check_packing(path: Path) -> None:
    """Raise DataError if an image is compressed and its suffix is not, or vice versa.

    Raises
    ------
    DataError
        With the correct suffix.
    """
    with open(path, "rb") as stream:
        head = stream.read(4)
    name = path.name.lower()
    named_packed = next((suffix for suffix in UNPACKED if name.endswith(suffix)), None)
    named_plain = next((suffix for suffix in PACKED if name.endswith(suffix)), None)
    if named_packed is not None and not head.startswith(GZIP_HEAD):
        if head in _NIFTI_HEADS or head == _MGH_HEAD:
            better = path.name[: -len(named_packed)] + UNPACKED[named_packed]
            raise DataError(f"{path}: is named {named_packed}, but is not packed by gzip. Rename it to {better}")
        raise DataError(f"{path}: is named {named_packed}, but is not packed by gzip, nor an image. Copy it again.")
    if named_plain is not None and head.startswith(GZIP_HEAD):
        better = path.name[: -len(named_plain)] + PACKED[named_plain]
        raise DataError(f"{path}: is named {named_plain}, but is packed by gzip. Rename it to {better}")
