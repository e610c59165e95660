"""The command `stnreg`: find the verb, run it, convert exceptions to exit codes.

The module of a verb is imported when the verb is used or listed, and imports large packages inside its function, so
that `stnreg --help` is fast.
"""

import atexit
import errno
import gc
import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from types import FrameType
from typing import Annotated, Any, NoReturn

import typer
from typer.core import TyperGroup

from stnreg import __version__
from stnreg.commands._values import convert_plainly
from stnreg.commands._verb import Verb
from stnreg.errors import ExitCode, StnregError

VERBS = {
    "register": "stnreg.commands.register:register",
    "batch": "stnreg.commands.batch:batch",
    "series": "stnreg.commands.series:series",
    "apply-transform": "stnreg.commands.apply_transform:apply_transform",
    "evaluate": "stnreg.commands.evaluate:evaluate",
    "baseline": "stnreg.commands.baseline:baseline",
    "preprocess": "stnreg.commands.preprocess:preprocess",
    "simulate": "stnreg.commands.simulate:simulate",
    "pairs": "stnreg.commands.pairs:pairs",
    "train": "stnreg.commands.train:train",
    "export": "stnreg.commands.export:export",
    "calibrate": "stnreg.commands.calibrate:calibrate",
    "doctor": "stnreg.commands.doctor:doctor",
}
"""Verb to `module:function`, in the order of `stnreg --help`."""

BROKEN_PIPE = 128 + 13  # exit code of a process ended by SIGPIPE

HOW_TO_REPORT = "\nRun it again with --debug and report the traceback."

NO_ROOM = (errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO)


class Verbs(TyperGroup):
    """The group of all verbs, each built on first use."""

    def list_commands(self, ctx: Any) -> list[str]:
        """Return the names of the verbs in the order of the table."""
        return list(VERBS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and build one verb; None for an unknown name."""
        if cmd_name in VERBS and cmd_name not in self.commands:
            module, function = VERBS[cmd_name].split(":")
            one = typer.Typer(add_completion=False, rich_markup_mode=None, context_settings=_HELP)
            one.command(cmd_name, cls=Verb)(getattr(import_module(module), function))
            self.commands[cmd_name] = typer.main.get_command(one)
        return self.commands.get(cmd_name)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Find the verb of a command line; suggest the nearest for an unknown one."""
        if args and args[0] not in VERBS:
            self.commands = {name: self.get_command(ctx, name) for name in VERBS}
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse what stands before the verb."""
        convert_plainly(self.get_params(ctx))
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the verb; exit silently if the reader of stdout has closed it (`| head`)."""
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()
        except BrokenPipeError:
            _forget_stdout()
            raise typer.Exit(BROKEN_PIPE) from None
        return result


_HELP = {"help_option_names": ["-h", "--help"], "max_content_width": 100}
app = typer.Typer(cls=Verbs, rich_markup_mode=None, context_settings=_HELP, no_args_is_help=True)


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"stnreg {__version__}")
        raise typer.Exit


@app.callback()
def stnreg(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of an error. May also stand after a command.")
    ] = False,
) -> None:
    """Affine and deformable registration of 3-D brain MRI by a spatial transformer network.

    Each command has its own help, `stnreg COMMAND --help`, and a man page, `man stnreg-COMMAND`.

    Example: stnreg register MNI152 t1.nii.gz -o t1-in-mni.nii.gz --qc check.html
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line of `stnreg` and exit with its status; see `run_program`."""
    run_program(lambda: typer.main.get_command(app), "stnreg", arguments)


def run_program(build: Callable[[], Any], name: str, arguments: Sequence[str] | None = None) -> NoReturn:
    """Run a command line and exit with its status (see `ExitCode`).

    Parameters
    ----------
    build : callable
        Returns the command.
    name : str
        Of the program.
    arguments : sequence of str, optional
        Without the name of the program. By default those of the process, which then exits without interpreter cleanup.
    """
    is_own_process = arguments is None
    # Few objects are cyclic: garbage collection takes a tenth of the import time.
    gc.set_threshold(100_000, 50, 50)
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    options = arguments[: arguments.index("--")] if "--" in arguments else arguments
    debug = "--debug" in options
    arguments = [a for a in options if a != "--debug"] + arguments[len(options) :]
    signal.signal(signal.SIGTERM, _terminate)
    status = _run(build, name, arguments, debug)
    if is_own_process:
        _leave_at_once(status)
    sys.exit(status)


def _run(build: Callable[[], Any], name: str, arguments: list[str], debug: bool) -> int:
    try:
        status = build().main(arguments, prog_name=name, standalone_mode=False)
        return status if isinstance(status, int) else ExitCode.OK
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except typer.TyperException as error:  # usage errors: shown with the usage line
        _trace(debug)
        error.message = error.message.replace("Value error, ", "")
        show = getattr(error, "show", None)
        show() if show else _complain(error.format_message())
        return ExitCode.USAGE
    except StnregError as error:
        _trace(debug)
        _complain(f"{error}{_remedy(error, arguments)}")
        return error.exit_code
    except Exception as error:
        _trace(debug)
        if isinstance(error, OSError) and (error.filename is not None or error.errno in NO_ROOM):
            if error.filename is None:  # errors of files have a name, so this is stdout
                _forget_stdout()
            _complain(f"{error.filename or 'standard output'}: {error.strerror}")
            return ExitCode.DATA
        _complain(f"internal error (please report), {type(error).__name__}: {error}" + ("" if debug else HOW_TO_REPORT))
        return ExitCode.DEFECT


def _remedy(error: StnregError, arguments: list[str]) -> str:
    """Return the option that an error names as its remedy, in brackets; nothing if the verb has no such option."""
    verb = next((word for word in arguments if word in VERBS), None)
    if error.argument is None or verb is None:
        return ""
    option = f"--{error.argument.replace('_', '-')}"
    params = Verbs().get_command(None, verb).params
    return f" ({option})" if any(option in parameter.opts for parameter in params) else ""


def _trace(debug: bool) -> None:
    """Print the traceback of the current exception with --debug."""
    if debug:
        traceback.print_exc()


def _leave_at_once(status: int) -> NoReturn:
    """Exit without cleanup of the interpreter, which takes 50 ms.

    Exit handlers run, and streams are flushed. If threads are running, exit in the ordinary way.
    """
    if threading.active_count() > 1:
        sys.exit(status)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:  # the reader has closed it
            status = status or BROKEN_PIPE
    os._exit(status)


def _forget_stdout() -> None:
    """Discard buffered output that cannot be written, so that the interpreter does not warn at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _complain(message: str) -> None:
    print(f"stnreg: {message}", file=sys.stderr)


def _terminate(number: int, frame: FrameType | None) -> NoReturn:
    # An exception, so that partial files are removed.
    sys.exit(ExitCode.TERMINATED)
