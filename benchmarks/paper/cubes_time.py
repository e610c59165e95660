"""How long pairs of damaged cubes take: 1000 are to be there in 15 minutes on two cores.

    python -m benchmarks.paper.cubes_time [--pairs 1000] [--jobs 2]

Runs `stnreg simulate cubes` whole, as a user does, into a folder that is removed again. With fewer than 1000 pairs the
time of 1000 is an extrapolation, and is said to be one.
"""

import argparse
import subprocess
import sys
import tempfile
import time

ALLOWED_S, ASKED = 15 * 60, 1000


def main() -> None:
    """Make pairs and print the seconds; fails where 1000 took too long."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=ASKED)
    parser.add_argument("--jobs", type=int, default=2)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        split = f"{options.pairs},0,0"
        command = [sys.executable, "-m", "stnreg", "simulate", "cubes", "-o", folder, "--split", split]
        began = time.perf_counter()
        subprocess.run([*command, "--jobs", str(options.jobs)], check=True)
        seconds = time.perf_counter() - began
    print(f"{options.pairs} pairs of 128^3 in {seconds:.0f} s with {options.jobs} processes")
    if options.pairs < ASKED:
        print(f"{ASKED} would take {seconds / options.pairs * ASKED / 60:.1f} minutes, by extrapolation alone")
    elif seconds > ALLOWED_S:
        raise SystemExit(f"slower than {ASKED} pairs in {ALLOWED_S / 60:.0f} minutes")


if __name__ == "__main__":
    main()
