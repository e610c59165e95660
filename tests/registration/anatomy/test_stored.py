"""The encoding that is kept beside a template is what the network finds in it."""

import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np

import stnreg
from stnreg.images.templates import find_template
from stnreg.models.card import find
from stnreg.registration.anatomy import stored
from stnreg.registration.anatomy.stored import file_of, save_encoding, stored_encoding

ROOT = Path(__file__).parents[3]
MOVING = ROOT / "examples" / "moving.nii.gz"


def test_the_stored_encoding_is_that_of_the_shipped_network():
    done = subprocess.run([sys.executable, ROOT / "templates" / "encode.py", "--check"], check=False)
    assert done.returncode == 0


def test_a_registration_to_the_name_is_that_to_a_copy_of_the_file(tmp_path):
    copy = shutil.copy(find_template("MNI152").path, tmp_path / "template.nii.gz")
    by_name, by_file = (stnreg.register(fixed, MOVING, threads=1) for fixed in ("MNI152", copy))
    # Another processor may have rounded what is stored otherwise: a thousandth of a mm.
    assert np.abs(by_name.fixed_to_moving - by_file.fixed_to_moving).max() < 1e-3
    assert by_name.verdict.passed == by_file.verdict.passed


def test_another_network_and_another_image_have_none(tmp_path, monkeypatch):
    path, weights = find_template("MNI152").path, find("anatomy")
    assert stored_encoding(path, weights) is not None
    assert stored_encoding(path, replace(weights, sha256="0" * 64)) is None
    assert stored_encoding(MOVING, weights) is None
    assert stored_encoding("", weights) is None  # an image in memory has no path
    assert stored_encoding(shutil.copy(path, tmp_path), weights) is None


def test_it_is_written_byte_for_byte_as_it_is_read(tmp_path):
    path, weights = find_template("MNI152").path, find("anatomy")
    for name in ("again.npz", "once-more.npz"):
        save_encoding(tmp_path / name, stored_encoding(path, weights), weights)
    again = tmp_path / "again.npz"
    assert again.read_bytes() == (tmp_path / "once-more.npz").read_bytes()
    with zipfile.ZipFile(again) as written, zipfile.ZipFile(file_of(path)) as read:
        # Versions of Python differ in the headers of a zip file.
        assert [(one.filename, one.date_time, one.CRC) for one in written.infolist()] == [
            (one.filename, one.date_time, one.CRC) for one in read.infolist()
        ]
    assert np.iinfo(np.uint16).max == stored.LEVELS
