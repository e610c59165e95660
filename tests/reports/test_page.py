"""The page of a pair in a real browser: it draws, compares, scrolls and takes a decision, and fetches nothing."""

import numpy as np
import pytest

from stnreg.reports.page import write_qc_html
from stnreg.transforms.affine import Affine
from stnreg.transforms.displacement import DisplacementField

ORANGE, BLUE = "d[i] > 240 && d[i + 1] === 140 && d[i + 2] === 0", "d[i] === 70 && d[i + 1] === 200 && d[i + 2] === 255"


@pytest.fixture(scope="module")
def one(pair, outlines, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "qc.html"
    write_qc_html(path, *pair, ["<b>moving</b> on fixed", "accepted: a line of figures"], outlines=outlines)
    return path


def pixels_of(page, selector, expression):
    """Sum `expression` over `d`, the RGBA values of a canvas, read from a copy of it."""
    code = f"(() => {{ const c = document.querySelector('{selector}'), o = document.createElement('canvas');"
    code += "o.width = c.width; o.height = c.height; const x = o.getContext('2d', {willReadFrequently: true});"
    code += "x.drawImage(c, 0, 0); const d = x.getImageData(0, 0, o.width, o.height).data;"
    return page.value(
        code + f"let n = 0; for (let i = 0; i < d.length; i += 4) n += Number({expression}); return n; }})()"
    )


TILE = "#tiles .tile:nth-child(5) canvas"


def test_nine_slices_are_compared(browser, one, quiet, tmp_path):
    browser.open(one)
    assert browser.value("document.title") == "<b>moving</b> on fixed"
    assert browser.value("document.querySelector('h1 + p').className") == "passed"
    assert browser.value("document.querySelectorAll('#tiles canvas').length") == 9
    assert pixels_of(browser, TILE, ORANGE) > 20, "most of it lies under the outline of the fixed image"
    assert pixels_of(browser, TILE, BLUE) > 50
    texts = browser.value("[...document.querySelectorAll('#tiles .tile:nth-child(8) .letter')].map(e => e.textContent)")
    assert texts == ["R", "L", "A", "P"]
    assert "mm" in browser.value("document.querySelector('#tiles figcaption').textContent")
    browser.value("look.contour = 'none'; looking.refresh()")
    moved = pixels_of(browser, TILE, "d[i]")
    browser.key("f")
    fixed = pixels_of(browser, TILE, "d[i]")
    browser.key("b")
    before = pixels_of(browser, TILE, "d[i]")
    assert abs(moved - fixed) < abs(before - fixed)
    browser.key("o")
    browser.value("const s = document.querySelector('#share'); s.value = 0; s.dispatchEvent(new Event('input'))")
    assert pixels_of(browser, TILE, "d[i]") == pytest.approx(fixed, rel=1e-3)
    browser.key("s")
    assert pixels_of(browser, TILE, "d[i]") == moved, "at the left end the slider shows none of the fixed image"
    browser.key("c")
    assert pixels_of(browser, TILE, "d[i]") not in (moved, fixed)
    browser.click("[data-show=colours]")
    assert pixels_of(browser, TILE, "d[i] !== d[i + 2]") > 20
    browser.value("look.contour = 'brain'; looking.refresh()")
    brain = pixels_of(browser, TILE, BLUE)
    browser.key("e")
    assert pixels_of(browser, TILE, BLUE) > brain + 10, "structures have more outlines than the brain"
    browser.key("e")
    assert browser.value("look.contour") == "head"
    browser.click("[data-of=fixed]")
    assert pixels_of(browser, TILE, BLUE) == 0
    browser.picture(tmp_path / "page.png")
    assert quiet(), browser.said


def test_it_flickers_between_what_is_chosen(browser, one, quiet):
    browser.open(one)
    browser.key(" ", " ")
    for name in ("fixed", "moved", "fixed"):
        browser.wait_for(f"look.show === '{name}'")
    browser.value("document.getElementById('between').value = 'before moved'")
    browser.key(" ", " ")
    assert browser.value("look.timer") is None
    browser.key(" ", " ")
    browser.wait_for("look.show === 'before'")
    browser.click("#flicker")
    assert browser.value("look.timer") is None
    assert quiet(), browser.said


def test_planes_are_scrolled_and_clicked_through(browser, one, quiet):
    browser.open(one)
    browser.key("2")
    start = pixels_of(browser, "#axial", "d[i]")
    assert start > 1e5
    place = browser.value("state.place[2]")
    browser.scroll("#axial", -15)
    browser.wait_for(f"state.place[2] === {place + 15}")
    assert abs(pixels_of(browser, "#axial", "d[i]") - start) > 1e4
    before = browser.value("state.place.slice(0, 2)")
    browser.click("#axial", (0.3, 0.7))
    after = browser.value("state.place.slice(0, 2)")
    assert after[0] < before[0], "the left of the picture is the patient's right: x falls"
    assert after[1] > before[1], "down is towards the back: y rises"
    browser.key("ArrowUp")
    assert browser.value("state.place[2]") == place + 16
    where = browser.value("document.querySelector('#where').textContent")
    assert "of the fixed image" in where
    assert "mm" in where
    assert browser.value("document.querySelectorAll('#planes .cross:not([hidden])').length") == 6
    browser.key("x")
    assert browser.value("document.querySelectorAll('#planes .cross:not([hidden])').length") == 0
    assert quiet(), browser.said


def test_a_decision_is_kept_and_exported(browser, one, quiet):
    browser.open(one)
    browser.key("r")
    browser.value("$('note').value = 'a\\tnote'; $('note').dispatchEvent(new Event('input'))")
    browser.open(one)
    assert browser.value("document.querySelector('[data-decide=reject]').ariaPressed") == "true"
    head, line = browser.value("decisions.table([DATA])").splitlines()
    assert head.split("\t")[:3] == ["id", "decision", "note"]
    assert line.split("\t")[:3] == ["<b>moving</b> on fixed", "reject", "a note"]
    browser.key("r")
    assert browser.value("decisions.of(DATA.id).decision") == ""
    assert quiet(), browser.said


@pytest.fixture(scope="module")
def bent(pair, outlines, tmp_path_factory):
    """A page with a deformation: one half of the head grows, the other shrinks."""
    fixed, moving, moved = pair
    vectors = np.zeros((3, *fixed.grid.shape), np.float32)
    x = np.linspace(-1, 1, fixed.grid.size[0])
    vectors[0] = 30 * x**2
    warp = DisplacementField(vectors, fixed.grid)
    path = tmp_path_factory.mktemp("bent") / "qc.html"
    write_qc_html(path, fixed, moving, warp.then(Affine(moved)), ["bent"], warp=warp, outlines=outlines)
    return path


def test_a_deformation_is_laid_over_the_planes(browser, bent, quiet, tmp_path):
    browser.open(bent)
    browser.value("look.contour = 'none'; looking.refresh()")
    browser.key("2")
    coloured = "Math.abs(d[i] - d[i + 2]) > 30"
    assert pixels_of(browser, "#axial", coloured) == 0
    browser.key("1")
    browser.key("g")
    assert browser.value("[state.overlay, state.view]") == ["grid", "planes"]
    assert pixels_of(browser, "#axial", coloured) > 1000
    browser.picture(tmp_path / "grid.png")
    browser.click("[data-overlay=jacobian]")
    assert browser.value("state.overlay") == "jacobian"
    red, blue = (pixels_of(browser, "#axial", f"d[i + {a}] - d[i + {b}] > 30") for a, b in ((0, 2), (2, 0)))
    assert red > 500
    assert blue > 500
    assert "0.69" in browser.value("document.getElementById('legend').textContent")
    browser.key("j")
    assert browser.value("state.overlay") is None
    assert pixels_of(browser, "#axial", coloured) == 0
    assert quiet(), browser.said


def test_a_page_without_a_deformation_does_not_offer_it(browser, one):
    browser.open(one)
    assert browser.value("document.querySelectorAll('[data-overlay]').length") == 0


def test_a_pair_prints_its_still_picture(browser, one):
    browser.open(one)
    assert browser.value("getComputedStyle(document.querySelector('.still')).display") == "none"
    printed = browser.printed()
    assert printed.startswith(b"%PDF")
    assert b"/Image" in printed
