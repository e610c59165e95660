"""The page of a study in a real browser: it sorts, filters, takes decisions, and gives them back."""

import json

import pytest

from stnreg.reports.hints import Hints
from stnreg.reports.study import number, write_preview, write_study_page

PAIRS = 80
LOW_SCORE, LARGE_SCALE = 23, 37
"""Pairs that are outliers."""
STATUSES = ("failed", "not judged", "error", "lost")
VISIBLE = "pairs.filter(p => !p.entry.hidden).length"


@pytest.fixture(scope="module")
def preview(pair, outlines, tmp_path_factory):
    path = tmp_path_factory.mktemp("preview") / "preview.json"
    write_preview(path, *pair, outlines)
    return json.loads(path.read_text())


def rows_of(count):
    """Rows with one outlier of the score and one of the scale; what was read back from a table is text."""
    for k in range(count):
        score = 0.4 if k == LOW_SCORE else 0.8 + 0.1 * k / count
        yield {
            "id": f"pair-{k:03d}", "status": "passed" if k % 20 else STATUSES[(k // 20) % 4], "reasons": "the <worst>",
            "score": str(score) if k % 2 else score, "local_correlation": 0.5 + (k % 7) / 100, "fixed": "f</script>",
            **{f"rotation_{axis}_deg": (k % 11) * 1.0 if axis == "z" else 0.0 for axis in "xyz"},
            **{f"scale_{axis}": 1.4 if k == LARGE_SCALE else 1 + (k % 5) / 100 for axis in "xyz"},
        }  # fmt: skip


def write(folder, preview, count, filler=0):
    """Write a page; `filler` makes each pair as large as one of real heads, with a fixed image of its own."""
    rows, files = [*rows_of(count)], {}
    for row in rows:
        if row["status"] in ("error", "lost"):
            continue
        file = folder / f"{row['id']}.json"
        # A browser leaves out what comes after the #, so that each picture is another text and the same picture.
        file.write_text(json.dumps(preview | {"fixed": f"{preview['fixed']}#{row['id']}{'A' * filler}"}))
        files[row["id"]] = {"preview": file, "JSON": file}
    page = folder / "index.html"
    write_study_page(page, rows, files)
    return page


@pytest.fixture(scope="module")
def study(preview, tmp_path_factory):
    return write(tmp_path_factory.mktemp("study"), preview, PAIRS)


@pytest.fixture
def opened(browser, study):
    """The page, without decisions of an earlier test."""
    browser.open(study)
    browser.value("localStorage.clear()")
    browser.open(study)


def test_500_pairs_fit_and_open(browser, preview, quiet, tmp_path):
    page = write(tmp_path, preview, 500, 47_000 - len(json.dumps(preview)))
    assert 20e6 < page.stat().st_size < 30e6
    browser.open(page)
    assert browser.value(VISIBLE) == 500
    assert browser.value("$('lines').children.length") == 12, "errors are lines"
    assert browser.value("$('cards').children.length") == 500 - 12
    assert quiet(), browser.said


def test_the_worst_come_first_and_are_drawn_when_they_are_seen(browser, opened, quiet, tmp_path):
    assert browser.value(VISIBLE) == PAIRS
    assert browser.value("order.slice(0, 4).map(p => p.status)") == ["lost", "error", "failed", "not judged"]
    assert browser.value("order[4].id") == f"pair-{LOW_SCORE:03d}"
    browser.wait_for("document.querySelector('.card canvas').width > 100 && Boolean(order[4].painted)")
    browser.picture(tmp_path / "study.png")
    assert quiet(), browser.said


def test_it_is_filtered_and_sorted(browser, opened, quiet):
    browser.click("[data-filter='passed']")
    assert browser.value(VISIBLE) == 4
    browser.click("[data-filter='passed']")
    browser.value("$('search').value = 'pair-04'; $('search').dispatchEvent(new Event('input'))")
    assert browser.value(VISIBLE) == 10
    browser.value("$('search').value = ''; $('from').value = 0.88; $('from').dispatchEvent(new Event('input'))")
    assert browser.value(f"{VISIBLE} === pairs.filter(p => p.score >= 0.88).length")
    browser.value("$('from').value = ''; $('sort').value = 'rotation'; $('sort').dispatchEvent(new Event('change'))")
    assert browser.value("order[0].rotation") == 0
    browser.click("#reverse")
    assert browser.value("order[0].rotation") == pytest.approx(10)
    assert quiet(), browser.said


def test_outliers_are_marked(browser, opened, quiet):
    assert browser.value("document.querySelectorAll('#histogram .bar-outlier').length") == 1
    assert "1 outliers" in browser.value("$('histogram').getAttribute('aria-label')")
    assert "outlier: score" in browser.value("byId.get('pair-023').badge.textContent")
    browser.click("#outliers")
    assert browser.value("pairs.filter(p => !p.entry.hidden).map(p => p.id)") == ["pair-023"]
    browser.value("$('measure').value = 'scale'; $('measure').dispatchEvent(new Event('change'))")
    assert browser.value("pairs.filter(p => !p.entry.hidden).map(p => p.id)") == ["pair-037"]
    assert quiet(), browser.said


def test_pairs_are_decided_by_key_one_after_the_other(browser, study, opened, quiet, tmp_path):
    browser.value("show(order[20].id)")
    browser.wait_for("document.querySelectorAll('#tiles canvas').length === 9")
    first = browser.value("open")
    assert browser.value("[$('name').textContent, $('why').textContent]") == [first, "the <worst>"]
    for key, by in (("a", "ArrowRight"), ("r", "ArrowRight"), ("u", "ArrowLeft")):
        browser.key(key)
        browser.key(by)
    assert browser.value("$('name').textContent") != first
    browser.wait_for("document.querySelectorAll('#tiles canvas').length === 9")
    browser.picture(tmp_path / "dialog.png")
    browser.key("n", "n")
    browser.key("x", "x")
    browser.click("#close")
    assert not browser.value("$('dialog').open")
    assert browser.value("[20, 21, 22].map(k => decisions.of(order[k].id).decision)") == ["accept", "reject", "unsure"]
    assert "1 accept, 1 reject, 1 unsure, 77 not decided" in browser.value("$('tally').textContent")
    browser.open(study)
    assert "1 accept, 1 reject" in browser.value("$('tally').textContent")
    browser.value("$('decided').value = 'reject'; $('decided').dispatchEvent(new Event('change'))")
    assert browser.value(VISIBLE) == 1
    assert quiet(), browser.said


def test_decisions_are_exported_and_imported(browser, study, opened, quiet):
    browser.value("decisions.set('pair-003', { decision: 'reject', note: 'flipped\\t!' })")
    table = browser.value("decisions.table(pairs)")
    lines = [line.split("\t") for line in table.splitlines()]
    assert lines[0] == ["id", "decision", "note", "decided", "status", "score"]
    assert len(lines) == PAIRS + 1
    (line,) = (line for line in lines if line[0] == "pair-003")
    assert line[1:3] == ["reject", "flipped !"]
    browser.value("localStorage.clear()")
    browser.open(study)
    given = table + "nobody\taccept\t\t\t\t\npair-004\tperhaps\t\t\t\t\n"
    browser.value(f"take({json.dumps(given)}, 'mine.tsv')")
    said = browser.value("$('imported').textContent")
    assert "1 decisions taken over" in said
    assert "nobody, pair-004" in said
    assert browser.value("decisions.of('pair-003').note") == "flipped !"
    browser.value("take('a,b', 'other.csv')")
    assert "expected columns id and decision" in browser.value("$('imported').textContent")
    assert quiet(), browser.said


def test_a_small_study_prints_all_its_cards(browser, preview, tmp_path, quiet):
    (tmp_path / "a.json").write_text(json.dumps(preview))
    rows = [*rows_of(4)]
    write_study_page(tmp_path / "index.html", rows, {row["id"]: {"preview": tmp_path / "a.json"} for row in rows[1:]})
    browser.open(tmp_path / "index.html")
    browser.wait_for("document.body.dataset.painted === 'yes'")
    assert b"/Image" in browser.printed()
    assert (tmp_path / "index.html").read_text().count(preview["fixed"]) == 1, "one fixed image is there once"
    assert quiet(), browser.said


def test_it_can_be_used_by_keyboard_alone(browser, opened, quiet):
    browser.value("$('import').focus()")
    assert browser.value("document.activeElement.id") == "import", "it is hidden from the eye alone"
    browser.value("show(order[20].id)")
    assert browser.value("document.activeElement.id") == "dialog", "its name is read first, not a button"
    browser.key("n", "n")
    assert browser.value("document.activeElement.id") == "note"
    browser.key("Enter", "\r")
    assert browser.value("document.activeElement.id") == "dialog"
    browser.key("r")
    assert browser.value("decisions.of(open).decision") == "reject"
    assert browser.value("$('name').closest('[aria-live]') !== null"), "the next pair is announced"
    browser.value("$('close').click(); show(pairs.find(p => !p.tiles).id)")
    assert browser.value("getComputedStyle(document.querySelector('.look')).display") == "none"
    assert quiet(), browser.said


def test_hints_are_named_and_come_before_what_passed(browser, preview, tmp_path, quiet, monkeypatch):
    (tmp_path / "a.json").write_text(json.dumps(preview))
    rows = [row | {"status": "passed"} for row in rows_of(4)]
    hints = Hints({"pair-002": {"sides": -0.3, "asymmetry": 0.2}}, limits={"sides": (-0.05, 1.0)})
    hints.add("pair-002", "Exchanged?", "it is the other way round")
    monkeypatch.setattr("stnreg.reports.study.find_hints", lambda previews, passed, deformed: hints)
    files = {row["id"]: {"preview": tmp_path / "a.json"} for row in rows}
    assert write_study_page(tmp_path / "index.html", rows, files) == ["pair-002: it is the other way round"]
    browser.open(tmp_path / "index.html")
    assert browser.value("order[0].id") == "pair-002"
    assert browser.value("order.map(p => p.badge.textContent.includes('Exchanged?'))") == [True, False, False, False]
    browser.value("$('measure').value = 'sides'; $('measure').dispatchEvent(new Event('change'))")
    browser.click("#outliers")
    assert browser.value("pairs.filter(p => !p.entry.hidden).map(p => p.id)") == ["pair-002"]
    browser.value("$('measure').value = 'asymmetry'; $('measure').dispatchEvent(new Event('change'))")
    assert "0 outliers" in browser.value("$('histogram').getAttribute('aria-label')")
    browser.value("show('pair-002')")
    assert "It is the other way round." in browser.value("$('why').textContent")
    assert quiet(), browser.said


def test_a_page_that_is_too_large_leaves_pictures_out(preview, tmp_path, monkeypatch):
    monkeypatch.setattr("stnreg.reports.study.INLINE_CHARACTERS", 1)
    (tmp_path / "a.json").write_text(json.dumps(preview))
    rows = [*rows_of(3)]
    write_study_page(tmp_path / "index.html", rows, {row["id"]: {"preview": tmp_path / "a.json"} for row in rows})
    assert (tmp_path / "index.html").read_text().count('"tiles": null') == 2


def test_cells_are_numbers_or_not():
    assert [number(cell) for cell in ("0.5", 2, True, "", None, "x", "nan", float("inf"))] == [0.5, 2, *[None] * 6]
