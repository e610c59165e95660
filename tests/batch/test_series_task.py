import pickle
from dataclasses import replace

import pytest

from stnreg.batch.series_naming import plain
from stnreg.batch.series_task import SeriesTask
from stnreg.batch.task import digest_file
from stnreg.datasets.subject_table import Subject
from stnreg.registration.series.options import SeriesOptions


@pytest.fixture
def task(tmp_path):
    """A task whose files are not images: only their content counts here."""
    paths = tuple(tmp_path / f"{name}.nii" for name in ("first", "second"))
    for path in (*paths, tmp_path / "lesion.nii"):
        path.write_text(path.name)
    subject = Subject("01", ("1", "2"), paths, {"2": tmp_path / "lesion.nii"})
    return SeriesTask(subject, SeriesOptions(), plain(subject, tmp_path / "out"))


def test_a_task_reaches_a_worker_as_it_is(task):
    assert pickle.loads(pickle.dumps(task)) == task


def test_a_fingerprint_knows_what_is_ignored(task):
    before = task.fingerprint(digest_file)
    assert before == task.fingerprint(digest_file)
    without = replace(task, subject=replace(task.subject, excludes={}))
    assert without.fingerprint(digest_file) != before
    task.subject.excludes["2"].write_text("another lesion")
    assert task.fingerprint(digest_file) != before
