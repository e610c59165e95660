"""Templates by name: what comes with stnreg, what TemplateFlow has fetched, and files of the same name."""

import numpy as np
import pytest

from stnreg.errors import DataError
from stnreg.geometry.orientation import axis_codes
from stnreg.images.templates import FOLDERS, find_template, is_shipped, locate, templates_here
from stnreg.images.volume import load_reference, load_volume


@pytest.fixture
def flow(tmp_path, monkeypatch):
    """A cache of TemplateFlow: an empty file for each image that was not fetched."""
    monkeypatch.setenv("TEMPLATEFLOW_HOME", str(tmp_path / "flow"))

    def hold(name, content=b""):
        path = tmp_path / "flow" / f"tpl-{name.split('_')[0]}" / f"tpl-{name}"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return path

    return hold


def test_mni152_comes_with_its_notice():
    template = find_template("MNI152")
    assert is_shipped(template.path)
    volume = load_volume("MNI152")
    assert volume.array.shape == (189, 233, 197)
    assert "".join(axis_codes(volume.grid)) == "RAS"
    assert np.allclose(volume.grid.spacing, 1)
    notice = (template.path.parent / "NOTICE-MNI152.txt").read_text()
    assert "provided that the above copyright notice appear in all copies" in " ".join(notice.split())
    assert load_reference("MNI152NLin2009aSym").path == volume.path


def test_a_file_of_the_same_name_is_not_shadowed_silently(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert locate("MNI152").warnings == ()
    (tmp_path / "MNI152").mkdir()
    found = locate("MNI152")
    assert found.path.parent in FOLDERS
    (warning,) = found.warnings
    assert "./MNI152" in warning
    assert warning in load_reference("MNI152").warnings
    assert not is_shipped(locate("./MNI152").path)


def test_a_path_is_no_name(tmp_path):
    for name in ("MNI152.nii.gz", "a/MNI152", str(tmp_path / "MNI152"), "sub-01"):
        assert str(locate(name).path) == name


@pytest.mark.parametrize(("wrong", "said"), [("mni152", "Did you mean MNI152?"), ("Nowhere", "templateflow get")])
def test_an_unknown_name_says_what_to_do(flow, wrong, said):
    with pytest.raises(DataError, match="no template of this name") as refused:
        locate(wrong)
    assert said in str(refused.value)


def test_templateflow_is_read_from_its_cache(flow):
    flow("MNI152NLin6Asym_res-01_T1w.nii.gz")
    assert find_template("MNI152NLin6Asym") is None
    with pytest.raises(DataError, match="templateflow get MNI152NLin6Asym"):
        locate("MNI152NLin6Asym")
    coarse = flow("MNI152NLin6Asym_res-02_T1w.nii.gz", b"x")
    assert locate("MNI152NLin6Asym").path == coarse
    fine = flow("MNI152NLin6Asym_res-01_T1w.nii.gz", b"x")
    brain = flow("MNI152NLin6Asym_res-01_desc-brain_T1w.nii.gz", b"x")
    flow("MNI152NLin6Asym_res-01_desc-brain_mask.nii.gz", b"x")
    assert locate("MNI152NLin6Asym").path == fine
    assert locate("MNI152NLin6Asym:res-2").path == coarse
    assert locate("MNI152NLin6Asym:desc-brain").path == brain
    assert [one.name for one in templates_here()] == ["MNI152", "MNI152NLin6Asym"]
    with pytest.raises(DataError, match="no such image"):
        locate("MNI152NLin6Asym:suffix-T2w")
    with pytest.raises(DataError, match="expected entities"):
        locate("MNI152NLin6Asym:colour-red")


def test_of_several_cohorts_one_is_to_be_chosen(flow):
    one, two = (flow(f"MNIPediatricAsym_cohort-{k}_res-1_T1w.nii.gz", b"x") for k in (1, 2))
    with pytest.raises(DataError, match="MNIPediatricAsym:cohort-1, MNIPediatricAsym:cohort-2"):
        locate("MNIPediatricAsym")
    assert locate("MNIPediatricAsym:cohort-2").path == two != one
