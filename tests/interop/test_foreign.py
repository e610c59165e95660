"""FLIRT matrices and LTAs against nitransforms, there and back, on images of any orientation."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from stnreg.geometry.affine import corner_error_mm
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import swap_lps_ras
from stnreg.images.volume import load_reference
from stnreg.transforms.io.files import save_transform
from stnreg.transforms.io.links import load_chain

linear = pytest.importorskip("nitransforms.linear", reason="needs nitransforms: pip install 'stnreg[peers]'")
lta = pytest.importorskip("nitransforms.io.lta", reason="needs nitransforms: pip install 'stnreg[peers]'")

HEAD = Grid.cube((0, 0, 0), 100, 2.0)
PREFIX = {".fslmat": "fsl:", ".lta": "", ".tfm": ""}


@pytest.mark.parametrize(("suffix", "form"), [(".fslmat", "fsl"), (".lta", "fs")])
def test_it_reads_what_we_write(case: Any, tmp_path: Path, suffix: str, form: str) -> None:
    fixed, moving = load_reference(case.fixed), load_reference(case.moving)
    path = tmp_path / f"a{suffix}"
    save_transform(path, case.fixed_to_moving, fixed=fixed, moving=moving)
    read = linear.load(path, fmt=form, reference=nibabel.load(case.fixed), moving=nibabel.load(case.moving))
    # Of an LTA it keeps single precision.
    limit_mm = 1e-4 if suffix == ".fslmat" else 1e-3
    assert corner_error_mm(swap_lps_ras(np.squeeze(read.matrix)), case.fixed_to_moving, HEAD) < limit_mm


@pytest.mark.parametrize(("suffix", "form"), [(".fslmat", "fsl"), (".lta", "fs"), (".tfm", "itk")])
def test_we_read_what_it_writes(case: Any, tmp_path: Path, suffix: str, form: str) -> None:
    theirs = linear.Affine(swap_lps_ras(case.fixed_to_moving), reference=nibabel.load(case.fixed))
    path = tmp_path / f"a{suffix}"
    theirs.to_filename(str(path), fmt=form, moving=nibabel.load(case.moving))
    chain = load_chain([f"{PREFIX[suffix]}{path}"], load_reference(case.fixed), load_reference(case.moving))
    # FLIRT matrices have eight decimals in its hands, ITK's text six digits.
    limit_mm = 0.01 if suffix == ".tfm" else 1e-4
    assert corner_error_mm(chain.matrix, case.fixed_to_moving, HEAD) < limit_mm
    assert chain.warnings == ()


def test_the_geometries_of_an_lta_are_those_of_the_images(case: Any, tmp_path: Path) -> None:
    path = tmp_path / "a.lta"
    fixed, moving = load_reference(case.fixed), load_reference(case.moving)
    save_transform(path, case.fixed_to_moving, fixed=fixed, moving=moving)
    one = lta.FSLinearTransform.from_string(path.read_text())
    for role, image in (("src", case.moving), ("dst", case.fixed)):
        theirs = lta.VolumeGeometry.from_image(nibabel.load(image))
        assert np.allclose(one[role].as_affine(), theirs.as_affine(), atol=1e-4)
        assert tuple(one[role]["volume"]) == nibabel.load(image).shape


def test_an_lta_between_voxels_is_read(case: Any, tmp_path: Path) -> None:
    """As `mri_robust_register` writes by default: moving voxels to fixed voxels."""
    fixed, moving = nibabel.load(case.fixed), nibabel.load(case.moving)
    struct = lta.FSLinearTransform()
    fixed_to_moving_ras = swap_lps_ras(case.fixed_to_moving)
    struct.structarr["type"] = 0
    struct.structarr["sigma"] = 1
    struct.structarr["m_L"] = np.linalg.inv(fixed.affine) @ np.linalg.inv(fixed_to_moving_ras) @ moving.affine
    struct.structarr["src"] = np.asanyarray(lta.VolumeGeometry.from_image(moving))
    struct.structarr["dst"] = np.asanyarray(lta.VolumeGeometry.from_image(fixed))
    (tmp_path / "a.lta").write_text(struct.to_string())
    chain = load_chain([tmp_path / "a.lta"], load_reference(case.fixed), load_reference(case.moving))
    assert corner_error_mm(chain.matrix, case.fixed_to_moving, HEAD) < 1e-4
    assert chain.warnings == ()
