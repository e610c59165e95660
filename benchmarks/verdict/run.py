"""Good and failed registrations of every kind, what the verdict says of each, and all that could be measured of it.

    python -m benchmarks.verdict.run --split validation|dev [--refine] [--dof 6 7 9 12] [--partners 8]
                                [--heads N] [--score-only] [--csv FILE] [--trial]

Writes one line per outcome to a CSV (what is there is not done again) and prints the table of `benchmarks.verdict.roc`.

Outcomes: what the network finds (and, with --refine, the refinement makes of it) between heads of one person and of
two: whole, moved, turned to 180 degrees, stripped, half or a third of the field of view, noise 18 %, a 50 mm hole,
another contrast (painted, too, or real visits), an origin 120 mm off, mirrored under an unchanged header; and between
heads and what is no head. Each pair once more from a wrong transform: turned by 5 to 180 degrees, shifted by 5 to
60 mm, scaled, mirrored.

Failed, where one person's truth is known: a mean error over the brain above 5 mm; good: up to 2.5 mm; borderline
(`grey`): between. For two people, failed: above 6 mm from the least-squares affine on the true label centroids, or a
label Dice below 0.6 of its. With fewer than 12 degrees of freedom the truth is the nearest transform of as many. A pair
with an image of no head has failed whatever comes out, and so has a transform that mirrors.
"""

import argparse
import csv
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import product
from pathlib import Path

import numpy as np

from benchmarks.common import contrast_variants
from benchmarks.common.heads import Head, brain_points, label_dice, load_heads, oracle
from benchmarks.common.variants import Variant, generator, make
from benchmarks.verdict.features import FEATURES, EncodedImage, encode_image, features
from benchmarks.verdict.phantoms import OTHERS, not_a_head
from benchmarks.verdict.roc import show, show_by_dof
from stnreg.errors import GeometryError
from stnreg.geometry.affine import Parameters, apply_affine, compose, from_parameters, invert, nearest_dof
from stnreg.images.volume import Volume
from stnreg.models.card import Weights, find
from stnreg.registration.affine import refinement_stats, register_affine
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
JUDGED = ("score", "passed", "gate", "weights", "dof")
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

    def measure(self, trial: Trial, dof: int) -> Row:
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
        options = RegistrationOptions(dof=dof, refine=self.refine, threads=1)
        row |= {"weights": self.weights, "dof": dof}
        if start is not None and np.linalg.det(start[:3, :3]) <= 0:  # refused before it is assessed
            return row | {"passed": False, "gate": False, "people": 1 + (a.head is not b.head), "outcome": "failed"}
        if e.has_head and f.has_head:
            found = register_with_retry(pair, (e, f), self.model, start, options)
        else:  # as `register` does
            found = register_affine(pair, (e, f), start, replace(options, refine=False))
        (e, f), fixed_to_moving, verdict = found.encodings, found.affine, found.verdict
        stats = refinement_stats(found.refined, pair, (e, f))
        if found.refined is not None:
            row |= {name: getattr(found.refined, name) for name in REFINED}
        # What is rejected whatever the score.
        estimated = start is None and dof >= 9
        told = {"dof": dof, "refinement": stats, "estimated": estimated}
        gate = verdict.passed or assess(e, f, fixed_to_moving, 0.0, **told).passed
        row |= {"score": verdict.score, "passed": verdict.passed, "gate": gate}
        row |= self.truth(a, b, fixed_to_moving, dof)
        return row | features(fixed, moving, e, f, fixed_to_moving) if self.measure_all else row

    def truth(self, a: Variant, b: Variant, fixed_to_moving: np.ndarray, dof: int) -> Row:
        """Return how far off a transform is, and what that is called."""
        if a.head is None or b.head is None:
            return {"people": 0, "outcome": "failed"}
        exchanged = np.linalg.det(fixed_to_moving[:3, :3]) <= 0  # wrong, also where it undoes a mirrored file
        one = a.head.name == b.head.name
        found = compose(invert(b.head_to_image), fixed_to_moving, a.head_to_image)
        points = brain_points(a.head)
        true = reachable(a, b, np.eye(4) if one else self.oracle(a.head.name, b.head.name), points, dof)
        error = float(np.linalg.norm(apply_affine(found, points) - apply_affine(true, points), axis=1).mean())
        if one:
            outcome = "failed" if exchanged or error > FAILED_MM else "good" if error <= GOOD_MM else "grey"
            return {"people": 1, "error_mm": error, "outcome": outcome}
        share = label_dice(a.head, b.head, found) / label_dice(a.head, b.head, true)
        outcome = "failed" if exchanged or error > APART_MM or share < DICE_SHARE else "good"
        return {"people": 2, "error_mm": error, "dice_share": share, "outcome": outcome}


def reachable(a: Variant, b: Variant, true: np.ndarray, points: np.ndarray, dof: int) -> np.ndarray:
    """Return the map between two heads that is nearest to the true one of those that `dof` can reach."""
    if dof == 12:
        return true
    between = compose(b.head_to_image, true, invert(a.head_to_image))
    try:
        nearest = nearest_dof(between, apply_affine(a.head_to_image, points).mean(0), dof)
    except GeometryError:  # of a mirrored file: nothing reaches it, and nothing near
        return true
    return compose(invert(b.head_to_image), nearest, a.head_to_image)


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


def trials(names: list[str], partners: int, heads: int | None = None) -> Iterator[Trial]:
    """Plan every outcome, head by head, the same in every run; each pair is followed by a wrong start of its own.

    Of `heads` the first so many are fixed images; all of them by default.
    """
    number = 0
    for k, name in enumerate(names[:heads]):
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
    parser.add_argument("--dof", type=int, nargs="+", choices=(6, 7, 9, 12), default=[12], help="degrees of freedom")
    parser.add_argument("--partners", type=int, default=8, help="heads that each head is paired with, straight")
    parser.add_argument("--heads", type=int, help="heads that are fixed images, all if left out; fewer take less time")
    parser.add_argument("--score-only", action="store_true", help="leave out what a better score could be made of")
    parser.add_argument("--trial", action="store_true", help="three heads alone: to see that it runs")
    parser.add_argument("--csv", type=Path, help="where outcomes go; benchmarks/results/verdict-SPLIT.csv if left out")
    parser.add_argument("--model", default="anatomy")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    heads = load_heads(options.split)
    planned = [*contrast_trials(options.split, 3), *trials([h.name for h in heads], options.partners, options.heads)]
    if options.trial:
        planned = [*contrast_trials(options.split, 1), *trials([h.name for h in heads[:3]], 1)]
    words = {"refined": options.refine, "by-dof": options.dof != [12], "trial": options.trial}
    name = "-".join(("verdict", options.split, *(word for word, said in words.items() if said))) + ".csv"
    path = options.csv or Path(__file__).parents[1] / "results" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    bench = Bench(heads, find(options.model), options.refine, options.threads, not options.score_only)
    fill(path, planned, bench, options.dof)
    if options.dof == [12]:
        show([path])
    else:
        show_by_dof([path])


def fill(path: Path, planned: list[Trial], bench: Bench, dofs: list[int]) -> None:
    """Append every planned outcome that the CSV lacks, at each number of degrees of freedom."""
    new = not path.exists()
    done, columns = set(), COLUMNS
    if not new:
        with path.open(newline="") as file:
            reader = csv.DictReader(file)
            done = {(r["fixed"], r["moving"], r["trial"], int(r.get("dof") or 12)) for r in reader}
            columns = tuple(reader.fieldnames or COLUMNS)
    with path.open("a", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n", extrasaction="ignore")
        if new:
            writer.writeheader()
        for trial, dof in product(planned, dofs):
            if (trial.fixed, trial.moving, trial.start, dof) not in done:
                writer.writerow({k: rounded(v) for k, v in bench.measure(trial, dof).items()})
                file.flush()


if __name__ == "__main__":
    main()
