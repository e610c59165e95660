"""The outer shell: exit statuses, streams, signals. Commands have their own tests in tests/commands/."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
import typer

from stnreg import __version__, cli
from stnreg.errors import DataError, ExitCode, StnregError

ERRORS = [
    (DataError("a.nii: there is no such file."), ExitCode.DATA),
    (StnregError("odd"), ExitCode.DEFECT),
    (RuntimeError("odd"), ExitCode.DEFECT),
    (OSError("odd"), ExitCode.DEFECT),
    (FileNotFoundError(2, "No such file or directory", "a.nii"), ExitCode.DATA),
    (KeyboardInterrupt(), ExitCode.INTERRUPTED),
    (BrokenPipeError(), cli.BROKEN_PIPE),
    (typer.Exit(3), ExitCode.FAILED),
]


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


@pytest.mark.parametrize(("error", "status"), ERRORS)
def test_errors_become_statuses_without_a_traceback(broken, error, status, capfd):
    broken(error)
    assert run("evaluate") == status
    captured = capfd.readouterr()
    assert "Traceback" not in captured.err
    if isinstance(error, DataError):
        assert captured.err == "stnreg: a.nii: there is no such file.\n"


@pytest.mark.parametrize("arguments", [["--debug", "evaluate"], ["evaluate", "--debug"]])
@pytest.mark.parametrize(("error", "status"), ERRORS)
def test_debug_adds_the_traceback_and_changes_nothing_else(broken, error, status, arguments, capfd):
    broken(error)
    assert run("evaluate") == status
    told = capfd.readouterr().err.replace(cli.HOW_TO_REPORT, "")
    assert run(*arguments) == status
    with_traceback = capfd.readouterr().err
    assert with_traceback.endswith(told)
    assert ("Traceback" in with_traceback) == bool(told)


def test_debug_keeps_the_status_of_wrong_usage(capfd):
    assert run("evaluate", "--nonsense", "--debug") == ExitCode.USAGE
    assert "Traceback" in capfd.readouterr().err


def test_summaries_are_whole_at_80_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    run("--help")
    lines = capsys.readouterr().out.partition("Commands:")[2].strip().splitlines()
    assert len(lines) == len(cli.VERBS)
    assert all(line.endswith(".") and not line.endswith("...") for line in lines)


@pytest.mark.parametrize("verb", cli.VERBS)
def test_values_are_named_as_people_write_them(verb, capsys):
    assert run(verb, "--help") == 0
    text = capsys.readouterr().out
    assert not re.search(r"<[a-z|]|\{\w|list\[", text)
    assert re.search(r"  -h, --help", text)


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
