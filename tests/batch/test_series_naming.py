from pathlib import Path

from stnreg.batch.series_naming import bids, in_folder, plain
from stnreg.datasets.subject_table import Subject

OUT = Path("/out")


def test_plain_names():
    subject = Subject("Zoë", ("a", "template"), (Path("a.nii"), Path("template.nii")))
    own = in_folder(subject, OUT)
    assert own.visits["a"].transform == OUT / "a.tfm"
    assert own.visits["template"].image == OUT / "visit-template.nii.gz" != own.template
    assert own.between["a", "template"] == OUT / "between" / "a_to_visit-template.tfm"
    assert plain(subject, OUT).template == OUT / "Zo%C3%AB" / "template.nii.gz"


def test_names_of_bids_derivatives():
    images = tuple(Path(f"/d/sub-01/ses-0{k}/anat/sub-01_ses-0{k}_T1w.nii.gz") for k in (1, 2))
    own = bids(Subject("sub-01", ("ses-01", "ses-02"), images), OUT)
    folder = OUT / "sub-01" / "anat"
    assert own.visits["ses-01"].transform == folder / "sub-01_from-ses01_to-subject_mode-image_xfm.tfm"
    assert own.between["ses-01", "ses-02"] == folder / "sub-01_from-ses01_to-ses02_mode-image_xfm.tfm"
    assert own.visits["ses-02"].image == folder / "sub-01_ses-02_space-subject_T1w.nii.gz"
    assert own.template == folder / "sub-01_desc-template_T1w.nii.gz"
