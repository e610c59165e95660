"""From words of a command line to values: the same as typer makes of them, without pydantic."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest
import typer
from typer.testing import CliRunner

from stnreg.commands._values import NotPlainError, convert_plainly, plain_value

ANY = SimpleNamespace()
BOUNDED = SimpleNamespace(min=0, max=10)


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("12", int, 12),
        ("+3", int, 3),
        (4, int, 4),
        ("-1.5e-3", float, -0.0015),
        (".5", float, 0.5),
        ("7", float, 7.0),
        ("a", str, "a"),
        ("a/b", Path, Path("a/b")),
        (Path("a"), Path, Path("a")),
        (False, bool, False),
        ("affine", Literal["rigid", "affine"], "affine"),
        (("1", "2"), list[int], [1, 2]),
        ((), list[Path], []),
    ],
)
def test_plain_values_are_converted(value, kind, expected):
    found = plain_value(value, kind, ANY)
    assert found == expected
    assert type(found) is type(expected)


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ("1.5", int),
        ("1_000", int),
        ("", float),
        ("nan", float),
        ("1,5", float),
        ("none", Literal["a", "b"]),
        ("yes", bool),
        ("11", int),
        ("-0.1", float),
        (3.0, int),
        ("x", list[int]),
        (("x",), list[int]),
        ("a", tuple[int, int]),
    ],
)
def test_all_else_is_left_to_typer(value, kind):
    with pytest.raises(NotPlainError):
        plain_value(value, kind, BOUNDED)


class Plain(typer.core.TyperCommand):
    def parse_args(self, ctx, args):
        convert_plainly(self.get_params(ctx))
        return super().parse_args(ctx, args)


def _app(plain: bool) -> typer.Typer:
    app = typer.Typer(rich_markup_mode=None)

    @app.command(cls=Plain if plain else None)
    def show(
        files: list[Path],
        number: int | None = typer.Option(None, min=1),
        share: float = 0.5,
        mode: Literal["one", "two"] = "one",
        word: list[str] = typer.Option([]),  # noqa: B008
        more: bool = False,
    ) -> None:
        print(repr((files, number, share, mode, word, more)))

    return app


@pytest.mark.parametrize(
    "words",
    [
        "a b",
        "a --number 3 --share 1e-2 --mode two --word x --word y --more",
        "a --share nan",
        "a --number 0",
        "a --number x",
        "a --share x",
        "a --mode three",
        "",
    ],
)
def test_a_command_is_given_what_typer_gives(words):
    own, typers = (CliRunner().invoke(_app(plain), words.split()) for plain in (True, False))
    assert own.exit_code == typers.exit_code
    assert own.output == typers.output


def test_a_command_does_not_load_pydantic():
    code = (
        "import sys; from stnreg.cli import app; import typer\n"
        "try: typer.main.get_command(app).main(['info', 'no.nii'], standalone_mode=False)\n"
        "except Exception as error: print(type(error).__name__)\n"
        "print('pydantic' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.splitlines()[-1] == "False", ended.stdout
