"""Register every trap of `tests/robustness/traps.py`: unusual files of one head, each to its clean twin, or refused.

`python -m benchmarks.robustness.traps` writes each trap from `examples/fixed.nii.gz`, runs `stnreg register` on it, and
prints how far over the head the result is from the truth, mm, or the exit status. Exit status 1 if a trap is neither
within 0.3 mm nor refused with 4 as it should be.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.robustness.traps import TRAPS, is_as_it_should_be, run_trap


def main() -> int:
    """Run all, print a line each; 1 if one is not as it should be."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", help="traps whose names hold this")
    parser.add_argument("--large", action="store_true", help="also what takes gigabytes")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    failures = 0
    chosen = {name: trap for name, trap in TRAPS.items() if (arguments.only or "") in name}
    chosen = {name: trap for name, trap in chosen.items() if arguments.large or not trap.is_large}
    for name, trap in chosen.items():
        with tempfile.TemporaryDirectory() as folder:
            status, error_mm = run_trap(trap, Path(folder), arguments.threads)
        well = is_as_it_should_be(trap, status, error_mm)
        failures += not well
        found = "refused" if status == 4 else f"{error_mm:.4f} mm"
        found += {0: "", 3: ", rejected", 4: ""}.get(status, f", exit status {status}")
        print(f"{name:40} {found}{'' if well else '  NOT AS IT SHOULD BE'}", flush=True)
    print(f"{len(chosen)} traps, {failures} not as they should be")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
