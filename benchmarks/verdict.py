"""What the verdict separates: good and failed transforms of heads that calibrated nothing else.

    python benchmarks/verdict.py [--split validation|dev] [--pairs 40]

Good: what the network finds between two people, where it is within 6 mm of the label-centroid oracle. Failed: the
same, turned by 5 to 180 degrees, shifted by 10 to 60 mm, or mirrored, where that puts it more than 6 mm off.
"""

import argparse

import numpy as np
from heads import brain_points, load_heads, oracle, random_turn
from network_alone import all_pairs

from stnreg.geometry.affine import compose, mean_error_mm
from stnreg.inference import anatomy_model
from stnreg.inference.anatomy import encode, fit_pair
from stnreg.inference.verdict import MIN_SCORE, judge
from stnreg.inference.weights import find

FAILED_MM = 6.0


def spoilt(rng: np.random.Generator, fixed_to_moving: np.ndarray, center: np.ndarray, kind: int) -> np.ndarray:
    """Return a wrong transform: turned, shifted, or mirrored."""
    if kind == 0:
        return compose(fixed_to_moving, random_turn(rng, float(rng.uniform(10, 180)), 0, center))
    if kind == 1:
        shift = np.eye(4)
        direction = rng.normal(size=3)
        shift[:3, 3] = direction / np.linalg.norm(direction) * rng.uniform(10, 60)
        return compose(fixed_to_moving, shift)
    mirror = np.diag([-1.0, 1, 1, 1])
    mirror[0, 3] = 2 * center[0]
    return compose(fixed_to_moving, mirror)


def main() -> None:
    """Print how many of each are judged rightly, and the scores' ranges."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("validation", "dev"), default="validation")
    parser.add_argument("--pairs", type=int, default=40)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    model = anatomy_model.load(find("anatomy"), threads=options.threads, device="cpu").model
    heads = load_heads(options.split)
    seen = [encode(h.image, h.grid, model) for h in heads]
    rng = np.random.default_rng(9)
    good, failed = [], []
    for i, j in all_pairs(heads, options.pairs):
        points, best = brain_points(heads[i]), oracle(heads[i], heads[j])
        found = fit_pair(seen[i], seen[j])
        trials = [found] + [spoilt(rng, found, points.mean(0), k % 3) for k in range(5)]
        for fixed_to_moving in trials:
            verdict = judge(seen[i], seen[j], fixed_to_moving)
            off = mean_error_mm(fixed_to_moving, best, points)
            (failed if off > FAILED_MM else good).append((verdict.score, verdict.passed))
    for name, rows, wanted in (("good", good, True), ("failed", failed, False)):
        scores = np.array([s for s, _ in rows])
        right = sum(p is wanted for _, p in rows)
        print(f"{name}: {right} of {len(rows)} judged rightly; scores {scores.min():.2f} to {scores.max():.2f}, "
              f"median {np.median(scores):.2f}")  # fmt: skip
    print(f"least score believed: {MIN_SCORE}")


if __name__ == "__main__":
    main()
