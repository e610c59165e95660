import base64
import io
import xml.etree.ElementTree as ET

import numpy as np
import pytest
from PIL import Image

from stnreg.errors import DataError
from stnreg.reports.flicker import write_qc_svg

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def drawn(pair, outlines, tmp_path):
    path = tmp_path / "pair.svg"
    write_qc_svg(path, *pair, ["a < b & c", "accepted"], outlines=outlines)
    return path


def pictures(path):
    images = ET.parse(path).getroot().findall(f".//{SVG}defs/{SVG}image")
    decoded = [base64.b64decode(one.get("href").partition("base64,")[2]) for one in images]
    return [np.asarray(Image.open(io.BytesIO(one)).convert("RGBA"), float) for one in decoded], images


def test_before_and_after_are_what_they_are_called(drawn):
    (fixed, before, after, outline), images = pictures(drawn)
    assert np.abs(after - fixed)[..., 0].mean() < 0.25 * np.abs(before - fixed)[..., 0].mean()
    assert 0.001 < (outline[..., 3] > 0).mean() < 0.1
    used = [one.get("href")[1:] for one in ET.parse(drawn).getroot().iter(f"{SVG}use")]
    ids = [one.get("id") for one in images]
    assert [used.count(name) for name in ids] == [9, 9, 18, 18]
    assert len(set(ids)) == 4


def test_each_slice_is_cut_out_of_its_picture(drawn):
    cells = [one for one in ET.parse(drawn).getroot().iter(f"{SVG}svg") if one.get("x")]
    (fixed, *_), _ = pictures(drawn)
    rows = [[float(v) for v in one.get("viewBox").split()] for one in cells[:9]]
    assert rows[0][1] == 0
    assert [row[1] + row[3] for row in rows] == [*(row[1] for row in rows[1:]), fixed.shape[0]]
    assert max(row[2] for row in rows) == fixed.shape[1]


def test_it_moves_without_a_script_and_holds_all_it_shows(drawn):
    text = drawn.read_text()
    assert "@keyframes" in text
    assert "prefers-reduced-motion" in text
    assert "<script" not in text
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert 'aria-label="a &lt; b &amp; c; accepted"' in text


def test_a_pair_without_a_known_brain_shows_the_head(pair, tmp_path):
    write_qc_svg(tmp_path / "pair.svg", *pair)
    (_, _, _, outline), _ = pictures(tmp_path / "pair.svg")
    assert outline[..., 3].any()


def test_a_place_that_cannot_be_written_is_named(pair, tmp_path):
    with pytest.raises(DataError, match=r"nowhere.pair\.svg"):
        write_qc_svg(tmp_path / "nowhere" / "pair.svg", *pair)
