from pathlib import Path

import pytest

pytest.importorskip("nipype", reason="needs nipype: pip install 'stnreg[nipype]'")

from nipype import Node, Workflow, config

from stnreg.interfaces import VERBS, class_name
from stnreg.interfaces import nipype as interfaces
from stnreg.interfaces.declared import options_of
from stnreg.interfaces.written import outputs_of


@pytest.fixture(autouse=True)
def _quiet(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)  # crash files
    config.set("execution", "remove_unnecessary_outputs", "false")
    config.set("execution", "crashdump_dir", str(tmp_path))


@pytest.mark.parametrize("verb", VERBS)
def test_inputs_and_outputs_are_those_of_the_command(verb):
    interface = getattr(interfaces, class_name(verb))
    own = set(interface.input_spec().copyable_trait_names()) - {"args", "environ"}
    assert own == {option.name for option in options_of(verb)}
    assert set(interface.output_spec().copyable_trait_names()) == set(outputs_of(verb))
    assert interface.__name__ in interfaces.__all__


def test_a_workflow_writes_the_bytes_of_the_commands(nodes, commanded, tmp_path):
    made = {verb: Node(getattr(interfaces, class_name(verb))(**nodes[verb]), name=class_name(verb)) for verb in VERBS}
    register, apply, evaluate = made["register"], made["apply-transform"], made["evaluate"]
    flow = Workflow("flow", base_dir=tmp_path)
    flow.connect(register, "transform_files", apply, "transform")
    flow.connect(apply, "output_file", evaluate, "moved")
    flow.add_nodes([made["series"], made["batch"]])
    done = {node.name: node.result.outputs for node in flow.run().nodes}
    files = {
        "image": done["Register"].output_file,
        "transform": done["Register"].transform_files[0],
        "applied": done["ApplyTransform"].output_file,
        "measures": done["Evaluate"].csv_file,
        "template": done["Series"].template_file,
        "moved": Path(done["Batch"].output_folder) / "moving" / "moved.nii.gz",
    }
    assert {name: Path(path).read_bytes() for name, path in files.items()} == commanded


def test_an_input_that_is_not_there_is_refused_when_it_is_set(tmp_path):
    with pytest.raises(Exception, match="moving"):
        interfaces.Register(moving=tmp_path / "nowhere.nii.gz")
    interfaces.Register(fixed="MNI152", moving=tmp_path)  # a template's name, a DICOM folder


def test_a_mandatory_input_is_missed():
    with pytest.raises(ValueError, match="value for input 'fixed'"):
        interfaces.Register().run()


def test_a_rejected_registration_stops_its_node_unless_it_may_pass(nodes, tmp_path):
    node = interfaces.Register(**nodes["register"], min_score=1.0)
    with pytest.raises(Exception, match="status 3: stnreg: rejected"):
        node.run(cwd=tmp_path)
    node.inputs.on_fail = "warn"
    assert Path(node.run(cwd=tmp_path).outputs.output_file).is_file()


def test_an_error_of_the_command_is_that_of_the_node(nodes, tmp_path):
    node = interfaces.Register(fixed=nodes["register"]["fixed"], moving=__file__)
    with pytest.raises(Exception, match=r"test_nipype\.py"):
        node.run(cwd=tmp_path)
