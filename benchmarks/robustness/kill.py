"""Ended at random moments, `stnreg` leaves every output as it was or whole, and the next run succeeds.

`python -m benchmarks.robustness.kill --moments 50` starts `stnreg register` on the example pair again and again over
outputs of an earlier run, ends it by SIGKILL, SIGTERM or SIGINT at a random moment (three of four after the first file
has been touched), and looks at what is there. It prints what was found; exit status 1 if anything is partial.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.robustness.interruptions import Command, apply_example, run

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"


def register_example() -> Command:
    """Return `register` with every kind of output but JSON, which holds timings and so is never twice the same."""
    outputs = ("out.nii.gz", "out.tfm", "inverse.nii", "also.nii.gz", "check.png")
    moving = f"{EXAMPLES}/moving.nii.gz"
    line = ["register", f"{EXAMPLES}/fixed.nii.gz", moving, "-o", outputs[0], "--inverse", outputs[2],
            "--also", f"{moving}={outputs[3]}", "--qc", outputs[4], "--threads", "1"]  # fmt: skip
    return Command(line, [*line, "--dof", "6", "--no-refine"], outputs)


def main() -> int:
    """Run and print; 1 if there are faults."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--command", choices=("register", "apply-transform"), default="register")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as inputs:
        command = register_example() if arguments.command == "register" else apply_example(Path(inputs))
        counts, faults = run(command, arguments.moments, Path(folder), arguments.seed)
    for what, count in sorted(counts.items()):
        print(f"{count:4} x {what}")
    for fault in faults:
        print(f"  {fault}")
    print(f"{arguments.moments} moments, {len(faults)} faults")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
