"""Displacement fields on disk, read back by us and by everybody else, at random points, in mm."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk

from stnreg.errors import DataError, TransformError, UsageProblem
from stnreg.geometry.affine import Parameters, apply_affine, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import FLIP
from stnreg.images.volume import Reference, save_volume
from stnreg.resampling.warp import resample_through
from stnreg.transforms.affine import Affine
from stnreg.transforms.io.warp import load_warp, save_warp

MOVE = Affine(from_parameters(Parameters((3, -4, 5), (5, -8, 12), (1.05, 0.95, 1)), (5, -10, 20)))
LIMIT_MM = 1e-3


def located(grid: Grid) -> Reference:
    return Reference(grid, None, True, "image")


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other, axis=-1).max())


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
def test_itk_reads_it(smooth: Any, inside: Any, grid: Grid, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a_warp{suffix}"
    field = smooth(grid)
    save_warp(path, field, grid)
    image = sitk.ReadImage(str(path), sitk.sitkVectorFloat64)
    theirs = sitk.DisplacementFieldTransform(image)
    points = inside(grid)
    expected = field.map_points(points)
    assert apart(np.array([theirs.TransformPoint(p) for p in points.tolist()]), expected) < LIMIT_MM
    again = load_warp(path)
    assert apart(again.map_points(points), expected) < LIMIT_MM
    assert np.array_equal(again.members[0].vectors, field.vectors)  # type: ignore[attr-defined]
    header = nibabel.load(path).header
    assert int(header["intent_code"]) == 1007
    assert header.get_data_shape() == (*grid.size, 1, 3)


def test_we_read_what_itk_writes(smooth: Any, inside: Any, grid: Grid, tmp_path: Path) -> None:
    field = smooth(grid)
    image = sitk.GetImageFromArray(np.moveaxis(field.vectors, 0, -1), isVector=True)
    image.SetSpacing(grid.spacing.tolist())
    image.SetOrigin(grid.origin.tolist())
    image.SetDirection(grid.direction.ravel().tolist())
    sitk.WriteImage(image, str(tmp_path / "a.nii.gz"))
    points = inside(grid)
    assert apart(load_warp(tmp_path / "a.nii.gz").map_points(points), field.map_points(points)) < LIMIT_MM


def test_antspyx_maps_points_with_it(smooth: Any, inside: Any, grid: Grid, tmp_path: Path) -> None:
    ants = pytest.importorskip("ants", reason="needs ants: pip install 'stnreg[peers]'")
    pandas = pytest.importorskip("pandas", reason="needs pandas: pip install 'stnreg[peers]'")
    field = smooth(grid)
    save_warp(tmp_path / "a.nii.gz", field, grid)
    points = inside(grid, 50)
    table = pandas.DataFrame(points, columns=["x", "y", "z"])
    theirs = ants.apply_transforms_to_points(3, table, [str(tmp_path / "a.nii.gz")])
    assert apart(theirs[["x", "y", "z"]].to_numpy(), field.map_points(points)) < 0.01


@pytest.mark.parametrize("tool", ["antspyx", "greedy"])
@pytest.mark.parametrize("names", [("LIA", "oblique"), ("oblique", "anisotropic"), ("LPS", "RAS")])
def test_others_make_our_image_with_it(
    smooth: Any, phantom: Any, grids_by_name: Any, tmp_path: Path, tool: str, names: tuple[str, str]
) -> None:
    moving_grid, fixed_grid = (grids_by_name[name] for name in names)
    chain = smooth(fixed_grid).then(MOVE)
    moving = phantom.volume(moving_grid)
    ours = resample_through(moving.array, moving_grid, fixed_grid, chain)
    paths = {name: tmp_path / f"{name}.nii.gz" for name in ("fixed", "moving", "warp", "out")}
    save_volume(paths["moving"], moving.array, like=moving)
    save_volume(paths["fixed"], phantom.volume(fixed_grid).array, like=located(fixed_grid))
    save_warp(paths["warp"], chain, fixed_grid)
    if tool == "antspyx":
        ants = pytest.importorskip("ants", reason="needs ants: pip install 'stnreg[peers]'")
        images = [ants.image_read(str(paths[name])) for name in ("fixed", "moving")]
        theirs = ants.apply_transforms(*images, [str(paths["warp"])]).numpy().T
    else:
        greedy = pytest.importorskip(
            "picsl_greedy", reason="needs picsl_greedy: pip install 'stnreg[peers]'"
        ).Greedy3D()
        greedy.execute(
            f"-d 3 -threads 1 -rf {paths['fixed']} -rm {paths['moving']} {paths['out']} -r {paths['warp']}"
        )  # fmt: skip
        theirs = np.asarray(nibabel.load(paths["out"]).dataobj).T
    index = apply_affine(moving_grid.lps_to_index, np.moveaxis(chain.map_voxels(fixed_grid), 0, -1))
    inner = ((index > 1) & (index < np.array(moving_grid.size) - 2)).all(-1)
    assert inner.mean() > 0.3
    assert np.abs(theirs - ours)[inner].max() < 2e-4 * ours.max()


def test_nitransforms_reads_it(smooth: Any, grid: Grid, tmp_path: Path) -> None:
    """At voxels: between them it takes cubic splines."""
    nonlinear = pytest.importorskip("nitransforms.nonlinear", reason="needs nitransforms: pip install 'stnreg[peers]'")
    field = smooth(grid)
    save_warp(tmp_path / "a.nii.gz", field, grid)
    theirs = nonlinear.DenseFieldTransform.from_filename(str(tmp_path / "a.nii.gz"), fmt="itk")
    index = np.random.default_rng(0).integers(1, np.array(grid.size) - 1, (200, 3))
    points = apply_affine(grid.index_to_lps, index)
    ras = theirs.map(points * (-1, -1, 1)) * (-1, -1, 1)
    assert apart(ras, field.map_points(points)) < 0.01


def test_ras_is_told_by_its_name_or_by_intent_1006(smooth: Any, inside: Any, grid: Grid, tmp_path: Path) -> None:
    field, points = smooth(grid), inside(grid)
    path = tmp_path / "a.nii.gz"
    save_warp(path, field, grid, form="ras")
    image = nibabel.load(path)
    assert image.shape == (*grid.size, 3)
    assert np.allclose(np.asarray(image.dataobj).T, field.vectors * np.array([-1, -1, 1])[:, None, None, None])
    assert apart(load_warp(path, "ras").map_points(points), field.map_points(points)) < LIMIT_MM
    with pytest.raises(TransformError, match=r"ras:FILE .* fsl:FILE"):
        load_warp(path)
    five = nibabel.Nifti1Image(np.asarray(image.dataobj)[:, :, :, None], image.affine)
    five.header.set_intent(1006)
    nibabel.save(five, path)
    assert apart(load_warp(path).map_points(points), field.map_points(points)) < LIMIT_MM
    theirs = sitk.DisplacementFieldTransform(sitk.ReadImage(str(path), sitk.sitkVectorFloat64))
    assert apart(np.array([theirs.TransformPoint(p) for p in points.tolist()]), field.map_points(points)) < LIMIT_MM


def test_ras_comes_as_mgz_too(smooth: Any, inside: Any, grid: Grid, tmp_path: Path) -> None:
    """As SynthMorph and FreeSurfer write it: three frames."""
    field, points = smooth(grid), inside(grid)
    save_warp(tmp_path / "a.nii", field, grid, form="ras")
    image = nibabel.load(tmp_path / "a.nii")
    nibabel.save(nibabel.MGHImage(np.asarray(image.dataobj), image.affine), tmp_path / "a.mgz")
    assert apart(load_warp(tmp_path / "a.mgz", "ras").map_points(points), field.map_points(points)) < LIMIT_MM
    with pytest.raises(TransformError, match="unknown number of axes"):
        load_warp(tmp_path / "a.mgz")


@pytest.mark.parametrize("names", [("LIA", "oblique"), ("oblique", "anisotropic"), ("LPS", "RAS"), ("RAS", "LIA")])
def test_fsl_holds_the_affine_too(
    smooth: Any, inside: Any, grids_by_name: Any, tmp_path: Path, names: tuple[str, str]
) -> None:  # fmt: skip
    moving, fixed = (located(grids_by_name[name]) for name in names)
    chain = smooth(fixed.grid).then(MOVE)
    points = inside(fixed.grid)
    save_warp(tmp_path / "a.nii.gz", chain, fixed, form="fsl", moving=moving)
    read = load_warp(tmp_path / "a.nii.gz", moving=moving)
    expected = chain.to_displacement(fixed.grid).map_points(points)
    assert apart(read.map_points(points), expected) < LIMIT_MM
    assert apart(as_fsl_says(tmp_path / "a.nii.gz", fixed.grid, moving.grid), fixed_to(chain, fixed.grid)) < LIMIT_MM
    with pytest.raises(UsageProblem, match="moving image"):
        load_warp(tmp_path / "a.nii.gz")


def as_fsl_says(path: Path, fixed: Grid, moving: Grid) -> np.ndarray:
    """Where each voxel goes, LPS mm, by FSL's definition: x backwards where the determinant is positive."""

    def voxels_to_fsl(index: np.ndarray, grid: Grid, affine: np.ndarray) -> np.ndarray:
        flipped = index.copy()
        if np.linalg.det(affine) > 0:
            flipped[..., 0] = grid.size[0] - 1 - flipped[..., 0]
        return flipped * grid.spacing

    image = nibabel.load(path)
    assert int(image.header["intent_code"]) == 2006
    index = np.stack(np.meshgrid(*map(np.arange, fixed.size), indexing="ij"), -1).astype(float)
    there = voxels_to_fsl(index, fixed, image.affine) + np.asarray(image.dataobj)
    moving_affine = FLIP @ moving.index_to_lps
    back = there / moving.spacing
    if np.linalg.det(moving_affine) > 0:
        back[..., 0] = moving.size[0] - 1 - back[..., 0]
    return apply_affine(moving.index_to_lps, back)


def fixed_to(chain: Any, grid: Grid) -> np.ndarray:
    return chain.map_voxels(grid).transpose(3, 2, 1, 0)


def test_nitransforms_has_the_same_fsl_field(smooth: Any, grids_by_name: Any, tmp_path: Path) -> None:
    """Between an image and itself, upright: it knows one of FSL's cases."""
    nonlinear = pytest.importorskip(
        "nitransforms.nonlinear", reason="needs nitransforms.nonlinear: pip install 'stnreg[peers]'"
    )
    image = located(grids_by_name["RAS"])
    field = smooth(image.grid)
    save_warp(tmp_path / "a.nii.gz", field, image, form="fsl", moving=image)
    theirs = nonlinear.DenseFieldTransform.from_filename(str(tmp_path / "a.nii.gz"), fmt="fsl")
    points = apply_affine(image.grid.index_to_lps, np.random.default_rng(0).integers(1, 39, (100, 3)))
    assert apart(theirs.map(points * (-1, -1, 1)) * (-1, -1, 1), field.map_points(points)) < 0.01


def test_an_absolute_field_of_fsl_is_refused(smooth: Any, grids_by_name: Any, tmp_path: Path) -> None:
    image = located(grids_by_name["anisotropic"])  # whose x FSL does not turn round
    path = tmp_path / "a.nii.gz"
    save_warp(path, smooth(image.grid), image, form="fsl", moving=image)
    stored = nibabel.load(path)
    index = np.stack(np.meshgrid(*map(np.arange, image.grid.size), indexing="ij"), -1)
    absolute = np.asarray(stored.dataobj) + index * image.grid.spacing
    nibabel.save(nibabel.Nifti1Image(absolute.astype(np.float32), stored.affine, stored.header), path)
    with pytest.raises(TransformError, match="absolute"):
        load_warp(path, moving=image)


@pytest.mark.parametrize(
    ("shape", "intent", "name", "message"),
    [
        ((5, 6, 7), 0, "", "4-D with intent 2006"),
        ((5, 6, 7, 3), 0, "", "ras:FILE"),
        ((5, 6, 7, 3), 1007, "", "ras:FILE"),
        ((5, 6, 7, 3), 2007, "", "coefficients"),
        ((5, 6, 7, 1, 3), 1007, "NREG_TRANS", "NiftyReg"),
        ((5, 6, 7, 1, 2), 1007, "", "three numbers"),
        ((5, 6, 7, 2, 3), 1007, "", "three numbers"),
    ],
)
def test_what_is_no_field_is_refused(
    tmp_path: Path, shape: tuple[int, ...], intent: int, name: str, message: str
) -> None:  # fmt: skip
    image = nibabel.Nifti1Image(np.zeros(shape, np.float32), np.eye(4))
    image.header["intent_code"], image.header["intent_name"] = intent, name
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(TransformError, match=message):
        load_warp(tmp_path / "a.nii")


def test_nan_and_bad_names_are_refused(smooth: Any, grids_by_name: Any, tmp_path: Path) -> None:
    grid = grids_by_name["LPS"]
    save_warp(tmp_path / "a.nii", smooth(grid), grid)
    content = bytearray((tmp_path / "a.nii").read_bytes())
    content[1000 * 4 + 352 : 1000 * 4 + 356] = np.float32(np.nan).tobytes()
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(TransformError, match="finite"):
        load_warp(tmp_path / "a.nii")
    with pytest.raises(UsageProblem, match="nii"):
        save_warp(tmp_path / "a.tfm", smooth(grid), grid)
    with pytest.raises(UsageProblem, match="moving image"):
        save_warp(tmp_path / "b.nii", smooth(grid), grid, form="fsl")
    with pytest.raises(DataError):
        load_warp(tmp_path / "missing.nii")


def test_the_same_field_gives_the_same_bytes(smooth: Any, grid: Grid, tmp_path: Path) -> None:
    for name, threads in (("a", 1), ("b", 2)):
        save_warp(tmp_path / f"{name}.nii.gz", smooth(grid), grid, threads=threads)
    assert (tmp_path / "a.nii.gz").read_bytes() == (tmp_path / "b.nii.gz").read_bytes()
