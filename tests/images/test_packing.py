"""Names that do not say how a file is packed: refused, with the name that fits."""

import gzip
import re

import nibabel
import numpy as np
import pytest

from stnreg.errors import DataError
from stnreg.images.volume import load_volume

HEAD = nibabel.Nifti1Image(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)).to_bytes()
FREESURFER = nibabel.MGHImage(np.arange(60, dtype=np.int16).reshape(3, 4, 5), np.eye(4)).to_bytes()


@pytest.mark.parametrize(
    ("name", "content", "better"),
    [
        ("a.nii", gzip.compress(HEAD), "a.nii.gz"),
        ("a.nii.gz", HEAD, "a.nii"),
        ("b.c.mgh", gzip.compress(FREESURFER), "b.c.mgz"),
        ("b.c.mgz", FREESURFER, "b.c.mgh"),
    ],
)
def test_the_correct_name_is_reported_and_works(tmp_path, name, content, better):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"Rename it to {re.escape(better)}$"):
        load_volume(path)
    assert load_volume(path.rename(tmp_path / better)).grid.size == (3, 4, 5)


def test_what_is_no_image_at_all_is_not_renamed(tmp_path):
    (tmp_path / "a.nii.gz").write_text("<html>404</html>")
    with pytest.raises(DataError, match="nor an image"):
        load_volume(tmp_path / "a.nii.gz")
