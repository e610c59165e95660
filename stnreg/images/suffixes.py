"""Suffixes of image files, by use."""

from pathlib import Path

NIFTI = (".nii", ".nii.gz")  # found in BIDS datasets, and of displacement fields
WRITTEN = (*NIFTI, ".mgz", ".nrrd", ".mha")
NIBABEL = (*NIFTI, ".hdr", ".img", ".mgz", ".mgh")  # read by nibabel
RAW = (".nrrd", ".nhdr", ".mha", ".mhd")  # read by `raw_voxels`
PACKED = (".gz", ".mgz")  # compressed
SCANS = (*NIFTI, ".mgz")  # found in folders of scans
IMAGES = (*SCANS, ".nrrd", ".mha")  # found in folders of label maps, and taken for images where a transform is expected


def stem(path: Path) -> str:
    """Return the name of an image without its suffix.

    Examples
    --------
    >>> stem(Path("a/sub-01_T1w.nii.gz"))
    'sub-01_T1w'
    """
    name = path.name
    suffix = max((one for one in (*NIBABEL, *RAW) if name.lower().endswith(one)), key=len, default="")
    return name[: len(name) - len(suffix)]
