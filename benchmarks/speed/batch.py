"""A batch that is disturbed against one that is left alone: the same table, each pair done once, memory flat.

    python -m benchmarks.speed.batch [--pairs 200] [--jobs N]

Pairs of 2 mm heads from the shared scans (`dev/ixi`, ten fixed images). The first run is left alone, and timed
against single `stnreg register` runs (some of the pairs, one by one). The second is interrupted twice (SIGINT),
loses a worker in between (SIGKILL), and goes on with `--resume` each time.
"""

import argparse
import csv
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from benchmarks.common.heads import shared_folder

STNREG = str(Path(sys.executable).with_name("stnreg"))
SINGLE_RUNS = 5


def write_table(path: Path, count: int) -> list[tuple[Path, Path]]:
    """Write a table of pairs, and return them."""
    heads = sorted((shared_folder() / "data/dev/ixi").glob("*_T1.nii.gz"))
    pairs = [(fixed, moving) for fixed in heads[:11] for moving in heads if fixed != moving][:count]
    with open(path, "w") as stream:
        stream.write("id,fixed,moving\n")
        stream.writelines(f"{k:03d},{fixed},{moving}\n" for k, (fixed, moving) in enumerate(pairs))
    return pairs


def start(table: Path, out: Path, jobs: int, *more: str) -> subprocess.Popen:
    """Start a batch."""
    line = [STNREG, "batch", str(table), "-o", str(out), "--jobs", str(jobs), *more]
    return subprocess.Popen(line, stderr=subprocess.DEVNULL)


def done(out: Path) -> int:
    """Count the rows that are in the table so far."""
    try:
        return (out / "results.csv").read_text().count("\n") - 1
    except FileNotFoundError:
        return 0


def workers(process: subprocess.Popen) -> list[int]:
    """Return the batch's children that do work."""
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        return [int(c) for c in children if b"spawn_main" in Path(f"/proc/{c}/cmdline").read_bytes()]
    except OSError:
        return []


def memory_mb(process: subprocess.Popen) -> float:
    """Return the largest resident memory among the workers, MB."""
    sizes = [0.0]
    for pid in workers(process):
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            sizes += [float(line.split()[1]) * 1.024e-3 for line in lines if line.startswith("VmRSS")]
        except OSError:
            continue
    return max(sizes)


def undisturbed(table: Path, out: Path, jobs: int) -> tuple[float, list[tuple[int, float]]]:
    """Run to the end; return its seconds, and the memory of workers by pairs done."""
    began, process, seen = time.perf_counter(), start(table, out, jobs), []
    while process.poll() is None:
        seen.append((done(out), memory_mb(process)))
        time.sleep(0.1)
    return time.perf_counter() - began, seen


def disturbed(table: Path, out: Path, jobs: int, count: int) -> list[str]:
    """Interrupt a run twice, kill a worker in between, and let it end; return what happened."""
    told, resume = [], ()
    for share in (0.3, 0.6, None):
        process = start(table, out, jobs, *resume)
        begun_at = done(out)
        if share is not None:
            while done(out) < share * count and process.poll() is None:
                time.sleep(0.02)
                if share == 0.6 and done(out) >= 0.45 * count and "killed" not in told and workers(process):
                    os.kill(workers(process)[0], signal.SIGKILL)
                    told.append("killed")
            process.send_signal(signal.SIGINT)
        status = process.wait()
        told.append(f"went from {begun_at} to {done(out)} pairs, status {status}")
        resume = ("--resume",)
    return told


def comparable(out: Path) -> list[dict[str, str]]:
    """Return the table without what tells of the run: timings, tries, and the folder's own name."""
    with open(out / "results.csv", newline="") as stream:
        rows = list(csv.DictReader(stream))
    own = ("tries", "transform", "image")
    return [{k: v for k, v in row.items() if not k.endswith("_s") and k not in own} for row in rows]


def main() -> None:
    """Run both, and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a shell's background job would ignore it, and its children
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pairs = write_table(folder / "pairs.csv", options.pairs)
        singles = []
        for fixed, moving in pairs[:SINGLE_RUNS]:
            began = time.perf_counter()
            subprocess.run([STNREG, "register", fixed, moving, "-o", folder / "one.nii.gz"], check=True)
            singles.append(time.perf_counter() - began)
        seconds, seen = undisturbed(folder / "pairs.csv", folder / "alone", options.jobs)
        told = disturbed(folder / "pairs.csv", folder / "disturbed", options.jobs, len(pairs))
        alone, other = comparable(folder / "alone"), comparable(folder / "disturbed")
        size_mb = (folder / "alone" / "index.html").stat().st_size * 1e-6
    early = max((mb for count, mb in seen if 5 <= count <= 15), default=0.0)
    late = max((mb for count, mb in seen if count >= len(pairs) - 10), default=0.0)
    print(f"pairs\t{len(pairs)}\tjobs\t{options.jobs}")
    print(f"one single run\t{median(singles):.2f} s\t{len(pairs)} of them\t{len(pairs) * median(singles):.0f} s")
    print(f"the batch\t{seconds:.0f} s\tshare\t{seconds / (len(pairs) * median(singles)):.2f}\tbar <= 0.50")
    print(f"memory of a worker\taround pair 10: {early:.0f} MB\tin the last ten: {late:.0f} MB")
    print("disturbed\t" + "; ".join(told))
    print(f"rows\t{len(alone)} and {len(other)}\tequal\t{alone == other}")
    for a, b in zip(alone, other, strict=False):
        for column in [c for c in a if a[c] != b[c]]:
            print(f"differs\t{a['id']}\t{column}\t{a[column]}\t{b[column]}")
    print(f"page\t{size_mb:.1f} MB")
    sys.exit(alone != other)


if __name__ == "__main__":
    main()
