"""Files that do not say where left and right are: read as other tools read them, and never without a word."""

import gzip
from pathlib import Path

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from scipy.io import savemat

from stnreg.geometry.orientation import lps_from_ras
from stnreg.images.volume import load_reference, load_volume

ARRAY = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)


@pytest.fixture
def analyze(tmp_path: Path) -> Path:
    image = nibabel.AnalyzeImage(ARRAY, np.diag([-2.0, 2, 2, 1]))
    nibabel.save(image, tmp_path / "head.img")
    return tmp_path / "head.img"


@pytest.mark.parametrize("suffix", [".img", ".hdr"])
def test_analyze_warns_that_left_and_right_are_a_guess(analyze: Path, suffix: str) -> None:
    volume = load_volume(analyze.with_suffix(suffix))
    (warning,) = volume.warnings
    assert "left and right are a guess" in warning
    assert "LAS" in warning
    assert "in the middle" in warning
    assert np.allclose(volume.grid.center_lps, 0)
    assert load_reference(analyze.with_suffix(suffix)).warnings == volume.warnings


def test_the_matrix_of_spm_beside_it_is_used_and_said(analyze: Path) -> None:
    index_to_ras = np.array([[2.0, 0, 0, -7], [0, 2, 0, -8], [0, 0, 2, -9], [0, 0, 0, 1]])
    from_one = np.eye(4)
    from_one[:3, 3] = -1
    savemat(analyze.with_suffix(".mat"), {"mat": index_to_ras @ from_one}, format="4")  # SPM counts voxels from 1
    volume = load_volume(analyze)
    assert np.allclose(volume.grid.index_to_lps, lps_from_ras(index_to_ras))
    (warning,) = volume.warnings
    assert "head.mat beside it" in warning
    assert "a guess" not in warning


def test_the_origin_of_spm_is_named(analyze: Path) -> None:
    header = bytearray(analyze.with_suffix(".hdr").read_bytes())
    header[253:259] = np.array([3, 4, 5], "<i2").tobytes()
    analyze.with_suffix(".hdr").write_bytes(header)
    assert "SPM's origin" in load_reference(analyze).warnings[0]


def test_a_pair_of_nifti_with_codes_is_quiet(tmp_path: Path) -> None:
    nibabel.save(nibabel.Nifti1Pair(ARRAY, np.diag([2.0, 2, 2, 1])), tmp_path / "head.img")
    assert load_volume(tmp_path / "head.img").warnings == ()


@pytest.mark.parametrize("suffix", [".mgh", ".mgz"])
def test_freesurfer_geometry_that_is_not_valid_is_said(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"head{suffix}"
    nibabel.save(nibabel.MGHImage(ARRAY, np.diag([2.0, 2, 2, 1])), path)
    assert load_volume(path).warnings == ()
    content = path.read_bytes() if suffix == ".mgh" else gzip.decompress(path.read_bytes())
    content = content[:28] + b"\0\0" + content[30:]
    path.write_bytes(content if suffix == ".mgh" else gzip.compress(content))
    assert "left and right" in load_volume(path).warnings[0]


def test_nrrd_and_metaimage_without_directions(tmp_path: Path) -> None:
    for suffix in (".nrrd", ".mha"):
        path = tmp_path / f"head{suffix}"
        sitk.WriteImage(sitk.GetImageFromArray(ARRAY), str(path))
        assert load_volume(path).warnings == ()
        kept = [
            line
            for line in path.read_bytes().split(b"\n", 14)
            if not line.startswith((b"space directions", b"space:", b"kinds", b"TransformMatrix"))
        ]
        path.write_bytes(b"\n".join(kept))
        assert "left and right are a guess" in load_volume(path).warnings[0], suffix
