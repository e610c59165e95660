"""Visits of one person: scans of one anatomy, each with its own move, grid, noise, bias field and gain.

Between visits the brain may lose volume and the ventricles may grow, inside an unchanged skull. Every transform and
every volume is known.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stnreg.geometry.affine import Parameters, apply_affine, compose, from_parameters, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume, load_volume
from stnreg.simulation.change import Displacement, brain_loss, sample, ventricle_growth
from stnreg.simulation.fields import Array, blurred, smooth_field
from stnreg.simulation.heads import AXES, FIELD_MM
from stnreg.simulation.moves import Ranges, random_move
from stnreg.simulation.painting import Person, paint, random_palette, random_person
from stnreg.simulation.scanner import FULL_SCALE
from stnreg.simulation.tissues import VENTRICLES, brain_of, to_byte_codes

MOVES = Ranges(rotation_deg=20.0, translation_mm=20.0)
GRIDS_MM = ((1.0, 1.0, 1.0), (0.9, 0.9, 0.9), (1.2, 1.2, 1.2), (1.0, 1.0, 1.0), (0.9, 0.9, 1.2), (1.1, 1.1, 1.1))
EDGE_VOXELS = 0.6  # blur that hides the steps of the label map
BOX_VOXELS = 6  # around the brain, in which volumes are measured


@dataclass(frozen=True)
class VisitPlan:
    """What happened to a person until a visit, and how the scanner was set.

    Attributes
    ----------
    spacing_mm : (3,) float
    noise : float
        Standard deviation, as a fraction of white matter.
    bias : float
        Largest deviation of the bias field from 1.
    gain : float
        Factor of all intensities.
    contrast_drift : float
        Standard deviation of the relative change of each tissue's mean.
    scale : float
        Factor of all distances: a scanner whose gradients have drifted. 1 is none.
    loss : float
        Fraction of the brain's volume that is gone.
    growth : float
        Fraction by which the lateral ventricles have grown.
    moves : Ranges
        Of the position in the scanner.
    """

    spacing_mm: tuple[float, float, float] = (1.0, 1.0, 1.0)
    noise: float = 0.04
    bias: float = 0.3
    gain: float = 1.0
    contrast_drift: float = 0.0
    scale: float = 1.0
    loss: float = 0.0
    growth: float = 0.0
    moves: Ranges = field(default=MOVES)


@dataclass(frozen=True, eq=False)
class Visit:
    """One simulated visit.

    Attributes
    ----------
    image : Volume
        int16.
    head_to_visit : (4, 4) float64
        From the anatomy to the visit, LPS mm.
    volumes : mapping of str to float
        Volume of `brain` (tissue and ventricles), `tissue` and `ventricles`, as factors of those of the anatomy; what
        a drift of the scanner's scale adds does not count.
    """

    image: Volume
    head_to_visit: Matrix
    volumes: Mapping[str, float]


@dataclass(frozen=True, eq=False)
class Anatomy:
    """A label map, and what is the same in all scans of its owner.

    Attributes
    ----------
    codes : (z, y, x) uint8
    grid : Grid
    person : Person
    palette : (256,) float32
        Mean of every code.
    """

    codes: NDArray[np.uint8]
    grid: Grid
    person: Person
    palette: Array

    @classmethod
    def load(cls, path: str, rng: np.random.Generator, contrast: str = "t1") -> "Anatomy":
        """Read a label map with FreeSurfer's codes, and draw the properties of its owner."""
        volume = load_volume(path)
        codes = to_byte_codes(np.rint(volume.array).astype(np.int16))
        return cls(codes, volume.grid, random_person(codes.shape, rng), random_palette(contrast, rng))

    @property
    def center_lps(self) -> NDArray[np.float64]:
        """The middle of the label map."""
        return apply_affine(self.grid.index_to_lps, (np.array(self.grid.size) - 1) / 2)

    def brain_points(self, step: int = 997) -> NDArray[np.float64]:
        """Return points of the brain, (N, 3) LPS mm."""
        index = np.argwhere(brain_of(self.codes))[::step, ::-1].astype(float)
        return apply_affine(self.grid.index_to_lps, index)


def random_plan(rng: np.random.Generator, number: int, **changes: float) -> VisitPlan:
    """Draw the settings of a visit: noise of 3 to 6 %, a gain of 0.7 to 1.4; grids go in turn."""
    drawn = {"noise": float(rng.uniform(0.03, 0.06)), "gain": float(rng.uniform(0.7, 1.4))}
    return VisitPlan(GRIDS_MM[number % len(GRIDS_MM)], **(drawn | changes))  # type: ignore[arg-type]


def scan_visit(anatomy: Anatomy, plan: VisitPlan, rng: np.random.Generator) -> Visit:
    """Scan a person once.

    Parameters
    ----------
    anatomy : Anatomy
    plan : VisitPlan
    rng : numpy.random.Generator

    Returns
    -------
    Visit
    """
    codes, grid = anatomy.codes, anatomy.grid
    change = _change(codes, plan)
    move = random_move(plan.moves, anatomy.center_lps, rng)
    stretch = from_parameters(Parameters(scale=(plan.scale,) * 3), anatomy.center_lps)
    head_to_visit = compose(move, stretch)
    drift = 1 + plan.contrast_drift * rng.standard_normal(256, dtype=np.float32)
    clean = paint(codes, anatomy.person, anatomy.palette * drift)
    thick = [max(0.45 * s / float(grid.spacing.min()), EDGE_VOXELS) for s in plan.spacing_mm]
    size = np.round(FIELD_MM / np.array(plan.spacing_mm)).astype(int)
    axes = AXES[list(AXES)[rng.integers(len(AXES))]]
    middle = apply_affine(head_to_visit, anatomy.center_lps) + rng.uniform(-3, 3, 3)
    onto = Grid.cube(middle, size, plan.spacing_mm, axes)
    # The blur is along the axes of the anatomy; those of the scan are near them, in another order.
    clean = blurred(clean, *(thick if len(set(thick)) == 1 else _along(thick, grid, onto)))
    image = sample(clean, grid, onto, invert(head_to_visit), change)
    image *= plan.gain * _bias_field(image.shape, plan.bias, rng)
    sigma = plan.noise * plan.gain
    image += sigma * rng.standard_normal(image.shape, dtype=np.float32)
    image = np.hypot(image, sigma * rng.standard_normal(image.shape, dtype=np.float32))
    stored = np.rint(image * FULL_SCALE).clip(0, np.iinfo(np.int16).max).astype(np.int16)
    return Visit(Volume(stored, onto), head_to_visit, _volumes(codes, change))


def _change(codes: NDArray[np.uint8], plan: VisitPlan) -> Displacement | None:
    changes = []
    if plan.loss:
        changes.append(brain_loss(codes, plan.loss))
    if plan.growth:
        changes.append(ventricle_growth(codes, plan.growth))
    return None if not changes else changes[0] if len(changes) == 1 else changes[0] + changes[1]


def _volumes(codes: NDArray[np.uint8], change: Displacement | None) -> dict[str, float]:
    """Return the volumes after a change as factors of those before.

    The masks are resampled through the change in the voxels of the label map, as the image is: at the skull the
    displacement ends within few voxels.
    """
    ventricles = np.isin(codes, VENTRICLES)
    tissue = brain_of(codes) & ~ventricles
    if change is None:
        return dict.fromkeys(("brain", "ventricles", "tissue"), 1.0)
    index = np.argwhere(brain_of(codes))
    low = np.maximum(index.min(0) - BOX_VOXELS, 0) // change.step * change.step
    high = index.max(0) + BOX_VOXELS + 1
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    vectors = change.vectors[
        tuple(slice(a // change.step, -(-b // change.step) + 1) for a, b in zip(low, high, strict=True))
    ]
    local = Displacement(vectors, change.step)
    before, after = {}, {}
    for name, mask in (("ventricles", ventricles), ("tissue", tissue)):
        soft = mask[box].astype(np.float32)
        own = Grid(soft.shape[::-1], np.eye(4))
        before[name] = float(soft.sum(dtype=float))
        after[name] = float(sample(soft, own, own, np.eye(4), local).sum(dtype=float))
    before["brain"], after["brain"] = sum(before.values()), sum(after.values())
    return {name: after[name] / before[name] for name in ("brain", "ventricles", "tissue")}


def _bias_field(shape: tuple[int, ...], reach: float, rng: np.random.Generator) -> Array:
    """Draw a smooth factor between 1 / (1 + reach) and 1 + reach."""
    drawn = smooth_field(shape, 4, rng)
    return np.exp(drawn * np.float32(np.log1p(reach) / max(float(np.abs(drawn).max()), 1e-6)))


def _along(widths: list[float], grid: Grid, onto: Grid) -> list[float]:
    """Assign blurs along the axes of a scan to the nearest axes of the anatomy."""
    alike = np.abs(grid.direction.T @ onto.direction)
    return [widths[int(alike[axis].argmax())] for axis in range(3)]
