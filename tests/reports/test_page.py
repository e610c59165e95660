"""The pages in a real browser: they draw, scroll, flicker and filter, say nothing to the console and fetch nothing."""

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from stnreg.geometry.affine import Parameters, from_parameters
from stnreg.geometry.grid import Grid
from stnreg.reports.page import write_qc_html, write_study_page
from stnreg.transforms.affine import Affine
from stnreg.transforms.displacement import DisplacementField

sys.path.insert(0, str(Path(__file__).parents[1]))
from browser import Page, find_chromium

PAIRS = 500
STATUSES = ("passed", "failed", "not judged", "error", "lost")


@pytest.fixture(scope="module")
def browser():
    program = find_chromium()
    if program is None:
        pytest.skip("needs Chromium to open pages with, which is not here")
    with Page(program) as page:
        yield page


@pytest.fixture(scope="module")
def pair(phantom):
    grid = Grid.from_parts((44, 48, 46), (4.0, 4.0, 4.0), (-81.0, -104.0, -70.0))
    moved = from_parameters(Parameters((8.0, -6.0, 10.0), (0.0, 0.0, 12.0)), (5, -10, 20))
    scans = [phantom.volume(grid), phantom.volume(grid, moved)]
    # An outline, which the smooth phantom has not got.
    return *(replace(scan, array=np.where(scan.array > 100, scan.array + 400, 0)) for scan in scans), moved


@pytest.fixture(scope="module")
def one(pair, tmp_path_factory):
    path = tmp_path_factory.mktemp("page") / "qc.html"
    write_qc_html(path, *pair, ["<b>moving</b> on fixed", "a line of figures"])
    return path


def thumbnail(seed: int) -> bytes:
    """Return noise that packs into about 26 kB, as real thumbnails do."""
    noise = np.random.default_rng(seed).integers(0, 255, (100, 153, 3), np.uint8)
    packed = io.BytesIO()
    Image.fromarray(noise).resize((460, 300)).save(packed, "WEBP", quality=30)
    return packed.getvalue()


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A page of 500 pairs, some of each status; what was read back from a table is text."""
    folder = tmp_path_factory.mktemp("study")
    pictures = [folder / f"{k}.webp" for k in range(4)]
    for k, file in enumerate(pictures):
        file.write_bytes(thumbnail(k))
    rows, files = [], {}
    for k in range(PAIRS):
        status = "passed" if k % 20 else STATUSES[(k // 20) % len(STATUSES)]
        score = str(0.5 + 0.4 * k / PAIRS) if k % 2 else 0.5 + 0.4 * k / PAIRS
        rows.append({"id": f"pair-{k:03d}", "status": status, "score": score, "reasons": "the <worst>", "fixed": "f"})
        file = pictures[k % 4]
        files[f"pair-{k:03d}"] = {"thumbnail": file, "transform": file}
    page = folder / "index.html"
    write_study_page(page, rows, files)
    return page


def quiet(page):
    """Say what went wrong in a page, if anything did."""
    return page.said == [] and all(address.startswith(("data:", "file:")) for address in page.asked)


def pixels_of(page, name, expression):
    """Evaluate `expression` on `d`, the RGBA values of a canvas, read from a copy of it."""
    code = f"(() => {{ const c = document.getElementById('{name}'), o = document.createElement('canvas');"
    code += "o.width = c.width; o.height = c.height; const x = o.getContext('2d', {willReadFrequently: true});"
    code += "x.drawImage(c, 0, 0); const d = x.getImageData(0, 0, o.width, o.height).data;"
    return page.value(code + f"let n = 0; for (let i = 0; i < d.length; i += 4) n += {expression}; return n; }})()")


def test_a_pair_is_drawn_scrolled_and_clicked_through(browser, one, tmp_path):
    browser.open(one)
    assert browser.value("document.title") == "<b>moving</b> on fixed"
    start = pixels_of(browser, "axial", "d[i]")
    assert start > 1e5
    place = browser.value("state.place[2]")
    browser.scroll("#axial", -15)
    browser.wait_for(f"state.place[2] === {place + 15}")
    assert abs(pixels_of(browser, "axial", "d[i]") - start) > 1e4
    before = browser.value("state.place.slice(0, 2)")
    browser.click("#axial", (0.3, 0.7))
    after = browser.value("state.place.slice(0, 2)")
    assert after[0] < before[0], "the left of the picture is the patient's right: x falls"
    assert after[1] > before[1], "down is towards the back: y rises"
    browser.key("ArrowUp")
    assert browser.value("state.place[2]") == place + 16
    browser.picture(tmp_path / "page.png")
    assert quiet(browser), browser.said


def test_a_pair_flickers_between_what_is_chosen(browser, one):
    browser.open(one)
    browser.key(" ", " ")
    for name in ("fixed", "after", "fixed"):
        browser.wait_for(f"state.shown === '{name}'")
    browser.value("document.getElementById('between').value = 'before after'")
    browser.wait_for("state.shown === 'before'")
    browser.click("#flicker")
    assert browser.value("state.timer") is None
    assert quiet(browser), browser.said


@pytest.fixture(scope="module")
def bent(pair, tmp_path_factory):
    """A page with a deformation: one half of the head grows, the other shrinks."""
    fixed, moving, moved = pair
    vectors = np.zeros((3, *fixed.grid.shape), np.float32)
    x = np.linspace(-1, 1, fixed.grid.size[0])
    vectors[0] = 30 * x**2
    warp = DisplacementField(vectors, fixed.grid)
    path = tmp_path_factory.mktemp("bent") / "qc.html"
    write_qc_html(path, fixed, moving, warp.then(Affine(moved)), ["bent"], warp=warp)
    return path


def test_a_deformation_is_laid_over_the_planes(browser, bent, tmp_path):
    browser.open(bent)
    coloured = "Math.abs(d[i] - d[i + 2]) > 30"
    assert pixels_of(browser, "axial", coloured) == 0
    browser.key("g")
    assert browser.value("state.overlay") == "grid"
    on_lines = pixels_of(browser, "axial", coloured)
    assert on_lines > 2000
    browser.picture(tmp_path / "grid.png")
    browser.click("[data-overlay=jacobian]")
    assert browser.value("state.overlay") == "jacobian"
    red, blue = (pixels_of(browser, "axial", f"d[i + {a}] - d[i + {b}] > 30") for a, b in ((0, 2), (2, 0)))
    assert red > 1000
    assert blue > 1000
    assert "0.69" in browser.value("document.getElementById('legend').textContent")
    browser.key("j")
    assert browser.value("state.overlay") is None
    assert pixels_of(browser, "axial", coloured) == 0
    assert browser.value("fields.vectors.length") > 0
    assert quiet(browser), browser.said


def test_a_page_without_a_deformation_does_not_offer_it(browser, one):
    browser.open(one)
    assert browser.value("document.querySelectorAll('[data-overlay]').length") == 0


def test_before_and_after_differ_and_after_is_like_fixed(browser, one):
    browser.open(one)
    difference = "(a => {{ let s = 0; for (let i = 0; i < a.length; i++) s += Math.abs(a[i] - volumes.fixed[i]);"
    difference += " return s / a.length; }})(volumes.{0})"
    assert browser.value(difference.format("after")) < 0.2 * browser.value(difference.format("before"))


def test_edges_are_drawn_in_colour(browser, one):
    browser.open(one)
    browser.click("#edges")
    assert pixels_of(browser, "coronal", "d[i] === 255 && d[i + 2] === 0 ? 1 : 0") > 50


def test_a_pair_prints_its_still_picture(browser, one):
    browser.open(one)
    assert browser.value("getComputedStyle(document.querySelector('.still')).display") == "none"
    printed = browser.printed()
    assert printed.startswith(b"%PDF")
    assert b"/Image" in printed


def test_a_study_of_500_opens_filters_and_shows(browser, study, tmp_path):
    assert study.stat().st_size < 30e6
    seconds = browser.open(study)
    assert seconds < 20, "2 s on a quiet machine"
    visible = "cards.filter(c => !c.hidden).length"
    assert browser.value(visible) == PAIRS
    assert browser.value("cards.slice(0, 5).map(c => c.dataset.status)") == ["lost"] * 5
    scores = browser.value("cards.filter(c => c.dataset.status === 'passed').slice(0, 9).map(c => c.dataset.id)")
    assert scores == sorted(scores), "the worst first"
    browser.click("[data-filter='passed']")
    assert browser.value(visible) == 20
    browser.click("[data-filter='passed']")
    browser.value("search.value = 'pair-49'; search.dispatchEvent(new Event('input'))")
    assert browser.value(visible) == 10
    browser.click(".card:not([hidden]) img")
    browser.wait_for("dialog.open && document.querySelector('dialog img').naturalWidth > 0")
    first = browser.value("document.querySelector('dialog .name').textContent")
    browser.click("#next")
    assert browser.value("document.querySelector('dialog .name').textContent") != first
    browser.picture(tmp_path / "study.png")
    browser.click("#close")
    assert not browser.value("dialog.open")
    assert quiet(browser), browser.said


def test_a_study_that_is_too_large_links_to_its_pictures(study, monkeypatch, tmp_path):
    monkeypatch.setattr("stnreg.reports.page.INLINE_BYTES", 1)
    files = {name: {"thumbnail": study.parent / f"{name}.webp"} for name in ("0", "1")}
    page = study.parent / "linked.html"
    write_study_page(page, [{"id": name, "status": "passed", "score": 0.9} for name in files], files)
    text = page.read_text()
    assert text.count('src="data:') == 1
    assert 'src="1.webp"' in text
