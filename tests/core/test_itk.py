"""SimpleITK may be missing: what can do without it does, and what cannot says what to install."""

import pytest

from stnreg.core import itk
from stnreg.errors import UsageProblem


def test_it_is_given_where_it_is_installed():
    assert itk.itk_for("this test").Version().MajorVersion() >= 2


def test_the_message_says_what_needs_it_and_how_to_get_it(monkeypatch):
    monkeypatch.setattr(itk, "has_itk", lambda: False)
    with pytest.raises(UsageProblem, match=r"a DICOM series needs SimpleITK.*pip install SimpleITK"):
        itk.itk_for("a DICOM series")
