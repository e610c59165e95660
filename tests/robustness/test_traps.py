"""The traps: what must be refused is, the others lie where they should, a few are registered."""

import nibabel
import numpy as np
import pytest

from stnreg.errors import DataError
from stnreg.images.inputs import take_volume
from stnreg.images.volume import load_volume
from tests.robustness import trap_files, traps


@pytest.fixture
def head():
    """Return the head with every third voxel: enough to see where it lies."""
    whole = trap_files.load_head()
    return trap_files.Head(np.ascontiguousarray(whole.array[::3, ::3, ::3]), whole.affine @ np.diag([3, 3, 3, 1]))


def test_what_must_be_refused_is_with_its_name(head, tmp_path):
    refused = {name: trap for name, trap in traps.TRAPS.items() if trap.outcome == "refused"}
    assert len(refused) > 15
    for number, trap in enumerate(refused.values()):
        folder = tmp_path / str(number)
        folder.mkdir()
        path = trap.write(head, folder)
        with pytest.raises(DataError) as caught:
            load_volume(path)
        assert str(path) in str(caught.value)


def test_the_others_lie_where_they_should(head, tmp_path):
    """The middle of the head's mass is where the truth says; what samples the head anew is left to the benchmark."""
    nibabel.save(nibabel.Nifti1Image(head.array, head.affine), tmp_path / "clean.nii")
    clean = load_volume(tmp_path / "clean.nii")
    expected = clean.grid.index_to_lps @ (*_middle(clean.array), 1)
    aligned = {name: trap for name, trap in traps.TRAPS.items() if trap.outcome == "aligned" and not trap.is_sampled}
    assert len(aligned) > 20
    for number, (name, trap) in enumerate(aligned.items()):
        folder = tmp_path / str(number)
        folder.mkdir()
        volume = take_volume(load_volume(trap.write(head, folder), series=True), "mean")
        found = volume.grid.index_to_lps @ (*_middle(volume.array), 1)
        truth = np.eye(4) if trap.moved is None else trap.moved(clean.grid, volume.grid)
        assert np.linalg.norm(found - truth @ expected) < 0.15, name


def _middle(array: np.ndarray) -> np.ndarray:
    return np.argwhere(array > 60)[:, ::-1].mean(axis=0)


@pytest.mark.parametrize("name", ["qform and sform differ, codes 1 and 2"])
def test_a_trap_is_registered_to_its_clean_twin(tmp_path, name):
    status, error_mm = traps.run_trap(traps.TRAPS[name], tmp_path)
    assert status == 0
    assert error_mm < traps.LIMIT_MM
