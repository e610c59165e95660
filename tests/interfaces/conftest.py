"""What the commands write, for the engines to be compared with."""

import shutil
from pathlib import Path

import pytest

from stnreg.cli import main
from stnreg.interfaces.declared import words

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="session")
def nodes(tmp_path_factory):
    """The values of every command's options, but those that come from another node."""
    folder = tmp_path_factory.mktemp("a study")  # names with blanks are names
    for name in ("fixed", "moving"):
        shutil.copy(EXAMPLES / f"{name}.nii.gz", folder)
    shutil.copy(EXAMPLES / "fixed.nii.gz", folder / "again.nii.gz")
    fixed, moving, again = (str(folder / f"{name}.nii.gz") for name in ("fixed", "moving", "again"))
    return {
        "register": {"fixed": fixed, "moving": moving, "refine": False, "output": "its image.nii.gz", "threads": 1},
        "apply-transform": {"moving": moving, "reference": fixed, "interp": "nearest", "threads": 1},
        "evaluate": {"fixed": fixed, "metrics": "ncc,mse", "threads": 1},
        "series": {"visits": [fixed, again], "image": False, "quiet": True, "threads": 1},
        "batch": {"inputs": [moving], "fixed": fixed, "refine": False, "quiet": True, "jobs": 1},
    }


@pytest.fixture(scope="session")
def commanded(nodes, tmp_path_factory):
    """The bytes of what the commands write, by a name that the tests of both engines use."""
    folder = tmp_path_factory.mktemp("commanded")

    def run(verb, **more):
        with pytest.raises(SystemExit) as done:
            main([verb, *words(verb, nodes[verb] | more)])
        assert not done.value.code

    image, applied, measures = folder / "its image.nii.gz", folder / "applied.nii.gz", folder / "measures.csv"
    run("register", output=image)
    run("apply-transform", transform=[folder / "its image.tfm"], output=applied)
    run("evaluate", moved=applied, csv=measures)
    run("series", output=folder / "series")
    run("batch", output=folder / "batch")
    files = {
        "image": image,
        "transform": folder / "its image.tfm",
        "applied": applied,
        "measures": measures,
        "template": folder / "series" / "template.nii.gz",
        "moved": folder / "batch" / "moving" / "moved.nii.gz",
    }
    return {name: path.read_bytes() for name, path in files.items()}
