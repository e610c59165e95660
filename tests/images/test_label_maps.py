"""Label maps are distinguished from images, for any stored type."""

import numpy as np
import pytest

from stnreg.images.label_maps import blurred, looks_like_labels
from stnreg.images.volume import Volume, load_volume

TYPES = (np.uint8, np.int16, np.uint16, np.int32, np.float32)


@pytest.fixture(scope="module")
def head(phantom, grids_by_name):
    """Return a smooth head from 0 to 1, and its label map."""
    grid = grids_by_name["LPS"]
    array = np.clip(phantom.volume(grid).array, 0, None)
    return array / array.max(), phantom.volume(grid, labels=True)


@pytest.mark.parametrize("dtype", TYPES)
def test_labels_and_masks_are_labels(head, dtype):
    labels = head[1].array
    assert looks_like_labels(labels.astype(dtype))
    assert looks_like_labels((labels > 0).astype(dtype))
    assert looks_like_labels((labels * 401).astype(np.int32))
    assert looks_like_labels(labels > 0)
    assert looks_like_labels((labels * np.float32(7014.9999 / 7015)).astype(np.float32))


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("levels", [16, 100, 255])
@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_scans_are_no_labels(head, dtype, levels, noise):
    scan = head[0] + noise * np.random.default_rng(0).normal(size=head[0].shape)
    assert not looks_like_labels(np.rint(np.clip(scan, 0, 1) * levels).astype(dtype))


def test_a_small_lesion_between_the_sampled_slices_is_found():
    mask = np.zeros((128, 128, 128), np.uint8)
    mask[3, 50:53, 60:62] = 1
    assert looks_like_labels(mask)


def test_one_value_and_a_series_are_not_tested():
    assert not looks_like_labels(np.ones((8, 8, 8), np.uint8))
    assert not looks_like_labels(np.zeros((2, 8, 8, 8), np.uint8))


def test_the_warning_names_the_file_and_no_option(head):
    volume = Volume(head[1].array, head[1].grid, path="labels.nii.gz")
    (warning,) = blurred(volume, "linear")
    assert warning.startswith("labels.nii.gz: looks like a label map")
    assert "--" not in warning
    assert blurred(volume, "nearest") == blurred(volume, "label") == ()


def test_real_scans_and_their_labels(shared):
    train = shared("data/train")
    labels = sorted(train.glob("*/*_labels.nii.gz"))[:3] + sorted((train / "labelmaps").glob("*.nii.gz"))[:3]
    scans = sorted(train.parent.glob("*/*/*T1*.nii.gz"))[::20] + sorted(shared("data/templates").glob("*"))
    assert labels
    assert scans
    assert all(looks_like_labels(load_volume(path).array) for path in labels)
    for path in scans:
        array = load_volume(path).array
        top = np.percentile(array, 99.9)
        for kind, most in ((np.uint8, 255), (np.int16, 3000)):
            assert not looks_like_labels(np.rint(np.clip(array / top, 0, 1) * most).astype(kind)), path
