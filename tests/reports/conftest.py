"""A pair of small heads with a brain in each, a browser, and what is asked of a page."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from stnreg.geometry.grid import Grid

sys.path.insert(0, str(Path(__file__).parents[1]))
from brains import MOVED, brain
from browser import Page, find_chromium


@pytest.fixture(scope="module")
def browser():
    program = find_chromium()
    if program is None:
        pytest.skip("needs Chromium to open pages with, which is not here")
    with Page(program) as page:
        yield page


@pytest.fixture(scope="module")
def pair(phantom):
    """Fixed, moving, and the transform between them."""
    grid = Grid.from_parts((44, 48, 46), (4.0, 4.0, 4.0), (-81.0, -104.0, -70.0))
    scans = [phantom.volume(grid), phantom.volume(grid, MOVED)]
    # An outline, which the smooth phantom has not got.
    return *(replace(scan, array=np.where(scan.array > 100, scan.array + 400, 0)) for scan in scans), MOVED


@pytest.fixture(scope="module")
def outlines():
    """Of the pair."""
    return brain(), brain(MOVED)


@pytest.fixture
def quiet(browser):
    """Say whether a page went without errors, and fetched nothing."""
    return lambda: (
        browser.said == [] and all(address.startswith(("data:", "file:", "blob:")) for address in browser.asked)
    )
