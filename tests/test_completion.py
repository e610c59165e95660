"""Completion as bash, zsh and fish ask for it."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

STNREG = Path(sys.executable).with_name("stnreg")


def complete(shell: str, line: str) -> str:
    """Return what the shell would be offered at the end of a line."""
    if shell == "bash":
        asked = {"COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    else:
        asked = {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"}
    done = subprocess.run(
        [STNREG], env=os.environ | asked | {"_STNREG_COMPLETE": f"complete_{shell}"}, capture_output=True, text=True
    )
    assert done.stderr == ""
    return done.stdout


@pytest.fixture(autouse=True)
def installed():
    if not STNREG.exists():
        pytest.skip("needs the command stnreg beside this Python, which is not here: pip install -e .")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_verbs_options_and_values_are_offered(shell):
    assert "register" in complete(shell, "stnreg re")
    assert "--header-source" in complete(shell, "stnreg register --head")
    assert "lanczos" in complete(shell, "stnreg register --interp ")
    assert "anatomy" in complete(shell, "stnreg batch --model ")


def test_files_are_left_to_the_shell():
    assert complete("bash", "stnreg register exam").strip() == ""


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash, which is not here")
def test_a_real_bash_completes():
    script = 'eval "$("$0" --show-completion bash)"; COMP_WORDS=("$0" ba); COMP_CWORD=1; '
    script += '_stnreg_completion "$0"; echo ${COMPREPLY[@]}'
    done = subprocess.run(["bash", "-c", script, STNREG], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["batch", "baseline"]
