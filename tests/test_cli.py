"""The outer shell: exit statuses, streams, signals. Commands have their own tests in tests/commands/."""

import os
import signal
import subprocess
import sys
import time

import pytest
import typer

from stnreg import __version__, cli
from stnreg.errors import DataError, ExitCode, StnregError


def run(*arguments):
    with pytest.raises(SystemExit) as end:
        cli.main(list(arguments))
    return end.value.code


@pytest.fixture
def broken(monkeypatch):
    """Replace a verb by one that raises what it is told to."""

    def replace(error):
        def evaluate(name: str = "x") -> None:
            """Raise."""
            raise error

        monkeypatch.setattr("stnreg.commands.evaluate.evaluate", evaluate)

    return replace


def test_version_and_help(capsys):
    assert run("--version") == 0
    assert capsys.readouterr().out == f"stnreg {__version__}\n"
    assert run("--help") == 0
    out = capsys.readouterr().out
    assert all(f"  {verb} " in out for verb in cli.VERBS)


@pytest.mark.parametrize("arguments", [["evaluat"], ["--nonsense"], ["evaluate", "--nonsense"], ["evaluate"], []])
def test_wrong_usage_is_2_and_leaves_stdout_empty(arguments, capsys):
    assert run(*arguments) == ExitCode.USAGE
    assert capsys.readouterr().out == ""


def test_a_mistyped_command_is_answered_with_the_nearest(capsys):
    run("evalute")
    assert "Did you mean 'evaluate'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DataError("a.nii: there is no such file."), ExitCode.DATA),
        (StnregError("odd"), ExitCode.DEFECT),
        (RuntimeError("odd"), ExitCode.DEFECT),
        (FileNotFoundError(2, "No such file or directory", "a.nii"), ExitCode.DATA),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED),
        (BrokenPipeError(), cli.BROKEN_PIPE),
        (typer.Exit(3), ExitCode.FAILED),
    ],
)
def test_errors_become_statuses_without_a_traceback(broken, error, status, capfd):
    broken(error)
    assert run("evaluate") == status
    captured = capfd.readouterr()
    assert "Traceback" not in captured.err
    if isinstance(error, DataError):
        assert captured.err == "stnreg: a.nii: there is no such file.\n"


@pytest.mark.parametrize("arguments", [["--debug", "evaluate"], ["evaluate", "--debug"]])
def test_debug_shows_the_traceback(broken, arguments):
    broken(DataError("a.nii"))
    with pytest.raises(DataError):
        cli.main(arguments)


def test_a_reader_that_goes_away_makes_no_noise():
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run([sys.executable, "-m", "stnreg", "--help"], stdout=write, stderr=subprocess.PIPE, check=False)
    os.close(write)
    assert done.stderr == b""


def test_a_process_of_its_own_ends_with_its_status_its_output_and_its_exit_handlers(tmp_path):
    code = f"""
import atexit, pathlib, sys
atexit.register(pathlib.Path({str(tmp_path / "told")!r}).touch)
from stnreg import cli
sys.argv = ["stnreg", "--version"]
cli.main()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == f"stnreg {__version__}\n"
    assert (tmp_path / "told").exists()
    failed = subprocess.run([sys.executable, "-m", "stnreg", "nonsense"], capture_output=True, text=True, check=False)
    assert failed.returncode == ExitCode.USAGE
    assert "nonsense" in failed.stderr


def test_sigterm_is_143():
    code = """
import time
from stnreg import cli
import stnreg.commands.evaluate as module
def evaluate() -> None:
    print("ready", flush=True)
    time.sleep(30)
module.evaluate = evaluate
cli.main(["evaluate"])
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    assert process.wait(10) == ExitCode.TERMINATED
    process.stdout.close()
