"""Chains: the order, prefixes, what FLIRT matrices need, and room for members that are no matrices."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stnreg.errors import DataError, TransformError, UsageProblem
from stnreg.geometry.affine import Parameters, apply_affine, compose, corner_error_mm, from_parameters, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.orientation import swap_lps_ras
from stnreg.images.volume import Reference, save_volume
from stnreg.transforms.io.files import save_transform
from stnreg.transforms.io.links import Chain, Linear, Link, load_chain, parse_link

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


@dataclass(frozen=True)
class Bend:
    """A member that is no matrix, as a displacement field would be."""

    sign: float = 1.0
    matrix: None = None

    def apply(self, points_lps: np.ndarray) -> np.ndarray:
        shear = np.zeros_like(points_lps)
        shear[..., 0] = self.sign * 3 * np.sin(points_lps[..., 1] / 20)
        return points_lps + shear

    def inverted(self) -> "Bend":
        return Bend(-self.sign)


def test_a_non_linear_member_keeps_its_place() -> None:
    chain = Chain((Linear(A), Bend(), Linear(B)))
    points = HEAD.corners_lps()
    assert np.allclose(chain.apply(points), apply_affine(B, Bend().apply(apply_affine(A, points))))
    assert np.allclose(chain.inverted().apply(chain.apply(points)), points)
    with pytest.raises(TransformError, match="bends space"):
        _ = chain.matrix
