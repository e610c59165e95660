"""How long the page of a large study takes to open, and how large it is.

    python -m benchmarks.speed.page [--pairs 500] [--runs 5]

The pictures are real ones: 2 mm heads of the shared scans (`dev/ixi`), registered to each other; they come round again
until the page has its pairs. Each pair has a fixed image of its own, the largest page there is. A headless Chromium
opens it from the disk; the time is that from asking for the page to the page's own word that it can be filtered, the
first of the runs left out.
"""

import argparse
import itertools
import json
import sys
import tempfile
from pathlib import Path
from statistics import median

import stnreg
from benchmarks.common.heads import shared_folder
from stnreg.reports.outlines import outlines_of
from stnreg.reports.study import write_preview, write_study_page
from tests.browser import Page, find_chromium

STATUSES = ("passed", "passed", "passed", "failed", "error")


def write_page(folder: Path, count: int) -> Path:
    """Write the page of a study of `count` pairs."""
    heads = [stnreg.encode(path) for path in sorted((shared_folder() / "data/dev/ixi").glob("*_T1.nii.gz"))[:4]]
    shown = []
    for fixed, moving in itertools.permutations(heads, 2):
        found = stnreg.register(fixed, moving, refine=False)
        write_preview(folder / "one.json", found.fixed, found.moving, found.transform, outlines_of(found))
        shown.append(json.loads((folder / "one.json").read_text()))
    rows = [
        {
            "id": f"sub-{k:04d}",
            "status": STATUSES[k % len(STATUSES)],
            "score": 1 - k / count,
            "fixed": "a",
            "moving": "b",
        }
        for k in range(count)
    ]
    files = {}
    for k, row in enumerate(rows):
        one, file = shown[k % len(shown)], folder / f"{row['id']}.json"
        # A browser leaves out what comes after the #: the same picture, and another text.
        file.write_text(json.dumps(one | {name: f"{one[name]}#{k}" for name in ("fixed", "fixed_codes")}))
        files[str(row["id"])] = {"preview": file}
    page = folder / "index.html"
    write_study_page(page, rows, files)
    return page


def main() -> None:
    """Open the page a few times."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--runs", type=int, default=5)
    options = parser.parse_args()
    program = find_chromium()
    if program is None:
        sys.exit("no Chromium is installed here to open pages with")
    with tempfile.TemporaryDirectory() as name, Page(program) as browser:
        page = write_page(Path(name), options.pairs)
        size_mb = page.stat().st_size * 1e-6
        seconds = [browser.open(page) for _ in range(options.runs + 1)]
        print(f"pairs\t{options.pairs}\tsize\t{size_mb:.1f} MB\tbar < 30 MB")
        print(f"opens in\t{median(seconds[1:]):.2f} s\tthe first time\t{seconds[0]:.2f} s\tbar < 2 s")
        print(f"the console said\t{len(browser.said)} lines")


if __name__ == "__main__":
    main()
