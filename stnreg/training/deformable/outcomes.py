"""Right and failed deformations of validation heads, and what the verdict measures of each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stnreg.errors import DataError
from stnreg.evaluation.overlap import count_labels, dice
from stnreg.geometry.affine import Parameters, apply_affine, compose, from_parameters
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume, load_volume
from stnreg.models.card import find
from stnreg.registration.anatomy.encoded import EncodedImage
from stnreg.registration.anatomy.load import open_encoder
from stnreg.registration.deformable.stage import Deform
from stnreg.registration.deformable.velocity import VelocityNetwork
from stnreg.registration.encoding import encode
from stnreg.registration.options import DEFAULT_MODEL, RegistrationOptions
from stnreg.registration.pair import ImagePair
from stnreg.registration.register import register
from stnreg.resampling.warp import resample_through
from stnreg.training.anatomy.validation_scans import painted_pairs
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform

LEAST_VOXELS = 50  # of a label of the fixed head, for it to count
RIGHT_BELOW, FAILED_BELOW = 0.03, 0.05
"""A deformation is right whose label Dice is at most so far below that from the registered affine, and failed whose
Dice is further below it; between the two it counts for neither."""
REGISTERED = "registered"
WRONG = ("shifted", "turned", "scaled")


@dataclass(frozen=True, eq=False)
class Head:
    """An image that was encoded, and its labels on its own grid."""

    name: str
    image: EncodedImage
    labels: Volume


@dataclass(frozen=True)
class Outcome:
    """One deformation.

    Attributes
    ----------
    pair, kind : str
        Kind is `registered`, or what was done to the affine: one of `WRONG`.
    is_right : bool or None
        None between right and failed.
    dice_before, dice : float
        Mean label Dice under the affine alone and after the deformation.
    log_jacobian_sd, agreement_before, agreement_after : float
        As `Deformation` has them.
    """

    pair: str
    kind: str
    is_right: bool | None
    dice_before: float
    dice: float
    log_jacobian_sd: float
    agreement_before: float
    agreement_after: float

    @property
    def gain(self) -> float:
        """Growth of the agreement of structures."""
        return self.agreement_after - self.agreement_before


class Deformations:
    """Deforms pairs of heads from the registered affine, and from wrong ones.

    Parameters
    ----------
    network : VelocityNetwork
    threads, device
        Of the networks.
    seed : int
    """

    def __init__(self, network: VelocityNetwork, *, threads: int, device: str, seed: int = 0) -> None:
        self.network, self.threads, self.device = network, threads, device
        self.rng = np.random.default_rng(seed)
        self.heads = open_encoder(find(DEFAULT_MODEL), threads, device).model.fine

    def run(self, root: Path, count: int, pairs: int, progress: Callable[[int, int], None]) -> list[Outcome]:
        """Deform `pairs` pairs of the last `count` scans of `root/ixi`, and painted heads of `root/labelmaps`.

        Scans are pairs of two people, each deformed from the registered affine and from three wrong ones. Painted heads
        are of one person and of two, in T1, T2 and FLAIR, each from the registered affine and from one wrong one.
        """
        scans, painted = self._scans(root, count, pairs), self._painted(root)
        found: list[Outcome] = []
        total = len(scans) + len(painted)
        for number, (fixed, moving) in enumerate(scans + painted):
            kinds = WRONG if number < len(scans) else (WRONG[number % len(WRONG)],)
            found += self.deform(fixed, moving, kinds)
            progress(number + 1, total)
        return found

    def deform(self, fixed: Head, moving: Head, kinds: tuple[str, ...]) -> Iterator[Outcome]:
        """Deform one pair from the registered affine, then from an affine that is wrong in each of these ways."""
        result = register(fixed.image, moving.image, threads=self.threads, device=self.device)
        registered = result.fixed_to_moving
        one_person = result.refined is not None and result.refined.same_person
        stiffness_mm = RegistrationOptions(deform=True).stiffness_of(one_person=one_person)
        best = None
        for kind in (REGISTERED, *kinds):
            affine = registered
            if kind != REGISTERED:
                middle = apply_affine(fixed.image.encoding.template_to_lps, np.zeros(3))
                affine = compose(registered, wrong_move(kind, middle, self.rng))
            encodings = fixed.image.encoding, moving.image.encoding
            stage = Deform(encodings, self.heads, self.network, stiffness_mm, self.threads, one_person)
            found = stage(ImagePair(fixed.image.volume, moving.image.volume), Affine(affine)).findings
            after = label_dice(fixed.labels, moving.labels, found.transform)
            before = label_dice(fixed.labels, moving.labels, Affine(affine))
            best = after if best is None else best
            yield Outcome(
                f"{fixed.name} {moving.name}",
                kind,
                is_right(after, best),
                before,
                after,
                found.log_jacobian_sd,
                found.agreement_before,
                found.agreement_after,
            )

    def _encoded(self, name: str, volume: Volume, labels: Volume) -> Head:
        return Head(name, encode(volume, device=self.device, threads=self.threads), labels)

    def _scans(self, root: Path, count: int, pairs: int) -> list[tuple[Head, Head]]:
        paths = sorted((root / "ixi").glob("*_T1.nii.gz"))[-count:]
        if len(paths) < 2:
            raise DataError(f"{root}: expected two or more ixi/*_T1.nii.gz with their *_labels.nii.gz to deform")
        chosen = [(k % len(paths), (k + 1 + k // len(paths)) % len(paths)) for k in range(pairs)]
        heads = {}
        for k in sorted({k for pair in chosen for k in pair}):
            labels = paths[k].with_name(paths[k].name.replace("_T1", "_labels"))
            heads[k] = self._encoded(paths[k].name.split("_")[0], load_volume(str(paths[k])), load_volume(str(labels)))
        return [(heads[a], heads[b]) for a, b in chosen if a != b]

    def _painted(self, root: Path) -> list[tuple[Head, Head]]:
        """Return each painted head with itself as it was moved, and with the moved one of the next person."""
        fixed, moving = [], []
        for number, pair in enumerate(painted_pairs(root, seed=0)):
            assert pair.fixed_labels is not None
            assert pair.moving_labels is not None
            fixed.append(self._encoded(f"painted-{number}-fixed", pair.fixed, pair.fixed_labels))
            moving.append(self._encoded(f"painted-{number}-moving", pair.moving, pair.moving_labels))
        step = 3  # a person has as many pairs of contrasts
        of_one = [(fixed[k], moving[k]) for k in range(0, len(fixed), step + 1)]
        of_two = [(fixed[k], moving[(k + step) % len(fixed)]) for k in range(len(fixed))] if len(fixed) > step else []
        return of_one + of_two


def is_right(found: float, best: float) -> bool | None:
    """Tell by its label Dice whether a deformation is right, beside that from the registered affine; None between."""
    if found >= best - RIGHT_BELOW:
        return True
    return None if found >= best - FAILED_BELOW else False


def wrong_move(kind: str, middle: Matrix, rng: np.random.Generator) -> Matrix:
    """Return what makes an affine wrong, about the middle of the brain, LPS mm; `kind` is one of `WRONG`."""
    direction = rng.standard_normal(3)
    x, y, z = (float(v) for v in direction / np.linalg.norm(direction))
    if kind == "shifted":
        far = float(rng.uniform(6, 25))
        return from_parameters(Parameters((far * x, far * y, far * z), (0, 0, 0)), middle)
    if kind == "turned":
        angle = float(rng.uniform(8, 40))
        return from_parameters(Parameters((0, 0, 0), (angle * x, angle * y, angle * z)), middle)
    a, b, c = (float(v) for v in rng.uniform(1.15, 1.5, 3) ** rng.choice((-1, 1)))
    return from_parameters(Parameters((0, 0, 0), (0, 0, 0), (a, b, c)), middle)


def label_dice(fixed: Volume, moving: Volume, fixed_to_moving: Transform) -> float:
    """Return the mean Dice of the labels of both heads, those of few voxels left out."""
    codes = moving.array.astype(np.int16)
    moved = resample_through(codes, moving.grid, fixed.grid, fixed_to_moving, "nearest")
    counts = count_labels(fixed.array.astype(np.int16), moved)
    counted = (counts.fixed > LEAST_VOXELS) & np.isin(counts.labels, np.unique(codes))
    return float(np.nanmean(dice(counts)[counted])) if counted.any() else 0.0
