"""Read damaged files of every kind that is read; only stnreg's own errors may come out, soon, without much memory.

`python -m benchmarks.robustness.fuzz --cases 10000` damages the examples of `tests/robustness/damaged_files.py`, and
reads each. It prints one line per kind of file, and every finding with the seed that makes it again; exit status 1 if
there is one.
"""

import argparse
import resource
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nibabel
import SimpleITK as sitk

from tests.robustness.damaged_files import Finding, run


def _lines(counts: Counter, findings: list[Finding]) -> Iterator[str]:
    for name in dict.fromkeys(kind for kind, _ in counts):
        others = sum(one.kind == name for one in findings)
        yield f"{name:20} {counts[name, 'read']:6} read {counts[name, 'refused']:6} refused {others:4} other errors"


def main() -> int:
    """Run and print; 1 if anything but stnreg's own errors came."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000)
    parser.add_argument("--start", type=int, default=0, help="seed of the first case")
    parser.add_argument("--only", help="one kind of file")
    arguments = parser.parse_args()
    sitk.ProcessObject.GlobalWarningDisplayOff()
    nibabel.imageglobals.logger.setLevel(100)
    before_kb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        counts, findings, slowest_s = run(arguments.cases, Path(folder), arguments.start, arguments.only)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kb) / 1024
    for line in _lines(counts, findings):
        print(line)
    for one in findings:
        print(f"  {one.kind}, seed {one.seed}: {one.error[:300]}")
    print(f"{arguments.cases} cases, {len(findings)} with other errors, slowest {slowest_s:.2f} s, "
          f"memory grew by {grown_mb:.0f} MB at most, {time.perf_counter() - began:.0f} s in all")  # fmt: skip
    return bool(findings)


if __name__ == "__main__":
    sys.exit(main())
