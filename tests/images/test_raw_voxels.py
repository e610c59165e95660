"""NRRD and MetaImage as ITK reads and writes them, and what is refused."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given, settings
from hypothesis import strategies as st

from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.images.volume import load_reference, load_volume

SUFFIXES = (".nrrd", ".nhdr", ".mha", ".mhd")
TYPES = ("uint8", "int8", "int16", "uint16", "int32", "uint32", "float32", "float64", "int64")


def itk_image(array: np.ndarray, grid: Grid) -> sitk.Image:
    image = sitk.GetImageFromArray(array)
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(grid.origin.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    return image


@settings(max_examples=60)
@given(st.from_type(Grid), st.sampled_from(SUFFIXES), st.sampled_from(TYPES), st.booleans())
def test_what_itk_writes_is_read_in_its_place(
    tmp_path_factory: Any, grid: Grid, suffix: str, dtype: str, is_packed: bool
) -> None:
    path = tmp_path_factory.getbasetemp() / f"itk{suffix}"
    array = (np.arange(np.prod(grid.shape)) % 127).reshape(grid.shape).astype(dtype)
    sitk.WriteImage(itk_image(array, grid), str(path), is_packed)
    volume = load_volume(path, constant=True)
    assert np.array_equal(volume.array, array)
    assert volume.array.dtype == np.dtype(dtype)
    assert volume.grid.is_close(grid, 1e-6)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_series_is_one_and_vectors_are_refused(tmp_path: Path, suffix: str) -> None:
    series = np.arange(3 * 4 * 5 * 6, dtype=np.int16).reshape(3, 4, 5, 6)
    volumes = sitk.JoinSeries([sitk.GetImageFromArray(volume) for volume in series])
    sitk.WriteImage(volumes, str(tmp_path / f"a{suffix}"))
    assert np.array_equal(load_volume(tmp_path / f"a{suffix}", series=True).array, series)
    assert load_reference(tmp_path / f"a{suffix}").grid.size == (6, 5, 4)
    vectors = sitk.GetImageFromArray(np.zeros((4, 5, 6, 3), np.uint8), isVector=True)
    sitk.WriteImage(vectors, str(tmp_path / f"v{suffix}"))
    with pytest.raises(DataError, match="one number per voxel"):
        load_volume(tmp_path / f"v{suffix}")


@pytest.mark.parametrize("encoding", ["raw", "ascii", "gzip", "bzip2"])
def test_nrrd_in_other_spaces_encodings_and_orders(tmp_path: Path, encoding: str) -> None:
    import bz2
    import gzip

    array = np.arange(2 * 3 * 4, dtype=">i2").reshape(4, 3, 2)
    pack = {"raw": bytes, "gzip": gzip.compress, "bzip2": bz2.compress}.get(encoding)
    data = pack(array.tobytes()) if pack else " ".join(map(str, array.ravel())).encode()
    for space in ("left-posterior-superior", "right-anterior-superior", "RAS", "left-anterior-superior"):
        path = tmp_path / "a.nrrd"
        path.write_bytes(
            f"NRRD0005\n# a comment\ntype: short\ndimension: 3\nspace: {space}\nsizes: 2 3 4\nendian: big\n"
            f"encoding: {encoding}\nkey:=value\nspace directions: (1,0.5,0) (-0.5,1,0) (0,0,2)\n"
            "kinds: domain domain domain\nspace origin: (10,20,-30)\n\n".encode()
            + data
        )
        volume = load_volume(path)
        assert np.array_equal(volume.array, array)
        if encoding == "bzip2":
            continue  # which ITK is built without
        itk = sitk.ReadImage(str(path))
        for index in ((0, 0, 0), (1, 2, 3)):
            ours = volume.grid.index_to_lps @ (*index, 1)
            assert np.abs(ours[:3] - itk.TransformIndexToPhysicalPoint(index)).max() < 1e-9


def test_a_metaimage_in_text_and_of_the_other_order(tmp_path: Path) -> None:
    array = np.arange(2 * 3 * 4).reshape(4, 3, 2)
    head = "ObjectType = Image\nNDims = 3\nDimSize = 2 3 4\nPosition = 1 2 3\nElementSpacing = 1 2 3\n"
    text = " ".join(map(str, array.ravel())) + "\n"
    for binary, data in (("False", text.encode()), ("True", array.astype(">f4").tobytes())):
        (tmp_path / "a.mha").write_bytes(
            f"{head}BinaryData = {binary}\nElementByteOrderMSB = {binary}\nElementType = MET_FLOAT\n"
            "ElementDataFile = LOCAL\n".encode() + data
        )  # fmt: skip
        volume = load_volume(tmp_path / "a.mha")
        assert np.array_equal(volume.array, array)
        assert volume.grid.origin.tolist() == [1, 2, 3]
        assert np.array_equal(sitk.GetArrayFromImage(sitk.ReadImage(str(tmp_path / "a.mha"))), array)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("is_packed", [False, True])
def test_a_file_cut_short_or_promising_too_much_is_refused(tmp_path: Path, suffix: str, is_packed: bool) -> None:
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).integers(0, 1000, (20, 21, 22)).astype(np.int16)
    sitk.WriteImage(sitk.GetImageFromArray(noise), str(path), is_packed)
    data = next((p for p in tmp_path.iterdir() if "raw" in p.name), path)
    content = data.read_bytes()
    for kept in (0.01, 0.5, 0.98):
        data.write_bytes(content[: int(len(content) * kept)])
        with pytest.raises(DataError, match="a\\."):
            load_volume(path)
    data.write_bytes(content)
    path.write_bytes(path.read_bytes().replace(b"22 21 20", b"22222 21111 20000"))
    with pytest.raises(DataError, match="promises"):
        load_reference(path)
    if data != path:
        path.write_bytes(path.read_bytes().replace(b"22222 21111 20000", b"22 21 20"))
        data.unlink()
        with pytest.raises(DataError, match="no such file beside it"):
            load_volume(path)


@pytest.mark.parametrize(
    ("field", "spacing", "mm"),
    [
        ('space units: "um" "um" "um"', 2000.0, 2.0),
        ('space units: "mm" "mm" "mm"', 2.0, 2.0),
        ("", 2.0, 2.0),
        ('space units: "um" "um" "um"', 2.0, 2.0),
        ('space units: "cm" "cm" "cm"', 0.2, 2.0),
    ],
)
def test_the_unit_of_a_nrrd_counts_where_it_can_be_true(tmp_path: Path, field: str, spacing: float, mm: float) -> None:
    axes = " ".join(f"({','.join(str(spacing * (k == j)) for j in range(3))})" for k in range(3))
    lines = ["NRRD0004", "type: uint8", "dimension: 3", "space: left-posterior-superior", "sizes: 8 9 10"]
    lines += [f"space directions: {axes}", "encoding: raw", *([field] if field else []), "", ""]
    path = tmp_path / "a.nrrd"
    path.write_bytes("\n".join(lines).encode() + bytes(range(240)) * 3)
    volume = load_volume(path)
    assert np.allclose(volume.grid.spacing, mm)
    expected = "" if spacing == mm and "um" not in field else "no scan is" if spacing == mm else "to millimetres"
    assert expected in " ".join(volume.warnings)
    assert bool(expected) == bool(volume.warnings)
