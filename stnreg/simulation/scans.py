"""Real scans with a known transform: the scan, and the scan moved within its field of view, each with new noise."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from stnreg.errors import UsageProblem
from stnreg.geometry.affine import invert
from stnreg.images.volume import Volume, load_volume
from stnreg.resampling.resample import resample
from stnreg.simulation.moves import Ranges, random_move
from stnreg.simulation.pair import Plan, SimulatedPair
from stnreg.simulation.scanner import random_scanner, scan


@dataclass(frozen=True)
class ScanRecipe:
    """Pairs from real scans.

    Attributes
    ----------
    scans : tuple of str
        Image files; pairs use them in turn.
    labels : tuple of str
        A label map for each scan, on its grid; or empty.
    ranges : Ranges
        Ranges of the transform, about the centre of the scan.
    """

    scans: tuple[str, ...]
    labels: tuple[str, ...]
    ranges: Ranges

    def __post_init__(self) -> None:
        """Check that there is a label map for each scan."""
        if self.labels and len(self.labels) != len(self.scans):
            raise UsageProblem(
                f"expected a label map for each of {len(self.scans)} images, or none; got {len(self.labels)}"
            )

    @property
    def images(self) -> tuple[str, ...]:
        """The files of a pair."""
        return ("fixed", "moving", *(("fixed_labels", "moving_labels") if self.labels else ()))

    def plan(self, split: str, number: int, rng: np.random.Generator) -> Plan:
        """Choose the scan."""
        which = number % len(self.scans)
        subject = Path(self.scans[which]).name.removesuffix(".gz").removesuffix(".nii")
        return Plan({"subject": subject}, {"which": which})

    def paint(self, plan: Plan, rng: np.random.Generator) -> SimulatedPair:
        """Move the scan; parts outside the field of view are lost."""
        which = plan.choices["which"]
        source = _load(self.scans[which])
        grid = source.grid
        clean = source.array.astype(np.float32)
        low, high = np.percentile(clean, (0.5, 99.5))
        clean = ((clean - low) / ((high - low) or 1)).clip(0, 1.5)
        fixed_to_moving = random_move(self.ranges, grid.center_lps, rng)
        # B-splines keep the moved scan as sharp as the original one.
        moved = resample(clean, grid, grid, invert(fixed_to_moving), interp="bspline").clip(0, 1.5)
        fixed, moving = (Volume(scan(image, random_scanner(rng), rng), grid) for image in (clean, moved))
        if not self.labels:
            return SimulatedPair(fixed, moving, fixed_to_moving)
        labels = _load(self.labels[which])
        moved_labels = resample(labels.array, labels.grid, grid, invert(fixed_to_moving), interp="nearest")
        return SimulatedPair(fixed, moving, fixed_to_moving, labels, Volume(moved_labels, grid))


@lru_cache(maxsize=4)
def _load(path: str) -> Volume:
    """Read an image without its header, so that outputs have both forms from its grid."""
    volume = load_volume(path)
    return Volume(volume.array, volume.grid, path=path)
