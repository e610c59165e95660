"""Real pairs of other kinds of image, from the shared folder `zoo/`: how far from the truth, and what is refused.

    python -m benchmarks.modalities.zoo [PAIR ...] [--peers greedy,elastix]

A folder a pair, with `meta.json` and, where the true map is known, `truth.txt`. Distances are from it, over the head. A
truth from a `header` is good to about half a millimetre, that of two templates to one or two. `best peer`: the least of
the peers' distances on the same files.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

from benchmarks.accuracy.methods import PEERS, run_method
from benchmarks.common.heads import shared_folder
from benchmarks.modalities.tables import ruled
from stnreg import register
from stnreg.geometry.affine import apply_affine
from stnreg.images.volume import load_volume

HEADS = ("pair", "what", "truth", "error mm", "verdict", "score", "one person", "similarity", "seconds",
         "best peer")  # fmt: skip
POINTS_STEP = 500


def error_mm(folder: Path, found: np.ndarray) -> float | None:
    """Return the mean distance from the true map over the fixed head, mm; None where it is not known."""
    if not (folder / "truth.txt").exists():
        return None
    inside = load_volume(str(folder / "fixed_seg.nii.gz"))
    index = np.argwhere(inside.array > 0)[::POINTS_STEP, ::-1]
    points = apply_affine(inside.grid.index_to_lps, index.astype(float))
    off = apply_affine(found, points) - apply_affine(np.loadtxt(folder / "truth.txt"), points)
    return float(np.linalg.norm(off, axis=1).mean())


def best_peer(folder: Path, peers: list[str]) -> str:
    """Run peers on a pair, and return the least distance from the true map, and whose it is."""
    found = {}
    for name in peers:
        matrix, _ = run_method(name, folder / "fixed.nii.gz", folder / "moving.nii.gz")
        off = None if matrix is None else error_mm(folder, matrix)
        if off is not None:
            found[name] = off
    best = min(found, key=lambda name: found[name], default=None)
    return "" if best is None else f"{found[best]:.2f} (`{best}`)"


def row(folder: Path, peers: list[str]) -> list[str]:
    """Register a pair, and return its row of the table."""
    about = json.loads((folder / "meta.json").read_text())
    began = time.process_time()
    found = register(str(folder / "fixed.nii.gz"), str(folder / "moving.nii.gz"), threads=1)
    seconds = time.process_time() - began
    off, refined = error_mm(folder, found.fixed_to_moving), found.refined
    return [
        folder.name,
        about["kind"],
        about["truth"],
        "" if off is None else f"{off:.2f}",
        "accepted" if found.verdict.passed else "rejected",
        f"{found.verdict.score:.2f}",
        "" if refined is None else "yes" if refined.same_person else "no",
        "" if refined is None else refined.similarity,
        f"{seconds:.1f}",
        best_peer(folder, peers),
    ]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pairs", nargs="*")
    parser.add_argument("--peers", default="", help=f"to compare with: {', '.join(PEERS)}")
    options = parser.parse_args()
    peers = [name for name in options.peers.split(",") if name]
    if unknown := [name for name in peers if name not in PEERS]:
        parser.error(f"unknown {', '.join(unknown)}; peers {', '.join(PEERS)}")
    root = shared_folder() / "data/zoo"
    folders = [root / name for name in options.pairs] or sorted(path.parent for path in root.glob("*/meta.json"))
    print(ruled(HEADS, [row(folder, peers) for folder in folders]))


if __name__ == "__main__":
    main()
