import re
import subprocess
import sys
from pathlib import Path

import pytest

from stnreg.cli import Verbs
from stnreg.errors import UsageProblem
from stnreg.interfaces import VERBS
from stnreg.interfaces.declared import options_of, words
from stnreg.interfaces.written import outputs_of, with_outputs, written_options


def parsed(verb, line):
    """Return what the command itself makes of a command line."""
    command = Verbs().get_command(None, verb)
    return command.make_context(verb, [str(word) for word in line]).params


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_is_there_once(verb):
    command = Verbs().get_command(None, verb)
    flags = {flag for one in command.params if not one.is_eager for flag in (*one.opts, *one.secondary_opts)}
    ours = options_of(verb)
    named = {option.flag or option.name for option in ours} | {option.off for option in ours if option.off}
    assert named == {flag for flag in flags if not re.fullmatch("-[a-z]", flag)}
    assert len({option.name for option in ours}) == len(ours)
    assert all(option.help for option in ours)


@pytest.mark.parametrize("verb", VERBS)
def test_whatever_writes_a_file_is_an_output(verb):
    known = {option.name: option for option in options_of(verb)}
    says = {
        name for name, one in known.items() if re.search(r"\b[Ww]rite\b|all outputs", one.help) and one.kind is not bool
    }
    assert says - {"transform"} == set(written_options(verb)) - {"transform", "qc"}
    assert set(written_options(verb)) <= set(known)
    assert outputs_of(verb)


def value_of(option, tmp_path):
    if option.choices:
        return option.choices[-1]
    one = {bool: option.off is None, int: 7, float: 0.5, str: "a b", Path: str(tmp_path)}[option.kind]
    return [one, one] if option.is_many else one


@pytest.mark.parametrize("verb", VERBS)
def test_the_command_understands_every_value(verb, tmp_path):
    values = {option.name: value_of(option, tmp_path) for option in options_of(verb)}
    values |= {"bids": str(tmp_path)} if "bids" in values else {}
    found = parsed(verb, words(verb, values))
    command = Verbs().get_command(None, verb)
    names = {option.name: one.name for option, one in zip(options_of(verb), command.params, strict=False)}
    for name, value in values.items():
        got = found[names[name]]
        expected = [str(one) for one in value] if isinstance(value, list) else str(value)
        assert ([str(one) for one in got] if isinstance(value, list) else str(got)) == expected, name


def test_an_option_that_may_stand_alone_does():
    line = words("batch", {"bids": "", "inputs": ["pairs.csv"], "output": "out", "image": False})
    assert line == ["pairs.csv", "--output", "out", "--bids", "--no-image"]
    assert parsed("batch", line)["bids"] == ""


def test_an_unknown_option_is_named():
    with pytest.raises(UsageProblem, match="no option fixd; it has also, background"):
        words("register", {"fixd": "a.nii.gz"})


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ({}, {"output_file": "moved.nii.gz", "transform_files": ["moved.tfm"]}),
        ({"transform": ["x.lta"]}, {"transform_files": ["x.lta"]}),
        ({"json": "-", "transform": []}, {"transform_files": []}),
        (
            {"output": "a.nii", "deform": True, "also": ["l.nii=m.nii:label"]},
            {
                "output_file": "a.nii",
                "transform_files": ["a.tfm"],
                "warp_file": "a_warp.nii.gz",
                "also_files": ["m.nii"],
            },
        ),
        (
            {"output": "a.nii", "to": "deform", "transform": ["a.h5"]},
            {"output_file": "a.nii", "transform_files": ["a.h5"]},
        ),
        ({"output": "a.nii", "to": "deform", "warp": "w.nii"}, {"warp_file": "w.nii"}),
    ],
)
def test_the_outputs_of_a_registration_are_what_it_writes(values, written):
    found = {name: one.find(with_outputs("register", values)) for name, one in outputs_of("register").items()}
    plain = {
        name: [str(p) for p in path] if isinstance(path, list) else str(path) for name, path in found.items() if path
    }
    assert {name: plain.get(name, []) for name in written} == written
    if "warp_file" not in written:
        assert "warp_file" not in plain


def test_what_many_people_get_is_a_table():
    values = with_outputs("series", {"table": "people.csv"})
    found = {name for name, one in outputs_of("series").items() if one.find(values) is not None}
    assert found == {"output_folder", "results_file"}


def test_the_package_imports_no_engine():
    code = "import sys, stnreg, stnreg.interfaces, stnreg.interfaces.declared, stnreg.interfaces.written, stnreg.cli\n"
    run = subprocess.run(
        [sys.executable, "-c", code + "print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    assert {"nipype", "pydra"}.isdisjoint(run.stdout.split())


@pytest.mark.parametrize("engine", ["nipype", "pydra"])
def test_a_missing_engine_says_how_to_get_it(engine):
    code = f"import sys; sys.modules['{engine}'] = None\nimport stnreg.interfaces.{engine}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode
    assert f"needs {engine}: pip install 'stnreg[{engine}]'" in run.stderr
