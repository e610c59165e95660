"""What a newcomer meets with 30 scans, five of them bad: from one line of README.md to a table of decisions.

    python -m benchmarks.trial.run [--keep FOLDER]

`stnreg batch --fixed MNI152 scans -o out` runs as README.md has it. Then a headless Chromium opens the page, and keys
are pressed as someone would who reads only what the page says: accept what passed, reject what did not, and be unsure
with a note where there is a hint. The decisions are exported, and imported into the page of another browser. Without a
Chromium this part is left out. `--keep` also saves pictures of the page.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.trial.folder import BAD, scan_names, write_folder
from benchmarks.trial.reader import Reader
from tests.browser import find_chromium

ALLOWED_S = 15 * 60
LONGEST_TOLD = 150
"""Characters of what is said of a scan that are printed."""


def bring_to_template(folder: Path) -> tuple[int, float, str]:
    """Run the line; return its exit status, its seconds, and what it said."""
    began = time.perf_counter()
    line = [sys.executable, "-m", "stnreg", "batch", "--fixed", "MNI152", "scans", "-o", "out"]
    done = subprocess.run(line, cwd=folder, capture_output=True, text=True)
    return done.returncode, time.perf_counter() - began, done.stderr


def said_of(name: str, text: str, folder: Path) -> str:
    """Return what the line said of a scan, without paths, and cut where it is long."""
    told = "; ".join(line.partition(f"{name}: ")[2] for line in text.splitlines() if f"stnreg: {name}: " in line)
    told = told.replace(f"{folder}/", "")
    return told if len(told) <= LONGEST_TOLD else f"{told[:LONGEST_TOLD]}..."


def report_line(folder: Path, status: int, seconds: float, text: str) -> int:
    """Print what the line said of the bad scans, and of others; return how many bad ones it named."""
    with (folder / "out/results.csv").open(newline="") as file:
        statuses = {row["id"]: row["status"] for row in csv.DictReader(file)}
    print(f"{len(statuses)} scans to MNI152 by one line: {seconds:.0f} s, exit status {status}")
    told = {name: said for name in scan_names() if (said := said_of(name, text, folder))}
    for name, what in BAD.items():
        print(f"  {what} ({name}): {statuses[name]}; {told.get(name, 'NOTHING SAID')}")
    for name in sorted(set(told) - set(BAD)):
        print(f"  a good scan ({name}): {statuses[name]}; {told[name]}")
    print(f"  of the other {len(statuses) - len(set(told) | set(BAD))} nothing is said; they passed")
    return len(set(told) & set(BAD))


def report_page(folder: Path, pictures: Path | None) -> bool:
    """Decide on the page and print what came of it; say whether it is what was decided."""
    program = find_chromium()
    if program is None:
        print("page: not tried, no Chromium is installed here")
        return True
    page, table = folder / "out/index.html", folder / "decisions.tsv"
    with Reader(program, page, pictures) as reader:
        seconds = reader.decide_all()
        print(f"page: decided by key in {seconds:.0f} s; {reader.tally()}")
        print(f"  sorted by asymmetry, largest first: {', '.join(reader.sorted_by('asymmetry')[:3])}")
        print(f"  filtered by the decision unsure: {', '.join(sorted(reader.filtered('unsure')))}")
        reader.export(table)
        here = reader.decisions()
    with Reader(program, page, None) as other:
        said = other.take(table)
        same = other.decisions() == here
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    print(f"  exported: {len(rows)} lines. In another browser: {said.partition(': ')[2]}")
    print(f"  they are {'' if same else 'NOT '}the same there")
    bad = {row["id"]: row["decision"] for row in rows if row["id"] in BAD}
    print(f"  the bad ones: {', '.join(f'{name} {decision}' for name, decision in sorted(bad.items()))}")
    return same and all(decision in ("reject", "unsure") for decision in bad.values())


def main() -> None:
    """Try it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="folder for the scans, the outputs and pictures of the page")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = options.keep or Path(name)
        write_folder(folder / "scans")
        began = time.perf_counter()
        found = report_line(folder, *bring_to_template(folder))
        is_well = report_page(folder, options.keep)
        minutes = (time.perf_counter() - began) / 60
    print(
        f"bad scans pointed out: {found} of {len(BAD)}; whole time {minutes:.1f} min, at most {ALLOWED_S // 60} allowed"
    )
    sys.exit(not (found == len(BAD) and is_well and minutes * 60 < ALLOWED_S))


if __name__ == "__main__":
    main()
