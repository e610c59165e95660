"""What is written about the commands agrees with them."""

import runpy
from pathlib import Path

import pytest
import typer

from stnreg import cli

ROOT = Path(__file__).parents[1]


def commands():
    group = typer.main.get_command(cli.app)
    context = group.context_class(group, info_name="stnreg")
    return {name: group.get_command(context, name) for name in group.list_commands(context)}


@pytest.mark.parametrize("name", cli.VERBS)
def test_every_command_and_option_has_help(name):
    command = commands()[name]
    assert command.help
    for parameter in command.params:
        assert parameter.help, f"{name}: {parameter.name} has no help"


@pytest.mark.parametrize("name", cli.VERBS)
def test_every_command_has_a_page_and_a_test(name):
    assert (ROOT / "man" / f"stnreg-{name}.1").exists()
    assert (ROOT / "tests" / "commands" / f"test_{name.replace('-', '_')}.py").exists()


def test_the_man_pages_are_fresh():
    generate = runpy.run_path(str(ROOT / "man" / "generate.py"))
    assert not generate["stale"](), "run `make man`"


def test_the_readme_names_only_commands_that_exist():
    readme = (ROOT / "README.md").read_text()
    lines = [line for line in readme.splitlines() if line.startswith("stnreg ")]
    assert lines
    for line in lines:
        assert line.split()[1] in cli.VERBS
