"""The warp that `baseline` writes makes the image, or maps the points, that the engine makes of its own files."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stnreg.baselines.engines import EngineMissing, to_simpleitk
from stnreg.baselines.recipes import RECIPES, SPLINE
from stnreg.baselines.run import align
from stnreg.geometry.matrix import Matrix
from stnreg.geometry.orientation import swap_lps_ras
from stnreg.images.volume import Volume, load_volume
from stnreg.registration.register import register
from stnreg.resampling.apply import apply_transform
from stnreg.transforms.io.files import load_transform, save_transform
from stnreg.transforms.io.links import load_chain

EXAMPLES = Path(__file__).parents[2] / "examples"
FIXED, MOVING = EXAMPLES / "fixed.nii.gz", EXAMPLES / "moving.nii.gz"
FEWER = {
    "greedy": {"iterations": "20x10x0"},
    "ants": {"reg_iterations": (10, 5, 0)},
    "simpleitk": {"spline": SPLINE | {"levels": SPLINE["levels"][:1], "knots_mm": (32.0,), "iterations": 4}},
    "elastix": {"changes": {"MaximumNumberOfIterations": "30"}},
}
METHODS = [name for name, recipe in RECIPES.items() if recipe.deforms]


@pytest.fixture(scope="module")
def start(tmp_path_factory: Any) -> Path:
    """The affine of the example pair, in a file."""
    path = tmp_path_factory.mktemp("start") / "start.tfm"
    save_transform(path, register(str(FIXED), str(MOVING), threads=1).fixed_to_moving)
    return path


def by_greedy(folder: Path, fixed: Volume, moving: Volume) -> np.ndarray:
    from picsl_greedy import Greedy3D

    out = folder / "theirs.nii.gz"
    files = " ".join(str(folder / name) for name in ("warp.nii.gz", "start.mat"))
    composed = folder / "composed.nii.gz"
    Greedy3D().execute(
        f"-d 3 -threads 1 -rf {folder}/fixed.nii -rm {folder}/moving.nii {out} -rc {composed} -wp 0 -r {files}"
    )
    whole, parts = load_chain([composed]), load_chain([folder / "warp.nii.gz", swap_lps_ras(_start(folder))])
    off = whole.map_voxels(fixed.grid) - parts.map_voxels(fixed.grid)
    assert np.abs(off).max() < 1e-3
    return load_volume(out).array


def _start(folder: Path) -> Matrix:
    return np.loadtxt(folder / "start.mat")


def by_ants(folder: Path, fixed: Volume, moving: Volume) -> np.ndarray:
    import ants

    files = [str(folder / name) for name in ("ants1Warp.nii.gz", "ants0GenericAffine.mat")]
    return ants.apply_transforms(ants.image_read(str(FIXED)), ants.image_read(str(MOVING)), files).numpy().T


def by_elastix(folder: Path, fixed: Volume, moving: Volume) -> np.ndarray:
    """Return what elastix itself made, by splines of third order."""
    return load_volume(folder / "moved.nii").array


def by_simpleitk(folder: Path, fixed: Volume, moving: Volume) -> np.ndarray:
    import SimpleITK as sitk

    chain = sitk.ReadTransform(str(folder / "found.h5"))
    return sitk.GetArrayFromImage(sitk.Resample(to_simpleitk(moving), to_simpleitk(fixed), chain))


@pytest.mark.parametrize("method", METHODS)
def test_the_written_warp_makes_the_engines_image(
    method: str, start: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = RECIPES[method]
    settings = dict(FEWER[recipe.engine])
    if method == "ants-synquick":
        settings = {}
    short = recipe.with_settings(**settings)
    kept: dict[str, Path] = {}
    engine = __import__(f"stnreg.baselines.{recipe.engine}", fromlist=["deform"])
    original = engine.deform

    def deform(*arguments: Any, folder: Path, **more: Any) -> Any:
        kept["folder"] = tmp_path / "engine"
        kept["folder"].mkdir()
        return original(*arguments, folder=kept["folder"], **more)

    monkeypatch.setattr(engine, "deform", deform)
    monkeypatch.setattr("stnreg.baselines.run.find_recipe", lambda *_: short)
    try:
        found = align(FIXED, MOVING, method, init=start, threads=1)
    except EngineMissing as missing:
        pytest.skip(str(missing))
    assert np.allclose(found.fixed_to_moving, load_transform(start))
    for name, part in (("a.tfm", Path("a.tfm")), ("w.nii.gz", Path("w.nii.gz"))):
        save_transform(tmp_path / name, found.in_file(part), fixed=found.fixed, moving=found.moving)
    files = [tmp_path / "w.nii.gz", tmp_path / "a.tfm"]
    ours = apply_transform(MOVING, FIXED, files).array
    theirs = {"greedy": by_greedy, "ants": by_ants, "elastix": by_elastix, "simpleitk": by_simpleitk}[recipe.engine](
        kept["folder"], found.fixed, found.moving
    )
    inner = (slice(10, -10),) * 3
    assert np.corrcoef(ours[inner].ravel(), theirs[inner].ravel())[0, 1] > 0.99
    if recipe.engine in ("ants", "simpleitk"):  # Greedy interpolates in another way, elastix by splines
        assert np.percentile(np.abs(ours - theirs)[inner], 99) < 2e-3 * np.ptp(ours)
    _check_it_aligns(found.fixed, ours, found.moving, found.fixed_to_moving)


def _check_it_aligns(fixed: Volume, moved: np.ndarray, moving: Volume, affine: Matrix) -> None:
    before = apply_transform(moving, fixed, affine).array
    inner = (slice(10, -10),) * 3

    def likeness(array: np.ndarray) -> float:
        return float(np.corrcoef(array[inner].ravel(), fixed.array[inner].ravel())[0, 1])

    assert likeness(moved) > likeness(before) - 0.01
