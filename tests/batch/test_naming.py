import re
from pathlib import Path

import pytest

from stnreg.batch.derivatives import describe_dataset
from stnreg.batch.naming import bids, is_stripped, plain, space_of, uri
from stnreg.datasets.pair_table import Pair
from stnreg.errors import DataError

OUT = Path("/out")


def bids_pair(fixed: str, moving: str) -> Pair:
    return Pair(Path(fixed), Path(moving), "1")


def test_a_folder_for_each_id():
    outputs = plain(Pair(Path("a.nii"), Path("b.nii"), "sub-01_v2.1"), OUT)
    assert outputs.transform == OUT / "sub-01_v2.1" / "moved.tfm"
    assert outputs.image == OUT / "sub-01_v2.1" / "moved.nii.gz"


NAMES = (
    "../x",
    "a/b",
    "a b",
    "a_b",
    "a%20b",
    "a~b",
    ".hidden",
    "-o",
    "Zo\u00eb",
    "Zoe\u0308",
    "x" * 400,
    "x" * 401,
    "é" * 90,
)


def test_any_id_names_a_folder_of_its_own():
    folders = [plain(Pair(Path("a.nii"), Path("b.nii"), name), OUT).transform.parent for name in NAMES]
    assert len({*folders}) == len(NAMES)
    for folder in folders:
        assert folder.parent == OUT
        assert re.fullmatch("[A-Za-z0-9%][A-Za-z0-9._+%~-]*", folder.name)
        assert len(folder.name) <= 200


def test_bids_names_to_a_template():
    pair = bids_pair("/t/tpl-MNI152NLin2009aSym_res-1_T1w.nii.gz", "/d/sub-01/ses-2/anat/sub-01_ses-2_run-1_T1w.nii.gz")
    outputs = bids(pair, OUT)
    own = OUT / "sub-01/ses-2/anat"
    assert outputs.transform == own / "sub-01_ses-2_run-1_from-T1w_to-MNI152NLin2009aSym_mode-image_xfm.tfm"
    assert outputs.document == outputs.transform.with_suffix(".json")
    assert outputs.image == own / "sub-01_ses-2_run-1_space-MNI152NLin2009aSym_T1w.nii.gz"
    assert outputs.image_document == own / "sub-01_ses-2_run-1_space-MNI152NLin2009aSym_T1w.json"


@pytest.mark.parametrize(
    ("fixed", "label"),
    [
        ("sub-01_ses-2_T1w.nii.gz", "T1w"),
        ("sub-01_ses-1_T1w.nii.gz", "ses1T1w"),
        ("sub-02_ses-2_T1w.nii.gz", "sub02T1w"),
        ("mni_icbm152_t1.nii.gz", "mniicbm152t1"),
    ],
)
def test_a_space_is_named_by_its_distinguishing_entities(fixed, label):
    assert space_of(Path(fixed), {"sub": "01", "ses": "2"}) == label


def test_bids_needs_a_subject():
    with pytest.raises(DataError, match="sub-01_T1w"):
        bids(bids_pair("/t/tpl-A_T1w.nii.gz", "/d/scan.nii.gz"), OUT)


def test_a_skull_is_there_unless_the_source_says_otherwise(tmp_path):
    scan = tmp_path / "sub-01_T1w.nii.gz"
    assert not is_stripped(scan)
    assert is_stripped(tmp_path / "sub-01_desc-brain_T1w.nii.gz")
    (tmp_path / "sub-01_T1w.json").write_text('{"SkullStripped": true}')
    assert is_stripped(scan)


def test_sources_are_uris_of_their_dataset(tmp_path):
    root = tmp_path / "ds-11"
    image = root / "sub-01" / "anat" / "sub-01_T1w.nii.gz"
    image.parent.mkdir(parents=True)
    assert uri(image) == str(image)
    (root / "dataset_description.json").write_text("{}")
    assert uri(image) == "bids:ds11:sub-01/anat/sub-01_T1w.nii.gz"
    described = describe_dataset([bids_pair(str(image), str(image))], "stnreg: out")
    assert described["DatasetLinks"] == {"ds11": root.as_uri()}
    assert described["DatasetType"] == "derivative"


def test_a_deformation_has_a_file_beside_the_affine_or_lies_in_one_composite_with_it():
    pair = bids_pair("/t/tpl-A_T1w.nii.gz", "/d/sub-01/anat/sub-01_T1w.nii.gz")
    apart, whole = plain(pair, OUT, True), bids(pair, OUT, True)
    assert (apart.warp, apart.transform) == (OUT / "1" / "moved_warp.nii.gz", OUT / "1" / "moved.tfm")
    assert whole.warp is None
    assert whole.transform == OUT / "sub-01/anat/sub-01_from-T1w_to-A_mode-image_xfm.h5"
    assert whole.document == whole.transform.with_suffix(".json")
