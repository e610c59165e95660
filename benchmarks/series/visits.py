"""The simulated visits that `benchmarks.series` measures with, made once and kept.

    python -m benchmarks.series.visits -o runs/visits

Each person is one of the validation anatomies with a texture and a contrast of its own. `still` visits show no change;
the others have lost part of the brain, or their ventricles have grown. `alike` visits have one grid and one noise.
"""

import argparse
import json
from collections.abc import Collection
from pathlib import Path

import numpy as np

from benchmarks.common.heads import shared_folder
from benchmarks.common.painted import VALIDATION_ANATOMIES
from stnreg.images.volume import save_volume
from stnreg.simulation.visits import Anatomy, random_plan, scan_visit

STILL, ALIKE = 6, 3
TUNED_ANATOMIES = (3, 5, 9, 13)  # with whose visits the measure of change was tuned: it is measured on the others
LOSSES, GROWTHS = (0.005, 0.01, 0.02, 0.03), (0.05, 0.1, 0.15, 0.2)
VISITS: dict[str, dict[str, float]] = {
    **{f"still-{k + 1}": {} for k in range(STILL)},
    **{f"loss-{share:g}": {"loss": share} for share in LOSSES},
    **{f"growth-{share:g}": {"growth": share} for share in GROWTHS},
    "scale-1.003": {"scale": 1.003},
    **{f"alike-{k + 1}": {"noise": 0.04} for k in range(ALIKE)},
}


def persons(count: int) -> list[str]:
    """Return the names of the simulated people: an anatomy, and the number of its texture."""
    return [f"anatomy{number}-{texture}" for texture in range(count) for number in VALIDATION_ANATOMIES]


def is_tuned(person: str) -> bool:
    """Return whether the measure of change was tuned with the anatomy of a person."""
    return person.startswith(tuple(f"anatomy{number:02d}-" for number in TUNED_ANATOMIES))


def chosen(options: argparse.Namespace) -> list[str]:
    """Return the names of the people that a command line asks for (`--people`, `--textures`)."""
    return options.people.split(",") if options.people else persons(options.textures)


def make(folder: Path, person: str, names: Collection[str] = tuple(VISITS)) -> None:
    """Make the visits of a person that are missing, of those that are named."""
    number, texture = (int(part) for part in person.removeprefix("anatomy").split("-"))
    anatomy = None
    for k, (name, changes) in enumerate(VISITS.items()):
        image, truth = folder / person / f"{name}.nii.gz", folder / person / f"{name}.json"
        if truth.is_file() or name not in names:
            continue
        if anatomy is None:
            path = shared_folder() / f"data/train/labelmaps/anatomy_{number:02d}.nii.gz"
            anatomy = Anatomy.load(str(path), np.random.default_rng([number, texture]))
            (folder / person).mkdir(parents=True, exist_ok=True)
            np.save(folder / person / "points.npy", anatomy.brain_points())
        rng = np.random.default_rng([number, texture, k])
        grid = 0 if name.startswith("alike") else k
        visit = scan_visit(anatomy, random_plan(rng, grid, **changes), rng)
        save_volume(image, visit.image.array, like=visit.image, dtype="same")
        told = {"head_to_visit": visit.head_to_visit.tolist(), "volumes": dict(visit.volumes), **changes}
        truth.write_text(json.dumps(told) + "\n")


def main() -> None:
    """Make all that is missing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--textures", type=int, default=2, help="people per anatomy")
    parser.add_argument("--people", help="of all people only these, such as anatomy14-0,anatomy15-0")
    parser.add_argument("--only", default=",".join(VISITS), help="of all visits only these, such as still-1,loss-0.02")
    options = parser.parse_args()
    for person in chosen(options):
        make(options.output, person, options.only.split(","))
        print(person, flush=True)


if __name__ == "__main__":
    main()
