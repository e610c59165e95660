"""What the build puts into a wheel beside the package, and the check of it that CI runs."""

import runpy
import sys
import tomllib
import types
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
DATA = ("stnreg/weights/", "stnreg/templates/")


@pytest.fixture(scope="module")
def check():
    return types.SimpleNamespace(**runpy.run_path(str(ROOT / ".ci" / "check_wheel.py")))


@pytest.fixture
def hooks(monkeypatch):
    """The build's hooks; their base classes are hatchling's, which only a build needs, and are stood in for here."""
    for name, base in (
        ("hatchling.builders.hooks.plugin.interface", "BuildHookInterface"),
        ("hatchling.metadata.plugin.interface", "MetadataHookInterface"),
    ):
        parts = name.split(".")
        for depth in range(1, len(parts) + 1):
            known = ".".join(parts[:depth])
            monkeypatch.setitem(sys.modules, known, types.ModuleType(known))
        setattr(sys.modules[name], base, object)
    return types.SimpleNamespace(**runpy.run_path(str(ROOT / "hatch_build.py")))


@pytest.fixture
def dependencies(hooks, monkeypatch):
    """Return what a wheel asks for, by the value of the environment variable that chooses the installation."""

    def of(chosen):
        monkeypatch.setenv("STNREG_INSTALL", chosen)
        hook, metadata = hooks.Dependencies(), {}
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        hook.config = project["tool"]["hatch"]["metadata"]["hooks"]["custom"]
        hook.update(metadata)
        assert "dependencies" in project["project"]["dynamic"], "or hatchling refuses what the hook adds"
        return metadata["dependencies"]

    return of


@pytest.fixture
def packed(hooks, check):
    """Return the names in the wheel of a tree."""

    def names(root=ROOT, version="standard"):
        build = hooks.ShipWeightsAndPages()
        build.root = str(root)
        data = {"shared_data": {}, "force_include": {}}
        build.initialize(version, data)
        code = [name for name in check.expected(root) if name.startswith("stnreg/") and not name.startswith(DATA)]
        about = [f"stnreg-0.1.0.dist-info/{name}" for name in check.ABOUT]
        shared = [f"stnreg-0.1.0.data/data/{place}" for place in data["shared_data"].values()]
        assert all(Path(source).is_file() for source in (*data["shared_data"], *data["force_include"]))
        return [*code, *about, *shared, *data["force_include"].values()]

    return names


def test_the_wheel_of_this_tree_is_whole(packed, check):
    assert check.faults(packed()) == []
    assert "stnreg/reports/page.py" in check.expected()
    assert "stnreg/reports/assets/pair.html" in check.expected()


def test_whatever_is_missing_is_named(packed, check):
    names = packed()
    for gone in names:
        (fault,) = check.faults(set(names) - {gone})
        assert fault == f"not in the wheel: {gone.replace('stnreg-0.1.0.', 'stnreg.')}"


@pytest.fixture
def tree(tmp_path):
    """A tree with the names of this one, and nothing in its files."""
    for folder in ("weights", "templates", "man", "stnreg"):
        for path in filter(Path.is_file, (ROOT / folder).rglob("*")):
            copy = tmp_path / path.relative_to(ROOT)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.touch()
    return tmp_path


def test_what_training_leaves_stays_out(packed, check, tree):
    for left in ("new-synthetic.onnx", "new-synthetic.json", "new.safetensors", "last.ckpt"):
        (tree / "weights" / left).touch()
    assert check.faults(packed(tree), tree) == []
    extra = [*packed(tree), "stnreg/weights/last.ckpt"]
    assert check.faults(extra, tree) == ["should not be in the wheel: stnreg/weights/last.ckpt"]


@pytest.mark.parametrize(
    ("gone", "place"),
    [
        ("weights/anatomy-pose.onnx", "stnreg/weights/anatomy-pose.onnx"),
        ("weights/affine.json", "stnreg/weights/affine.json"),
        ("man/stnreg-batch.1", "stnreg.data/data/share/man/man1/stnreg-batch.1"),
    ],
)
def test_what_the_tree_lacks_is_missed(packed, check, tree, gone, place):
    (tree / gone).unlink()
    assert check.faults(packed(tree), tree) == [f"not in the wheel: {place}"]


def test_an_editable_install_reads_the_tree_itself(packed):
    assert not [name for name in packed(version="editable") if name.startswith(DATA)]


def test_the_small_runtime_stands_in_for_the_large_one(check):
    metadata = """Name: stnreg
Requires-Dist: numpy>=2.0
Requires-Dist: onnxruntime-gpu>=1.20; sys_platform != 'darwin' and platform_machine == 'x86_64'
Requires-Dist: onnxruntime>=1.20; sys_platform == 'darwin'
Requires-Dist: torch<2.14,>=2.6; extra == 'train'
"""
    assert check.needed(metadata) == ["numpy>=2.0", "onnxruntime>=1.20"]


def test_a_file_is_checked_as_its_names_are(check, packed, tmp_path, capsys):
    def wheel(names):
        with zipfile.ZipFile(tmp_path / "stnreg.whl", "w") as archive:
            for name in names:
                archive.writestr(name, "Requires-Dist: numpy>=2.0\n" if name.endswith("/METADATA") else "")
        return str(tmp_path / "stnreg.whl")

    assert check.main(wheel(packed()), str(tmp_path / "needed.txt")) == 0
    assert (tmp_path / "needed.txt").read_text() == "numpy>=2.0\n"
    assert check.main(wheel(packed()[1:]), str(tmp_path / "needed.txt")) == 1
    assert "not in the wheel" in capsys.readouterr().out


def test_the_small_installation_lacks_simpleitk_and_has_one_small_runtime(dependencies):
    full, small = dependencies(""), dependencies("small")
    assert dependencies("full") == full
    assert set(full) - set(small) == {line for line in full if line.startswith(("SimpleITK", "onnxruntime"))}
    assert set(small) - set(full) == {"onnxruntime>=1.20"}
    with pytest.raises(ValueError, match="expected full or small"):
        dependencies("tiny")
