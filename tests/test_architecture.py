"""The drawing of the packages holds, and a command line starts light."""

import ast
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HEAVY = ("torch", "onnxruntime", "SimpleITK", "nibabel", "scipy", "PIL")


def modules_after(statement):
    code = f"import sys\n{statement}\nprint(*sys.modules)"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split())


def lint_imports(root):
    pytest.importorskip("importlinter", reason="needs import-linter: pip install 'stnreg[lint]'")
    linter = Path(sys.executable).with_name("lint-imports")
    run = subprocess.run(
        [linter, "--no-cache"], cwd=root, env=without_path(), capture_output=True, text=True, check=False
    )
    return run.returncode, run.stdout + run.stderr


def without_path():
    """Return the environment without what would put another copy of the package first."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}


def test_imports_point_down():
    status, said = lint_imports(ROOT)
    assert status == 0, said


def test_a_package_without_a_place_among_the_layers_is_refused(tmp_path):
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "stnreg", tmp_path / "stnreg", ignore=shutil.ignore_patterns("__pycache__"))
    (tmp_path / "stnreg" / "newcomer").mkdir()
    (tmp_path / "stnreg" / "newcomer" / "__init__.py").touch()
    status, said = lint_imports(tmp_path)
    assert status != 0
    assert "stnreg.newcomer" in said


def test_help_of_every_command_loads_nothing_heavy():
    every_help = """
import contextlib, io
from stnreg import cli
for verb in [[], *([v] for v in cli.VERBS)]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.suppress(SystemExit):
        cli.main([*verb, "--help"])
"""
    loaded = modules_after(every_help)
    assert "stnreg.commands.evaluate" in loaded
    assert loaded.isdisjoint({*HEAVY, "numpy", "rich"})


def test_importing_the_package_loads_nothing_heavy():
    assert modules_after("import stnreg").isdisjoint({*HEAVY, "numpy", "typer"})


def test_the_python_face_is_all_there():
    import stnreg

    assert set(stnreg.__all__) <= set(dir(stnreg))
    for name in stnreg.__all__:
        assert getattr(stnreg, name)
    with pytest.raises(AttributeError, match="nonsense"):
        _ = stnreg.nonsense


def test_no_file_outgrows_one_sitting():
    files = (p for folder in ("stnreg", "benchmarks") for p in (ROOT / folder).rglob("*.py"))
    long = {p: n for p in files if (n := len(p.read_text().splitlines())) > 300}
    assert not long


def test_one_module_alone_puts_files_in_place():
    """What else renames a file onto another would leave its partial file where `sweep_partial` finds none."""
    moved = re.compile(r"\bos\.(replace|rename)\(|\.rename\(|\bshutil\.move\(")
    found = {
        path.relative_to(ROOT).as_posix() for path in (ROOT / "stnreg").rglob("*.py") if moved.search(path.read_text())
    }
    assert found == {"stnreg/core/files.py"}


def test_every_skip_says_what_it_needs():
    """A skip without a reason reads `could not import`, or nothing: nobody knows whether that is well."""
    unsaid = []
    for path in (ROOT / "tests").rglob("*.py"):
        for call in (node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) in ("pytest.importorskip", "pytest.mark.skipif", "pytest.mark.skip"):
                reason = next((ast.unparse(word.value) for word in call.keywords if word.arg == "reason"), "")
                if not reason.strip("f'\"").startswith("needs "):
                    unsaid.append(f"{path.relative_to(ROOT)}:{call.lineno}")
    assert not unsaid


def test_the_stub_names_the_whole_face():
    import stnreg

    stub = (ROOT / "stnreg" / "__init__.pyi").read_text()
    for name in set(stnreg.__all__) - {"__version__"}:
        assert f" as {name}\n" in stub


def imports_of(path, modules):
    """Return the modules among `modules` that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found & modules


def test_benchmarks_have_no_import_circles():
    paths = {".".join(p.relative_to(ROOT).with_suffix("").parts): p for p in (ROOT / "benchmarks").rglob("*.py")}
    waiting = {name: imports_of(path, set(paths)) for name, path in paths.items()}
    while ready := {name for name, needed in waiting.items() if not needed & set(waiting)}:
        waiting = {name: needed for name, needed in waiting.items() if name not in ready}
    assert not waiting


def test_only_the_tests_of_the_benchmarks_import_them():
    own = ROOT / "tests" / "benchmarks"
    for path in (p for p in (ROOT / "tests").rglob("*.py") if not p.is_relative_to(own)):
        text = path.read_text(encoding="utf-8")
        nodes = (n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.Import | ast.ImportFrom))
        assert not [n.lineno for n in nodes if "benchmarks" in ast.unparse(n)], path
