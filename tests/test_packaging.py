"""The recipes in packaging/ name what the project needs, and files that are there."""

import importlib.util
import re
import tomllib
from pathlib import Path

import stnreg

ROOT = Path(__file__).parents[1]
PACKAGING = ROOT / "packaging"
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT, DEPENDENCIES = PYPROJECT["project"], PYPROJECT["tool"]["hatch"]["metadata"]["hooks"]["custom"]["dependencies"]
OTHER_NAMES = {"python-isal": "isal"}  # on conda-forge


def lines_under(text, key):
    """Return the items of a list of a YAML file."""
    body = re.search(rf"^( *){key}:\n((?:\1 +- .*\n)+)", text, re.MULTILINE)[2]
    return [re.sub(r" +#.*", "", line).strip().removeprefix("- ") for line in body.splitlines()]


def test_the_recipe_of_conda_has_the_version_and_requirements_of_the_project():
    recipe = (PACKAGING / "conda" / "recipe.yaml").read_text()
    recipe = recipe.replace("${{ python_min }}", re.search(r'\n  python_min: "(.*)"\n', recipe)[1])
    assert f"\n  version: {stnreg.__version__}\n" in recipe
    asked = {line.partition(" ")[0]: line.partition(" ")[2] for line in lines_under(recipe, "run")}
    assert asked.pop("python") == PROJECT["requires-python"]
    ours = [*DEPENDENCIES["all"], *DEPENDENCIES["small"], "SimpleITK>=2.4"]
    wanted = dict(re.match(r"([\w-]+)(.*)", line).groups() for line in ours)
    named = {OTHER_NAMES.get(name, name): version for name, version in asked.items()}
    assert named == {name.lower(): version for name, version in wanted.items()}
    scripts = [f"{name} = {place}" for name, place in PROJECT["scripts"].items()]
    assert lines_under(recipe, "entry_points") == scripts
    assert all(importlib.util.find_spec(name) for name in lines_under(recipe, "imports"))
    assert all((ROOT / name).is_file() for name in lines_under(recipe, "license_file"))


def test_both_containers_run_the_same_steps():
    for name in ("Containerfile", "stnreg.def"):
        text = (PACKAGING / "container" / name).read_text()
        assert "sh /src/packaging/container/install.sh /src /opt/stnreg" in text
        assert "debian:bookworm-slim" in text
        assert "PATH=/opt/stnreg/bin:$PATH" in text
        assert "stnreg-bids" in text
    assert (PACKAGING / "container" / "install.sh").is_file()


def test_what_a_container_is_built_of_is_not_left_out_of_its_tree():
    left_out = (ROOT / ".containerignore").read_text().split()
    for needed in (
        "stnreg",
        "weights",
        "templates",
        "man",
        "packaging",
        "README.md",
        "LICENSE",
        "NOTICE",
        "pyproject.toml",
    ):
        assert needed not in left_out
    assert (ROOT / ".dockerignore").read_text() == (ROOT / ".containerignore").read_text()
