"""Chains: the order, prefixes, what FSL's files need, and displacement fields anywhere among them."""

from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
import SimpleITK as sitk
from hypothesis import given
from hypothesis import strategies as st

from stnreg.errors import DataError, TransformError, UsageProblem
from stnreg.geometry.affine import Parameters, apply_affine, compose, corner_error_mm, from_parameters, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import lps_from_ras, swap_lps_ras
from stnreg.images.volume import Reference, load_reference, save_volume
from stnreg.transforms.affine import Affine
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.files import load_transform, save_transform
from stnreg.transforms.io.fsl import lps_to_fsl
from stnreg.transforms.io.h5 import save_h5
from stnreg.transforms.io.links import Link, load_chain, parse_link
from stnreg.transforms.io.warp import save_warp

CENTER = (5.0, -20.0, 40.0)
A = from_parameters(Parameters((1, 2, 3), (10, 20, 30)), CENTER)
B = from_parameters(Parameters((-4, 0, 9), (0, 0, 45), (1.1, 1, 1)), CENTER)
C = from_parameters(Parameters((14, -3, 2), (-20, 7, 5), (1.0, 0.9, 1), (0.1, 0, 0)), CENTER)
HEAD = Grid.cube((0, 0, 0), 100, 2.0)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phantom: Any, grids_by_name: Any) -> Path:
    """Hold `a`, `b`, `c` in several formats, images `one` to `four`, and work there.

    `a` leads from one to two, `b` from two to three, `c` from three to four.
    """
    monkeypatch.chdir(tmp_path)
    for name, kind in {"one": "RAS", "two": "LPS", "three": "oblique", "four": "anisotropic"}.items():
        volume = phantom.volume(grids_by_name[kind])
        save_volume(f"{name}.nii", volume.array, like=volume)
    for name, matrix, ends in (("a", A, ("one", "two")), ("b", B, ("two", "three")), ("c", C, ("three", "four"))):
        fixed, moving = map(located, ends)
        for suffix in ("tfm", "mat", "lta", "fslmat"):
            save_transform(f"{name}.{suffix}", matrix, fixed=fixed, moving=moving)
    np.savetxt("a.ras", swap_lps_ras(A), fmt="%.17g")
    return tmp_path


def located(name: str) -> Reference:
    from stnreg.images.volume import load_reference

    return load_reference(f"{name}.nii")


def error_mm(links: list[str], expected: np.ndarray, ends: tuple[str, str] | None = None, **options: Any) -> float:
    images = map(located, ends) if ends else ()
    return corner_error_mm(load_chain(links, *images, **options).matrix, expected, HEAD)


@pytest.mark.parametrize(
    ("links", "expected"),
    [
        ([], np.eye(4)),
        (["a.tfm", "b.mat"], compose(B, A)),
        (["a.tfm", "inv:b.mat"], compose(invert(B), A)),
        (["ras:a.ras"], A),
        (["inv:ras:a.ras"], invert(A)),
        (["ras:inv:a.ras"], invert(A)),
        (["inv:inv:a.tfm"], A),
        (["a.lta", "b.tfm", "c.lta"], compose(C, B, A)),
        (["inv:c.lta", "inv:b.lta", "inv:a.tfm"], invert(compose(C, B, A))),
    ],
)
def test_a_chain_takes_a_point_through_in_the_order_given(folder: Path, links: list[str], expected: Any) -> None:
    assert error_mm(links, expected) < 1e-9
    assert error_mm(links, invert(expected), is_inverted=True) < 1e-9


@pytest.mark.parametrize(
    ("links", "expected", "ends"),
    [
        (["fsl:a.fslmat"], A, ("one", "two")),
        (["inv:fsl:a.fslmat"], invert(A), ("two", "one")),
        (["fsl:a.fslmat", "fsl:b.fslmat"], compose(B, A), ("one", "three")),
        (["fsl:a.fslmat", "fsl:b.fslmat", "fsl:c.fslmat"], compose(C, B, A), ("one", "four")),
        (["inv:fsl:b.fslmat", "inv:fsl:a.fslmat"], invert(compose(B, A)), ("three", "one")),
        (["fsl:a.fslmat,two.nii", "b.tfm"], compose(B, A), ("one", "three")),
        (["a.tfm", "fsl:b.fslmat,two.nii"], compose(B, A), ("one", "three")),
        (["fsl:a.fslmat,two.nii", "b.lta", "fsl:c.fslmat,three.nii"], compose(C, B, A), ("one", "four")),
        (["fsl:a.fslmat", "fsl:b.fslmat", "inv:c.tfm"], None, ("one", "three")),
        (["a.tfm", "fsl:b.fslmat", "c.tfm"], None, ("one", "four")),
        (["fsl:a.fslmat"], None, None),
    ],
)
def test_flirt_matrices_need_the_images_on_both_sides(
    folder: Path, links: list[str], expected: Any, ends: tuple[str, str] | None
) -> None:
    if expected is None:
        with pytest.raises(UsageProblem, match="both its images"):
            error_mm(links, A, ends)
        return
    assert ends
    assert error_mm(links, expected, ends) < 1e-9
    assert error_mm(links, invert(expected), ends[::-1], is_inverted=True) < 1e-9


@given(st.from_type(Grid), st.from_type(Grid), st.from_type(Parameters), st.sampled_from((".lta", ".fslmat")))
def test_any_two_images_and_any_affine_come_back(
    tmp_path_factory: Any, fixed: Grid, moving: Grid, parameters: Parameters, suffix: str
) -> None:
    path = tmp_path_factory.getbasetemp() / f"again{suffix}"
    ends = [Reference(grid, None, False, "a b#c.nii") for grid in (fixed, moving)]
    matrix = from_parameters(parameters, CENTER)
    save_transform(path, matrix, fixed=ends[0], moving=ends[1])
    chain = load_chain([f"fsl:{path}" if suffix == ".fslmat" else path], *ends)
    assert corner_error_mm(chain.matrix, matrix, HEAD) < 1e-7
    assert chain.warnings == ()


def test_a_transform_for_other_images_is_noticed(folder: Path) -> None:
    def said(link: str, *ends: str) -> tuple[str, ...]:
        return load_chain([link], *map(located, ends)).warnings

    assert said("a.lta", "one", "two") == said("inv:a.lta", "two", "one") == said("a.tfm", "four", "four") == ()
    turned = said("a.lta", "two", "one")
    assert len(turned) == 2
    assert all("a.lta: its other image" in text and "inv:FILE" in text for text in turned)
    (other,) = said("a.lta", "one", "four")
    assert "made for another moving (src) image (two.nii)" in other


def test_a_link_is_parsed(folder: Path) -> None:
    assert parse_link("inv:fsl:a.fslmat,one.nii") == Link(Path("a.fslmat"), True, "fsl", Path("one.nii"))
    assert parse_link("inv:missing.tfm") == Link(Path("missing.tfm"), True)
    (folder / "inv:a,b").write_bytes(b"x")
    assert parse_link("inv:a,b") == Link(Path("inv:a,b"))
    assert parse_link("a,b.tfm") == Link(Path("a,b.tfm"))
    for wrong in ("fsl:ras:a.ras", "ras:inv:fsl:a.ras"):
        with pytest.raises(UsageProblem, match="not both"):
            parse_link(wrong)
    with pytest.raises(UsageProblem, match="after the comma"):
        load_chain(["fsl:a.fslmat,one.nii"], located("one"), located("two"))
    with pytest.raises(DataError, match=r"none\.nii"):
        load_chain(["fsl:a.fslmat,none.nii", "b.tfm"], located("one"), located("three"))


@pytest.mark.parametrize("name", ["a.ras", "a.fslmat"])
def test_a_bare_matrix_has_no_meaning_of_its_own(folder: Path, name: str) -> None:
    with pytest.raises(TransformError, match=r"fsl:FILE.*ras:FILE"):
        load_chain([name])


def field(name: str, smooth: Any, folder: Path) -> DisplacementField:
    """Write a field on the grid of an image as `NAME_warp.nii.gz`, and return it."""
    made: DisplacementField = smooth(located(name).grid)
    save_warp(folder / f"{name}_warp.nii.gz", made, located(name))
    return made


def apart(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other, axis=-1).max())


def test_a_field_between_affines_is_what_itk_makes_of_the_composite(folder: Path, smooth: Any, inside: Any) -> None:
    made = field("two", smooth, folder)
    chain = load_chain(["a.tfm", "two_warp.nii.gz", "inv:b.lta"])
    assert chain.matrix is None
    theirs = sitk.CompositeTransform(3)
    image = sitk.ReadImage("two_warp.nii.gz", sitk.sitkVectorFloat64)
    for transform in (affine(invert(B)), sitk.DisplacementFieldTransform(image), affine(A)):
        theirs.AddTransform(transform)  # the last is applied first
    points = apply_affine(invert(A), inside(made.grid))
    expected = np.array([theirs.TransformPoint(point) for point in points.tolist()])
    assert apart(chain.map_points(points), expected) < 0.001
    back = load_chain(["a.tfm", "two_warp.nii.gz", "inv:b.lta"], is_inverted=True)
    assert apart(back.map_points(expected), points) < 0.01
    also_back = load_chain(["b.tfm", "inv:two_warp.nii.gz", "inv:a.tfm"])
    assert apart(also_back.map_points(expected), points) < 0.01


def affine(matrix: np.ndarray) -> Any:
    made = sitk.AffineTransform(3)
    made.SetMatrix(matrix[:3, :3].ravel().tolist())
    made.SetTranslation(matrix[:3, 3].tolist())
    return made


def test_objects_composites_and_fields_of_others_are_links(folder: Path, smooth: Any, inside: Any) -> None:
    made = field("one", smooth, folder)
    points = inside(made.grid)
    expected = apply_affine(A, made.map_points(points))
    save_h5("both.h5", made.then(Affine(A)))
    save_warp("ras.nii", made, located("one"), form="ras")
    for links in (
        ["both.h5"],
        ["inv:inv:both.h5"],
        [made, "a.tfm"],
        [made, A],
        [load_chain(["both.h5"])],
        ["ras:ras.nii", "a.mat"],
    ):
        assert apart(load_chain(links).map_points(points), expected) < 0.001
    assert apart(load_chain(["inv:both.h5"]).map_points(expected), points) < 0.01
    save_h5("linear.h5", Affine(B).then(Affine(A)))
    assert error_mm(["linear.h5"], compose(A, B)) < 1e-9
    assert np.array_equal(load_chain(["linear.h5"]).matrix, load_transform("linear.h5"))


def test_fields_of_fsl_know_their_fixed_image_and_need_the_moving_one(folder: Path, smooth: Any, inside: Any) -> None:
    made = smooth(located("one").grid)
    save_warp("fsl.nii", made, located("one"), form="fsl", moving=located("two"))
    points = inside(made.grid)
    there = made.map_points(points)
    ends = located("one"), located("two")
    for link in ("fsl.nii", "fsl:fsl.nii"):
        assert apart(load_chain([link], *ends).map_points(points), there) < 0.001
        assert apart(load_chain([f"inv:{link}"], *ends[::-1]).map_points(there), points) < 0.01
        assert apart(load_chain([link], *ends[::-1], is_inverted=True).map_points(there), points) < 0.01
    for links in (["fsl.nii"], ["fsl.nii", "b.tfm"], ["inv:fsl.nii"]):
        with pytest.raises(UsageProblem, match=r"fsl\.nii: .*moving image.*fsl:FILE,MOVING"):
            load_chain(links, located("one") if links[0] == "fsl.nii" else None, None)
    expected = apply_affine(B, there)
    three = located("three")
    assert apart(load_chain(["fsl:fsl.nii,two.nii", "b.tfm"]).map_points(points), expected) < 0.001
    assert apart(load_chain(["fsl:fsl.nii", "fsl:b.fslmat"], None, three).map_points(points), expected) < 0.001
    before = apply_affine(invert(A), points)
    save_transform("to_one.fslmat", A, fixed=located("four"), moving=located("one"))
    chain = load_chain(["fsl:to_one.fslmat", "fsl.nii"], located("four"), located("two"))
    assert apart(chain.map_points(before), there) < 0.001
    two_fields = load_chain(["fsl:fsl.nii,two.nii", "fsl:fsl.nii"], None, located("two"))
    assert apart(two_fields.map_points(points), made.map_points(there)) < 0.001


def test_a_field_that_folds_is_not_inverted(folder: Path, smooth: Any) -> None:
    save_warp("folds.nii", smooth(located("one").grid, 90.0), located("one"))
    load_chain(["folds.nii"])
    for links, options in ((["inv:folds.nii"], {}), (["folds.nii"], {"is_inverted": True})):
        with pytest.raises(TransformError, match=r"folds\.nii: .*folds"):
            load_chain(links, **options)


def test_an_image_that_is_no_field_is_refused(folder: Path) -> None:
    with pytest.raises(TransformError, match=r"one\.nii: is an image. Expected a displacement field"):
        load_chain(["one.nii"])


def test_comments_in_a_plain_matrix_are_no_numbers(folder: Path) -> None:
    rows = "\n".join(" ".join(map(str, row)) for row in swap_lps_ras(A))
    Path("mrtrix.txt").write_text(f"# command_history: mrregister a b\n# centre: -1 -4 -2\n{rows} # last\n")
    found = load_chain(["ras:mrtrix.txt"]).matrix
    assert found is not None
    np.testing.assert_allclose(found, A, atol=1e-12)


def test_a_matrix_of_afni_is_refused_with_the_way_to_convert_it(folder: Path) -> None:
    Path("x.aff12.1D").write_text("1 0 0 5 0 1 0 0 0 0 1 0\n")
    with pytest.raises(TransformError, match=r"AFNI.*nitransforms"):
        load_chain(["x.aff12.1D"])


def test_fsl_takes_left_and_right_from_the_sform(folder: Path, phantom: Any, grids_by_name: Any) -> None:
    """A file whose qform and sform are mirror images: FLIRT reads the sform, and this transform is of the qform."""
    volume = phantom.volume(grids_by_name["LPS"])
    save_volume("both.nii", volume.array, like=volume)
    image = nibabel.load("both.nii")
    mirrored = image.affine @ np.diag([-1.0, 1, 1, 1])
    image.set_sform(mirrored, 1)
    image.set_qform(image.affine, 1)
    nibabel.save(image, "exchanged.nii")
    fixed, moving = load_reference("one.nii"), load_reference("exchanged.nii", "qform")
    as_sform = Reference(Grid(moving.grid.size, lps_from_ras(mirrored)), None, False, "both.nii")
    index = np.array([[3.0, 4, 5], [20, 11, 30]])  # one voxel of the file is one point of FLIRT's space, either way
    there = apply_affine(lps_to_fsl(moving), apply_affine(moving.grid.index_to_lps, index))
    assert np.allclose(there, apply_affine(lps_to_fsl(as_sform), apply_affine(as_sform.grid.index_to_lps, index)))
    save_transform("x.fslmat", A, fixed=fixed, moving=moving)
    again = load_chain(["fsl:x.fslmat"], fixed, moving).matrix
    assert again is not None
    assert np.allclose(again, A, atol=1e-6)
