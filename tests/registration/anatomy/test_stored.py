"""The encoding that is kept beside a template is what the network finds in it."""

import shutil
import subprocess
import sys
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
    assert np.abs(by_name.fixed_to_moving - by_file.fixed_to_moving).max() < 1e-4
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
    save_encoding(tmp_path / "again.npz", stored_encoding(path, weights), weights)
    assert (tmp_path / "again.npz").read_bytes() == file_of(path).read_bytes()
    assert np.iinfo(np.uint16).max == stored.LEVELS
