"""Good and failed registrations of every kind, what the verdict says of each, and all that could be measured of it.

    python -m benchmarks.verdict.run --split validation|dev [--refine] [--partners 8] [--score-only]
                                [--csv FILE] [--trial]

Writes one line per outcome to a CSV (what is there is not done again) and prints the table of `benchmarks.verdict.roc`.

Outcomes: what the network finds (and, with --refine, the refinement makes of it) between heads of one person and of
two: whole, moved, turned to 180 degrees, stripped, half or a third of the field of view, noise 18 %, a 50 mm hole,
another contrast (painted, too, or real visits), an origin 120 mm off, mirrored under an unchanged header; and between
heads and what is no head. Each pair once more from a wrong transform: turned by 5 to 180 degrees, shifted by 5 to
60 mm, scaled, mirrored.

Failed, where one person's truth is known: a mean error over the brain above 5 mm; good: up to 2.5 mm; borderline
(`grey`): between. For two people, failed: above 6 mm from the least-squares affine on the true label centroids, or a
label Dice below 0.6 of its. A pair with an image of no head has failed whatever comes out, and so has a transform that
mirrors.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from benchmarks.common import contrast_variants
from benchmarks.common.heads import Head, brain_points, label_dice, load_heads, oracle
from benchmarks.common.variants import Variant, generator, make
from benchmarks.verdict.features import FEATURES, EncodedImage, encode_image, features
from benchmarks.verdict.phantoms import OTHERS, not_a_head
from benchmarks.verdict.roc import show
from stnreg.geometry.affine import Parameters, apply_affine, compose, from_parameters, invert
from stnreg.images.volume import Volume
from stnreg.models.card import Weights, find
from stnreg.registration.affine import refinement_stats
from stnreg.registration.anatomy.fit import fit_pair
from stnreg.registration.anatomy.load import load as load_encoder
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.pair import ImagePair
from stnreg.registration.pose_retry import register_with_retry
from stnreg.registration.quality import assess

FAILED_MM, GOOD_MM, APART_MM, DICE_SHARE = 5.0, 2.5, 6.0, 0.6
ONE_PERSON = ("moved", "turned", "stripped", "half", "slab", "noisy", "hole", "t2", "offset", "mirrored")
TWO_PEOPLE = ("turned", "stripped", "half", "slab", "t2", "offset", "mirrored")
NO_HEAD = ("no brain", "neck")
REFINED = ("same_person", "local_correlation", "motion_mm", "improved", "mirror_gain")
TRUTH = ("people", "error_mm", "dice_share", "outcome")
JUDGED = ("score", "passed", "gate", "weights")
COLUMNS = ("fixed", "moving", "trial", "kind", *TRUTH, *JUDGED, *FEATURES, *REFINED)
Row = dict[str, object]


@dataclass(frozen=True)
class Trial:
    """A pair of images by name, and which start: `found`, or a wrong one."""

    fixed: str
    moving: str
    start: str
    kind: str


class Bench:
    """Heads by name, and their variants, encoded."""

    def __init__(self, heads: list[Head], weights: Weights, refine: bool, threads: int, measure_all: bool) -> None:
        self.heads = {head.name: head for head in heads}
        self.model = load_encoder(weights, threads=threads, device="cpu").model
        self.weights, self.refine, self.measure_all = (
            "+".join(part[:8] for part in weights.identity.split("+")),
            refine,
            measure_all,
        )
        self.encoded = lru_cache(maxsize=400)(self._encode)
        self.encoding = lru_cache(maxsize=4)(lambda name: self.encoded(name)[0].whole_encoding())
        self.oracle = lru_cache(maxsize=None)(lambda a, b: oracle(*map(self.head, (a, b))))

    def head(self, name: str) -> Head:
        """Return a head by its name: of the split, painted, or of a visit."""
        return self.heads[name] if name in self.heads else contrast_variants.find_head(name)

    def variant(self, name: str) -> Variant:
        """Make an image by its name: HEAD:KIND, HEAD:CONTRAST#NUMBER, or KIND#NUMBER where it shows no head."""
        head, _, kind = name.rpartition(":")
        if "#" not in kind:
            return make(self.heads[head], kind)
        if head:
            return contrast_variants.make(name)
        kind, number = name.split("#")
        return not_a_head(kind, int(number))

    def _encode(self, name: str) -> tuple[EncodedImage, Variant]:
        variant = self.variant(name)
        return encode_image(name, variant.image, variant.grid, self.model, prepare=self.measure_all), variant

    def measure(self, trial: Trial) -> Row:
        """Return one line of the CSV."""
        (fixed, a), (moving, b) = self.encoded(trial.fixed), self.encoded(trial.moving)
        e, f = self.encoding(trial.fixed), self.encoding(trial.moving)
        row: Row = {"fixed": a.name, "moving": b.name, "trial": trial.start, "kind": trial.kind}
        pair = ImagePair(Volume(a.image, a.grid), Volume(b.image, b.grid))
        start = None
        if trial.start != "found":
            middle = apply_affine(e.template_to_lps, np.zeros(3))
            away = wrong(trial.start, middle, generator(trial.fixed, trial.moving, trial.start))
            start = compose(fit_pair(e, f), away)
        options = RegistrationOptions(refine=self.refine, threads=1)
        found = register_with_retry(pair, (e, f), self.model, start, options)
        (e, f), fixed_to_moving, verdict = found.encodings, found.affine, found.verdict
        stats = refinement_stats(found.refined)
        if found.refined is not None:
            row |= {name: getattr(found.refined, name) for name in REFINED}
        # What is rejected whatever the score.
        gate = verdict.passed or assess(e, f, fixed_to_moving, 0.0, refinement=stats, estimated=start is None).passed
        row |= {"score": verdict.score, "passed": verdict.passed, "gate": gate, "weights": self.weights}
        row |= self.truth(a, b, fixed_to_moving)
        return row | features(fixed, moving, e, f, fixed_to_moving) if self.measure_all else row

    def truth(self, a: Variant, b: Variant, fixed_to_moving: np.ndarray) -> Row:
        """Return how far off a transform is, and what that is called."""
        if a.head is None or b.head is None:
            return {"people": 0, "outcome": "failed"}
        exchanged = np.linalg.det(fixed_to_moving[:3, :3]) <= 0  # wrong, also where it undoes a mirrored file
        one = a.head.name == b.head.name
        found = compose(invert(b.head_to_image), fixed_to_moving, a.head_to_image)
        true = np.eye(4) if one else self.oracle(a.head.name, b.head.name)
        points = brain_points(a.head)
        error = float(np.linalg.norm(apply_affine(found, points) - apply_affine(true, points), axis=1).mean())
        if one:
            outcome = "failed" if exchanged or error > FAILED_MM else "good" if error <= GOOD_MM else "grey"
            return {"people": 1, "error_mm": error, "outcome": outcome}
        share = label_dice(a.head, b.head, found) / label_dice(a.head, b.head, true)
        outcome = "failed" if exchanged or error > APART_MM or share < DICE_SHARE else "good"
        return {"people": 2, "error_mm": error, "dice_share": share, "outcome": outcome}


def wrong(kind: str, middle: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Return what makes a transform wrong, about the middle of the brain, LPS mm; a key of `WRONG`."""
    direction = rng.standard_normal(3)
    direction /= np.linalg.norm(direction)
    if kind == "turned":
        angle = np.deg2rad(rng.uniform(5, 180))
        x, y, z = direction
        cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
        turn = np.eye(4)
        turn[:3, :3] += np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross
        turn[:3, 3] = middle - turn[:3, :3] @ middle
        return turn
    if kind == "mirrored":
        mirror = np.diag([-1.0, 1, 1, 1])
        mirror[0, 3] = 2 * middle[0]
        return mirror
    if kind == "shifted":
        return from_parameters(Parameters(tuple(direction * rng.uniform(5, 60)), (0, 0, 0)), middle)
    factors = rng.uniform(1.15, 1.6, 3) ** rng.choice((-1, 1))
    return from_parameters(Parameters((0, 0, 0), (0, 0, 0), tuple(factors)), middle)


WRONG = ("turned", "shifted", "turned", "scaled", "shifted", "turned", "shifted", "mirrored")


def trials(names: list[str], partners: int) -> Iterator[Trial]:
    """Plan every outcome, head by head, the same in every run; each pair is followed by a wrong start of its own."""
    number = 0
    for k, name in enumerate(names):
        whole = f"{name}:whole"
        others = [names[(k + step) % len(names)] for step in range(1, len(names))]
        pairs = [(f"{name}:{kind}", f"one, {kind}") for kind in ONE_PERSON]
        pairs += [(f"{others[2 * step % len(others)]}:{kind}", f"two, {kind}") for step, kind in enumerate(TWO_PEOPLE)]
        pairs += [(f"{other}:whole", "two, whole") for other in others[:partners]]
        for moving, kind in pairs:
            yield Trial(whole, moving, "found", kind)
            yield Trial(whole, moving, WRONG[number % len(WRONG)], kind)
            number += 1
        for kind in NO_HEAD:
            yield Trial(whole, f"{others[2 % len(others)]}:{kind}", "found", f"no head, {kind}")
        for kind in OTHERS:
            ends = whole, f"{kind}#{k}"
            yield Trial(*(ends if k % 2 else ends[::-1]), "found", f"no head, {kind}")


def contrast_trials(split: str, number: int) -> Iterator[Trial]:
    """Plan the pairs of two contrasts: painted for validation; the visits of one patient for dev."""
    heads, kinds = (contrast_variants.VISITS, ("T1W", "T2W", "FLAIR"))
    if split == "validation":
        heads, kinds = contrast_variants.PAINTED, ("t1", "t2", "flair")
    for k in range(number):
        for name in heads:
            for other in kinds:
                fixed, moving = f"{name}:{kinds[0]}#{k % 2}", f"{name}:{other}#{k + 1}"
                yield Trial(fixed, moving, "found", f"one, {kinds[0]} to {other}")
                yield Trial(fixed, moving, WRONG[k % len(WRONG)], f"one, {kinds[0]} to {other}")


def rounded(value: object) -> object:
    """Return a figure as the CSV holds it."""
    return f"{value:.4g}" if isinstance(value, float) else value


def main() -> None:
    """Make what is missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--split", choices=("validation", "dev"), default="validation")
    parser.add_argument("--refine", action="store_true", help="refine what the network found, and the wrong starts")
    parser.add_argument("--partners", type=int, default=8, help="heads that each head is paired with, straight")
    parser.add_argument("--score-only", action="store_true", help="leave out what a better score could be made of")
    parser.add_argument("--trial", action="store_true", help="three heads alone: to see that it runs")
    parser.add_argument("--csv", type=Path, help="where outcomes go; benchmarks/results/verdict-SPLIT.csv if left out")
    parser.add_argument("--model", default="anatomy")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    heads = load_heads(options.split)
    planned = [*contrast_trials(options.split, 3), *trials([h.name for h in heads], options.partners)]
    if options.trial:
        planned = [*contrast_trials(options.split, 1), *trials([h.name for h in heads[:3]], 1)]
    name = f"verdict-{options.split}{'-refined' if options.refine else ''}{'-trial' if options.trial else ''}.csv"
    path = options.csv or Path(__file__).parents[1] / "results" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    fill(path, planned, Bench(heads, find(options.model), options.refine, options.threads, not options.score_only))
    show([path])


def fill(path: Path, planned: list[Trial], bench: Bench) -> None:
    """Append every planned outcome that the CSV lacks."""
    new = not path.exists()
    done = set()
    if not new:
        with path.open(newline="") as file:
            done = {(r["fixed"], r["moving"], r["trial"]) for r in csv.DictReader(file)}
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        if new:
            writer.writeheader()
        for trial in planned:
            if (trial.fixed, trial.moving, trial.start) not in done:
                writer.writerow({k: rounded(v) for k, v in bench.measure(trial).items()})
                file.flush()


if __name__ == "__main__":
    main()
