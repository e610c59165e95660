"""Whether the headers of one visit share a scanner space: two unrelated methods against them, and each other.

    python -m benchmarks.accuracy.header_consistency [--pairs 4] [--methods stnreg,greedy]

Pairs of the row `visits` of `benchmarks/accuracy/pairs.py`: T1 with T2 and FLAIR of one patient's visit. Prints mean
distances over the head, mm. Where two methods agree and the headers do not, the patient has moved between the scans.
"""

import argparse
import tempfile
from pathlib import Path

from benchmarks.accuracy.methods import run_method
from benchmarks.accuracy.pairs import ROWS
from stnreg.geometry.affine import mean_error_mm


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=4)
    parser.add_argument("--methods", default="stnreg,greedy", help="two of them")
    options = parser.parse_args()
    first, second = options.methods.split(",")
    for number in range(options.pairs):
        pair = ROWS["visits"].pair(number)
        with tempfile.TemporaryDirectory(prefix="bench-") as folder:
            pair.write(Path(folder))
            files = Path(folder, "fixed.nii.gz"), Path(folder, "moving.nii.gz")
            found = [run_method(method, *files)[0] for method in (first, second)]
        points = pair.judge.points
        headers = [mean_error_mm(f, pair.judge.truth, points) for f in found]
        print(f"visit {1 + number % 2}, T1 to {('T2', 'FLAIR')[number // 2 % 2]}: {first} {headers[0]:.2f} mm from the "
              f"headers, {second} {headers[1]:.2f}; {mean_error_mm(*found, points):.2f} from each other")  # fmt: skip


if __name__ == "__main__":
    main()
