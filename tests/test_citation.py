"""What people are asked to cite is this version of this program."""

import re
import tomllib
from pathlib import Path

import stnreg

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CITATION.cff").read_text(encoding="utf-8")


def value_of(key: str) -> str:
    return re.search(rf"^{key}: (.*)$", TEXT, re.MULTILINE)[1].strip('"')


def test_it_names_this_version_and_license():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert value_of("version") == stnreg.__version__
    assert value_of("license") == project["license"]
    assert value_of("cff-version") == "1.2.0"
    assert f"name: {project['authors'][0]['name']}" in TEXT
