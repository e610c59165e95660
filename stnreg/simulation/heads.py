"""Heads painted from label maps: two scans of one anatomy with a known transform; or a follow-up scan."""

from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.affine import apply_affine, compose, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume, load_volume
from stnreg.simulation.change import Displacement, brain_loss, sample, smooth_change
from stnreg.simulation.fields import blurred
from stnreg.simulation.moves import SMALL_POSE, Ranges, random_move
from stnreg.simulation.painting import Person, paint, random_palette, random_person
from stnreg.simulation.pair import Plan, SimulatedPair
from stnreg.simulation.scanner import random_scanner, scan
from stnreg.simulation.tissues import CONTRASTS, FIRST_OUTSIDE, brain_of, to_byte_codes

FIELD_MM = 256.0
T1_SHARE = 0.7  # fraction of pairs with mixed contrasts in which both images are T1-weighted
AXES = {  # columns: the LPS direction of each voxel axis
    "LPS": np.eye(3),
    "RAS": np.diag([-1.0, -1.0, 1.0]),
    "LIA": np.array([[1.0, 0, 0], [0, 0, -1.0], [0, -1.0, 0]]),
}


@dataclass(frozen=True)
class HeadRecipe:
    """Pairs of painted heads.

    Attributes
    ----------
    anatomies : dict
        Label map files by split; pairs use them in turn.
    ranges : Ranges
        Ranges of the true transform, about the centre of the label map.
    sizes : (int, int)
        Voxels per side of the fixed and the moving image; the field of view is 256 mm.
    contrasts : (str, str) or None
        Of the fixed and the moving image; None: mostly T1, sometimes any two.
    follow_up : bool
        Whether the second scan is a follow-up: with or without atrophy, and with smooth change.
    loss : float
        Fraction of the brain's volume that half of the follow-ups have lost.
    change_mm : float
        Largest smooth displacement in a follow-up, mm.
    """

    anatomies: dict[str, tuple[str, ...]]
    ranges: Ranges
    sizes: tuple[int, int] = (170, 170)
    contrasts: tuple[str, str] | None = None
    follow_up: bool = False
    loss: float = 0.02
    change_mm: float = 1.5
    images: tuple[str, ...] = field(
        default=("fixed", "moving", "fixed_labels", "moving_labels", "fixed_mask"), init=False
    )

    def plan(self, split: str, number: int, rng: np.random.Generator) -> Plan:
        """Choose the anatomy, the contrasts, the scanners and the change between the scans."""
        anatomies = self.anatomies[split]
        path = anatomies[number % len(anatomies)]
        contrasts = self.contrasts or _mixed_contrasts(rng, same=self.follow_up)
        sizes = self.sizes[::-1] if self.follow_up and rng.random() < 0.5 else self.sizes
        loss = self.loss if self.follow_up and rng.random() < 0.5 else 0.0
        columns = {"subject": Path(path).name.split(".")[0]}
        columns |= {"fixed_contrast": contrasts[0], "moving_contrast": contrasts[1]}
        if self.follow_up:
            columns["brain_loss"] = f"{loss:g}"
        return Plan(columns, {"path": path, "contrasts": contrasts, "sizes": sizes, "loss": loss})

    def paint(self, plan: Plan, rng: np.random.Generator) -> SimulatedPair:
        """Paint both scans of the anatomy, each with its own transform."""
        choices = plan.choices
        codes, labels, grid = _load(choices["path"])
        middle = apply_affine(grid.index_to_lps, (np.array(grid.size) - 1) / 2)
        fixed_to_moving = random_move(self.ranges, middle, rng)
        head_to_fixed = random_move(SMALL_POSE, middle, rng)
        person = random_person(codes.shape, rng)
        change = None
        if self.follow_up:
            change = smooth_change(codes, self.change_mm, rng) + brain_loss(codes, choices["loss"])
        poses = head_to_fixed, compose(fixed_to_moving, head_to_fixed)
        scans = [
            _scan(codes, labels, grid, person, pose, contrast, size, change_so_far, rng)
            for pose, contrast, size, change_so_far in zip(
                poses, choices["contrasts"], choices["sizes"], (None, change), strict=True
            )
        ]
        (fixed, fixed_labels, brain), (moving, moving_labels, _) = scans
        return SimulatedPair(fixed, moving, fixed_to_moving, fixed_labels, moving_labels, brain)


def _scan(
    codes: NDArray[np.uint8],
    labels: NDArray[np.int16],
    grid: Grid,
    person: Person,
    head_to_scan: Matrix,
    contrast: str,
    size: int,
    change: Displacement | None,
    rng: np.random.Generator,
) -> tuple[Volume, Volume, Volume]:
    """Return the image, the brain labels and the brain mask of one session."""
    spacing_mm = FIELD_MM / size
    middle = apply_affine(grid.index_to_lps, (np.array(grid.size) - 1) / 2)
    axes = AXES[list(AXES)[rng.integers(len(AXES))]]
    # The field of view is fixed to the scanner: a head that moves far is truncated.
    onto = Grid.cube(middle + rng.uniform(-3, 3, 3), size, spacing_mm, axes)
    clean = paint(codes, person, random_palette(contrast, rng))
    # Blur of half a voxel hides the steps of the label map; more is needed for larger voxels.
    clean = blurred(clean, max(0.6, 0.45 * spacing_mm / float(grid.spacing.min())))
    scan_to_head = invert(head_to_scan)
    sampled = sample(clean, grid, onto, scan_to_head, change)
    image = Volume(scan(sampled, random_scanner(rng), rng), onto)
    seen_labels = sample(labels, grid, onto, scan_to_head, change, interp="nearest")
    brain = brain_of(to_byte_codes(seen_labels)).astype(np.uint8)
    return image, Volume(seen_labels, onto), Volume(brain, onto)


def _mixed_contrasts(rng: np.random.Generator, *, same: bool) -> tuple[str, str]:
    if rng.random() < T1_SHARE:
        return "t1", "t1"
    first, second = (str(name) for name in rng.choice(list(CONTRASTS), 2))
    return (first, first) if same else (first, second)


@lru_cache(maxsize=2)
def _load(path: str) -> tuple[NDArray[np.uint8], NDArray[np.int16], Grid]:
    """Read a label map: byte codes for painting, FreeSurfer's codes of the brain, and its grid."""
    volume = load_volume(path)
    codes = np.rint(volume.array).astype(np.int16)
    return to_byte_codes(codes), np.where(codes < FIRST_OUTSIDE, codes, 0).astype(np.int16), volume.grid
