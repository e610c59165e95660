"""What is to hold before a change lands fails where any line of it fails."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
STEPS = {
    # the last word of a command that stands for a step of its own; all others are of the wheel
    ".venv/tested": "install",
    "lint": "lint and layers",
    "types": "types",
    "--check": "man pages",
    "demo": "demo",
    "test": "test",
}
STUB = """#!/bin/sh
echo "$0 $*" >> "$CALLS"
case "$*" in
    *"-m venv "*) mkdir -p "$3/bin"; for name in python stnreg stnreg-bids; do cp "$0" "$3/bin/$name"; done ;;
esac
[ "$(grep -c . "$CALLS")" != "$FAILING" ]
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash, which is not here")


def step_of(call):
    return STEPS.get(call.split()[-1], "wheel")


@pytest.fixture
def tree(tmp_path):
    """A tree in which every command does nothing but note that it was called; `run` fails one of them."""
    shutil.copytree(ROOT / ".ci", tmp_path / ".ci", ignore=shutil.ignore_patterns("__pycache__"))
    for place in (".venv/bin/python", "bin/make", "bin/python3"):
        stub = tmp_path / place
        stub.parent.mkdir(parents=True, exist_ok=True)
        stub.write_text(STUB)
        stub.chmod(0o755)

    def run(failing=0):
        calls = tmp_path / "calls"
        calls.write_text("")
        env = os.environ | {
            "PATH": f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "CALLS": str(calls),
            "FAILING": str(failing),
            "TMPDIR": str(tmp_path),
        }
        done = subprocess.run([tmp_path / ".ci" / "run"], env=env, capture_output=True, text=True, check=False)
        return done, calls.read_text().splitlines()

    run.folder = tmp_path
    return run


def test_all_is_well_where_no_command_fails(tree):
    done, calls = tree()
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith("all well\n")
    assert {step_of(call) for call in calls} == {*STEPS.values(), "wheel"}
    assert sum(step_of(call) == "wheel" for call in calls) >= 8


def test_any_command_that_fails_fails_its_step_and_no_other(tree):
    _, whole = tree()
    assert whole
    for number, call in enumerate(whole, 1):
        done, calls = tree(failing=number)
        step = step_of(call)
        said = f"{call}:\n{done.stdout}{done.stderr}"
        assert done.returncode == 1, said
        assert done.stdout[done.stdout.index("failed: ") :] == f"failed: {step}\n", said
        steps = [step_of(one) for one in calls]
        assert steps[:number] == [step_of(one) for one in whole[:number]], said
        assert step not in steps[number:], f"a step goes on after a command that failed: {said}"
        assert set(steps) == {*STEPS.values(), "wheel"}, f"not every step ran: {said}"
        assert not list(tree.folder.glob("tmp.*")), f"something was left behind: {said}"


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("mine() { false; true; }; step 'mine' mine", "failed: mine"),
        ("step 'mine' true", "failed: mine"),  # built into bash
        ("step 'mine' ./nowhere", "failed: mine"),
        ("step 'mine' bash -euo pipefail -c 'false; true'", "failed: mine"),
        ("step 'mine' bash -euo pipefail -c 'false | true'", "failed: mine"),
        ("step 'mine' bash -euo pipefail -c 'true'", "all well"),
    ],
)
def test_a_step_is_a_command_of_its_own(tree, line, told):
    script = tree.folder / ".ci" / "run"
    before, mark, after = script.read_text().partition('step "demo"')
    script.write_text(f"{before}{line}\n{mark}{after}")
    done, _ = tree()
    assert done.stdout.splitlines()[-1] == told
    assert done.returncode == (told != "all well")


def test_every_script_of_several_lines_stops_at_the_first_that_fails():
    for script in (ROOT / ".ci").iterdir():
        first, *lines = script.read_text(encoding="utf-8").splitlines() if script.is_file() else [""]
        if first == "#!/usr/bin/env bash" and script.name != "run":
            assert "set -euo pipefail" in lines, script.name
            assert os.access(script, os.X_OK), script.name
