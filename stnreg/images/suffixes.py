"""Suffixes of image files, by use."""

NIFTI = (".nii", ".nii.gz")  # written, and found in BIDS datasets
NIBABEL = (*NIFTI, ".hdr", ".img", ".mgz", ".mgh")  # read by nibabel
RAW = (".nrrd", ".nhdr", ".mha", ".mhd")  # read by `raw_voxels`
PACKED = (".gz", ".mgz")  # compressed
SCANS = (*NIFTI, ".mgz")  # found in folders of scans
IMAGES = (*SCANS, ".nrrd", ".mha")  # found in folders of label maps, and taken for images where a transform is expected
