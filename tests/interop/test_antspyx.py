"""ANTs applies our transforms as we do, reads them, and we read its own."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from stnreg.geometry.affine import Parameters, apply_affine, corner_error_mm, from_parameters, invert
from stnreg.geometry.grid import Grid
from stnreg.images.volume import load_reference, load_volume, save_volume
from stnreg.resampling.apply import move
from stnreg.transforms.io.files import load_transform, save_transform

ants = pytest.importorskip("ants", reason="needs ants: pip install 'stnreg[peers]'")

HEAD = Grid.cube((0, 0, 0), 100, 2.0)


@pytest.mark.parametrize("suffix", [".tfm", ".mat"])
def test_our_transform_gives_our_image(case: Any, tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save_transform(path, case.fixed_to_moving)
    fixed, moving = (ants.image_read(str(p)) for p in (case.fixed, case.moving))
    moved = ants.apply_transforms(fixed, moving, [str(path)], interpolator="linear")
    case.check(moved.numpy().T)


def test_it_inverts_our_mat(case: Any, tmp_path: Path) -> None:
    save_transform(tmp_path / "a.mat", invert(case.fixed_to_moving))
    fixed, moving = (ants.image_read(str(p)) for p in (case.fixed, case.moving))
    moved = ants.apply_transforms(fixed, moving, [str(tmp_path / "a.mat")], whichtoinvert=[True])
    case.check(moved.numpy().T)


def test_a_chain_is_in_its_order(case: Any, tmp_path: Path) -> None:
    first = from_parameters(Parameters((3.0, 9.0, -5.0), (0, 0, 30)), (5, -10, 20))
    second = case.fixed_to_moving @ invert(first)
    for name, matrix in (("first.mat", first), ("second.mat", second)):
        save_transform(tmp_path / name, matrix)
    fixed, moving = (ants.image_read(str(p)) for p in (case.fixed, case.moving))
    chain = [str(tmp_path / "first.mat"), str(tmp_path / "second.mat")]
    case.check(ants.apply_transforms(fixed, moving, chain).numpy().T)
    from stnreg.transforms.io.links import load_chain

    assert corner_error_mm(load_chain(chain).matrix, case.fixed_to_moving, HEAD) < 1e-9


def test_we_read_what_it_writes(tmp_path: Path) -> None:
    """Its transforms have a centre, as a rule."""
    theirs = ants.create_ants_transform(
        transform_type="AffineTransform",
        dimension=3,
        matrix=np.array([[1.1, 0.1, 0], [-0.2, 0.9, 0.05], [0, 0.1, 1.2]]),
        translation=(10, -20, 5),
        center=(5, -20, 40),
    )
    ants.write_transform(theirs, str(tmp_path / "a.mat"))
    matrix = load_transform(tmp_path / "a.mat")
    for point in HEAD.corners_lps():
        assert np.abs(apply_affine(matrix, point) - theirs.apply_to_point(point)).max() < 1e-3


def test_a_moving_file_whose_forms_differ_needs_its_reading(case: Any, tmp_path: Path) -> None:
    """The warning of the header rule, held: with --header-source qform our .tfm is right in ANTs, and else is not."""
    image = nibabel.load(case.moving)
    sform = image.affine.copy()
    sform[:3, 3] += 20, -15, 10  # the qform alone is right
    image.set_sform(sform, 2)
    image.header["qform_code"] = 1
    path = tmp_path / "differs.nii.gz"
    nibabel.save(image, path)
    assert ".tfm" in load_volume(path).warnings[0]
    by_qform = load_volume(path, "qform")
    ours = move(by_qform, load_reference(case.fixed), case.fixed_to_moving)
    theirs = ants.apply_transforms(
        ants.image_read(str(case.fixed)), ants.image_read(str(path)), [str(case.tfm)]
    ).numpy().T  # fmt: skip
    assert np.abs(theirs - ours)[case.inside].max() < 1e-4 * ours.max()
    by_sform = move(load_volume(path), load_reference(case.fixed), case.fixed_to_moving)
    assert np.abs(theirs - by_sform)[case.inside].max() > 0.1 * ours.max()


def test_a_registration_of_its_own_is_applied_in_its_order(tmp_path: Path, phantom: Any) -> None:
    """Forward is 1Warp, then 0GenericAffine; back is the affine turned round, then 1InverseWarp."""
    pandas = pytest.importorskip("pandas", reason="needs pandas: pip install 'stnreg[peers]'")
    from stnreg.transforms.io.links import load_chain

    grid = Grid.cube((5, -10, 20), 48, 4.0)
    turned = from_parameters(Parameters((3, -4, 5), (5, -8, 12), (1.05, 0.95, 1)), (5, -10, 20))
    paths = []
    for name, matrix in (("fixed", np.eye(4)), ("moving", turned)):
        volume = phantom.volume(grid, matrix)
        paths.append(tmp_path / f"{name}.nii.gz")
        save_volume(paths[-1], np.clip(volume.array, 0, None) ** (1 if name == "fixed" else 0.9), like=volume)
    fixed, moving = (ants.image_read(str(path)) for path in paths)
    found = ants.registration(fixed, moving, "SyN", outprefix=f"{tmp_path}/", reg_iterations=(10, 5), random_seed=1)
    assert [Path(path).name for path in found["fwdtransforms"]] == ["1Warp.nii.gz", "0GenericAffine.mat"]
    ours = move(load_volume(paths[1]), load_reference(paths[0]), found["fwdtransforms"])
    theirs = ants.apply_transforms(fixed, moving, found["fwdtransforms"]).numpy().T
    inner = (slice(6, -6),) * 3
    assert np.abs(ours - theirs)[inner].max() < 1e-3 * np.ptp(ours)
    points = np.random.default_rng(0).uniform(-50, 50, (40, 3)) + grid.center_lps
    table = pandas.DataFrame(points, columns=["x", "y", "z"])
    chain = load_chain(found["fwdtransforms"])
    expected = ants.apply_transforms_to_points(3, table, found["fwdtransforms"])[["x", "y", "z"]].to_numpy()
    assert np.abs(chain.map_points(points) - expected).max() < 0.01
    there = chain.map_points(points)
    assert np.abs(chain.inverse().map_points(there) - points).max() < 0.01
    affine, inverse_warp = (f"{tmp_path}/{name}" for name in ("0GenericAffine.mat", "1InverseWarp.nii.gz"))
    back = load_chain([f"inv:{affine}", inverse_warp]).map_points(there)
    assert np.linalg.norm(back - points, axis=1).mean() < 0.5  # as near as its own inverse is to one
    assert np.abs(load_chain([f"inv:{affine}", f"inv:{tmp_path}/1Warp.nii.gz"]).map_points(there) - points).max() < 0.01
