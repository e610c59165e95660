from pathlib import Path

import pytest

pydra = pytest.importorskip("pydra", reason="needs pydra: pip install 'stnreg[pydra]'")

from stnreg.interfaces import VERBS, class_name  # noqa: E402
from stnreg.interfaces import pydra as interfaces  # noqa: E402
from stnreg.interfaces.declared import options_of  # noqa: E402
from stnreg.interfaces.written import outputs_of  # noqa: E402


@pytest.fixture(autouse=True)
def _quiet(monkeypatch):
    monkeypatch.setenv("NO_ET", "1")  # pydra asks its server for the newest version


@pytest.mark.parametrize("verb", VERBS)
def test_inputs_and_outputs_are_those_of_the_command(verb):
    task = getattr(interfaces, class_name(verb))
    assert [field[0] for field in task.input_spec.fields] == [option.name for option in options_of(verb)]
    assert [field[0] for field in task.output_spec.fields] == list(outputs_of(verb))
    assert task.__name__ in interfaces.__all__


def test_a_workflow_writes_the_bytes_of_the_commands(nodes, commanded, tmp_path):
    flow = pydra.Workflow(name="flow", input_spec=["moving"], moving=nodes["register"]["moving"], cache_dir=tmp_path)
    known = nodes["register"] | {"moving": flow.lzin.moving}
    flow.add(interfaces.Register(name="register", **known))
    known = nodes["apply-transform"] | {"moving": flow.lzin.moving, "transform": flow.register.lzout.transform_files}
    flow.add(interfaces.ApplyTransform(name="apply", **known))
    flow.add(interfaces.Evaluate(name="evaluate", moved=flow.apply.lzout.output_file, **nodes["evaluate"]))
    flow.add(interfaces.Series(name="series", **nodes["series"]))
    flow.add(interfaces.Batch(name="batch", **nodes["batch"]))
    outputs = {
        "image": flow.register.lzout.output_file,
        "transform": flow.register.lzout.transform_files,
        "applied": flow.apply.lzout.output_file,
        "measures": flow.evaluate.lzout.csv_file,
        "template": flow.series.lzout.template_file,
        "moved": flow.batch.lzout.output_folder,
    }
    flow.set_output(list(outputs.items()))
    with pydra.Submitter(plugin="serial") as submit:
        submit(flow)
    done = flow.result().output
    files = {name: getattr(done, name) for name in outputs}
    files["transform"] = files["transform"][0]
    files["moved"] = Path(files["moved"]) / "moving" / "moved.nii.gz"
    assert {name: Path(path).read_bytes() for name, path in files.items()} == commanded


def test_an_input_that_is_not_there_is_refused_when_it_is_set(tmp_path):
    with pytest.raises(Exception, match="nowhere"):
        interfaces.Register(moving=tmp_path / "nowhere.nii.gz")
    task = interfaces.Register(fixed="MNI152", moving=tmp_path)  # a template's name, a DICOM folder
    assert "tpl-MNI152NLin2009aSym" in task.cmdline


def test_a_rejected_registration_stops_its_task_unless_it_may_pass(nodes, tmp_path):
    known = nodes["register"] | {"min_score": 1.0, "cache_dir": tmp_path}
    with pytest.raises(Exception, match="rejected"):
        interfaces.Register(**known)()
    done = interfaces.Register(**known, on_fail="warn")().output
    assert Path(done.output_file).is_file()


def test_an_error_of_the_command_is_that_of_the_task(nodes, tmp_path):
    task = interfaces.Register(fixed=nodes["register"]["fixed"], moving=__file__, cache_dir=tmp_path)
    with pytest.raises(Exception, match=r"test_pydra\.py"):
        task()
