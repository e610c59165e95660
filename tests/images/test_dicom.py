"""A DICOM series is read as the volume that it is, or refused."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk

from stnreg.errors import DataError
from stnreg.geometry.affine import Parameters, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.images.dicom import is_dicom
from stnreg.images.volume import load_reference, load_volume

TURN = from_parameters(Parameters(rotation_deg=(12.0, -18.0, 25.0)), (0, 0, 0))[:3, :3]
GRID = Grid.from_parts((12, 10, 8), (0.9, 1.1, 2.5), (-30.0, 20.0, 5.0), TURN)
ARRAY = np.random.default_rng(0).integers(0, 4000, GRID.shape).astype(np.int16)


def write_slice(path: Path, number: int, series: str = "1.2.3", **tags: Any) -> None:
    """Write one slice of ARRAY as a scanner does."""
    image = sitk.GetImageFromArray(ARRAY[number : number + 1])
    image.SetSpacing(tuple(GRID.spacing))
    place = GRID.index_to_lps @ [0, 0, number, 1]
    known = {
        "0008|0060": "MR",
        "0020|000e": series,
        "0020|000d": "1.2.9",
        "0008|0018": f"{series}.{path.stem}",
        "0020|0037": "\\".join(f"{v:.6f}" for v in GRID.direction[:, :2].T.ravel()),
        "0020|0032": "\\".join(f"{v:.5f}" for v in place[:3]),
        "0020|0013": str(number),
        "0018|0050": str(GRID.spacing[2]),
    }
    for tag, value in (known | {name.replace("_", "|"): value for name, value in tags.items()}).items():
        image.SetMetaData(tag, value)
    writer = sitk.ImageFileWriter()
    writer.KeepOriginalImageUIDOn()
    writer.SetFileName(str(path))
    writer.Execute(image)


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A folder with a series whose files are not in the order of space."""
    folder = tmp_path / "series"
    folder.mkdir()
    for number in range(GRID.size[2]):
        write_slice(folder / f"{(number * 5) % 8}.dcm", number)
    return folder


def test_a_series_is_a_volume(series: Path) -> None:
    volume = load_volume(series)
    assert np.array_equal(volume.array, ARRAY)
    assert volume.grid.is_close(GRID, 1e-2)
    assert load_reference(series).grid == volume.grid
    assert is_dicom(series)


def test_what_is_not_one_volume_is_refused_and_told_what_to_do(series: Path) -> None:
    def refused(because: str) -> None:
        with pytest.raises(DataError, match=because) as error:
            load_volume(series)
        assert str(series) in str(error.value)
        assert "dcm2niix" in str(error.value)

    write_slice(series / "more.dcm", 3, "1.2.4")
    refused("holds 2 DICOM series")
    write_slice(series / "more.dcm", 3)
    refused("several slices in one place")
    (series / "more.dcm").unlink()
    write_slice(series / "4.dcm", 4, **{"0020_0037": "1\\0\\0\\0\\1\\0"})
    refused("several sizes or orientations|several slices|not evenly|DICOM series")
    write_slice(series / "4.dcm", 4, **{"0008_0008": "ORIGINAL\\PRIMARY\\MOSAIC"})
    refused("mosaic")
    (series / "4.dcm").unlink()
    refused("a slice is missing")
    for path in sorted(series.iterdir())[1:]:
        path.unlink()
    refused("has one file")


def test_a_folder_without_a_series_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    assert not is_dicom(tmp_path)
    with pytest.raises(DataError, match="without a DICOM series"):
        load_volume(tmp_path)


def test_a_damaged_slice_is_named(series: Path) -> None:
    for name in ("2.dcm", "3.dcm"):
        content = (series / name).read_bytes()
        for kept in (0.3, 0.9):
            (series / name).write_bytes(content[: int(kept * len(content))])
            with pytest.raises(DataError, match=f"{name}: is (cut short|damaged)"):
                load_volume(series)
        (series / name).write_bytes(content)
    shutil.rmtree(series)
    with pytest.raises(DataError, match="no such file"):
        load_volume(series)
