"""A table of pairs that are quick to align."""

from pathlib import Path

import pytest

from stnreg.batch.naming import plain
from stnreg.batch.task import BatchTask, Settings, make_tasks
from stnreg.datasets.pair_table import Pair
from stnreg.registration.options import RegistrationOptions

EXAMPLES = Path(__file__).parents[2] / "examples"
QUICK = {"dof": 6, "refine": False, "device": "cpu", "threads": 1}


@pytest.fixture
def quick_tasks(tmp_path):
    """Make tasks of these ids into `out`; an id that begins with `no` has no moving image."""

    def make(*ids: str, **changed) -> list[BatchTask]:
        pairs = [
            Pair(
                EXAMPLES / "fixed.nii.gz",
                tmp_path / "nowhere.nii.gz" if name.startswith("no") else EXAMPLES / "moving.nii.gz",
                name,
            )
            for name in ids
        ]
        settings = Settings(RegistrationOptions(**QUICK | changed.pop("options", {})), **{"image": False, **changed})
        return make_tasks(pairs, tmp_path / "out", settings, plain)

    return make
