"""The anatomy networks as tasks of the training loop: batches, loss, validation."""

from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor, nn

from stnreg.core.structures import GROUPS, NAMES
from stnreg.networks.anatomy import AnatomyNet, AnatomyShape
from stnreg.training.anatomy.data import FINE, POSE, Subjects, augment_again, training_image
from stnreg.training.anatomy.pack import VALIDATION_SCANS, split
from stnreg.training.anatomy.poses import box_points

IMAGE_SPECS = {"pose": POSE, "fine": FINE}
KINDS = tuple(IMAGE_SPECS)
KEPT_STEPS = 120  # number of steps for which new images are kept for reuse


def share_losses(logits: Tensor, shares: Tensor, points_mm: Tensor) -> dict[str, Tensor]:
    """Return the terms of the loss between predicted and true soft segmentations.

    Implemented by dot products: on a CPU temporary tensors would take longer than the convolutions.

    Parameters
    ----------
    logits, shares : (N, maps, D, D, D) float32
    points_mm : (D, D, D, 3) float32
        Voxel centres of the maps' grid.

    Returns
    -------
    dict
        `entropy`: mean cross-entropy, nats; `dice`: 1 - soft Dice, mean over the structures in view;
        `centroid_mm`: mean distance between predicted and true centroids of the structures in view.
    """
    log_maps = torch.log_softmax(logits, 1).flatten(2)  # (N, maps, V)
    maps, truth = log_maps.exp(), shares.flatten(2)
    entropy = -torch.dot(truth.flatten(), log_maps.flatten()) / (truth.shape[0] * truth.shape[2])
    overlap = 2 * _row_dots(maps, truth)
    total = _row_dots(maps, maps) + _row_dots(truth, truth)
    columns = torch.cat([points_mm.reshape(-1, 3), torch.ones(truth.shape[2], 1)], 1)
    found, wanted = maps @ columns, truth @ columns  # (N, maps, 4): sums of x, y, z, and mass
    dice = ((overlap + 0.1) / (total + 0.1))[wanted[..., 3] > 0.2]
    distance = found[..., :3] / (found[..., 3:] + 0.1) - wanted[..., :3] / (wanted[..., 3:] + 1e-6)
    in_view = wanted[..., 3] > 0.5
    in_view[:, 0] = False
    error = torch.linalg.vector_norm(distance + 1e-6, dim=-1)[in_view].clamp_max(60.0)
    return {"entropy": entropy, "dice": 1 - dice.mean(), "centroid_mm": error.mean()}


def _row_dots(a: Tensor, b: Tensor) -> Tensor:
    """Return the dot products of matching rows, (N, K, V) twice to (N, K)."""
    return (a.unsqueeze(-2) @ b.unsqueeze(-1))[..., 0, 0]


def _small(image: Tensor, shares: Tensor) -> tuple[Tensor, Tensor]:
    """Return an image and its shares in half the memory."""
    return image.half(), shares.half()


@dataclass
class AnatomyTask:
    """Training task: soft segmentation of single scans, half of them painted, half real."""

    kind: str  # "pose" or "fine"
    folder: Path
    batch: int = 4
    fresh: int = 2  # new images per step; the others are reused, augmented again
    seed: int = 1
    validation: int = VALIDATION_SCANS  # scans that are kept for it, the last by name
    widths: tuple[int, ...] = (24, 48, 96, 96)
    centroid_weight: float = 0.03
    validation_batches: int = 12
    name: str = field(init=False)

    def __post_init__(self) -> None:
        self.name = f"anatomy-{self.kind}"
        self.spec = IMAGE_SPECS[self.kind]
        training, validation = split(self.folder, self.validation)
        self.subjects = Subjects(self.folder, training)
        self.held_out = Subjects(self.folder, validation)
        self.points = box_points(tuple(n // 2 for n in self.spec.shape), self.spec.spacing_mm * 2)
        self.voxels = box_points(self.spec.shape, self.spec.spacing_mm)
        self._kept: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def build(self) -> nn.Module:
        """Return the untrained network."""
        maps = len(GROUPS) if self.spec.grouped else len(NAMES)
        return AnatomyNet(AnatomyShape(self.spec.shape, self.spec.spacing_mm, maps, self.widths))

    def make_batch(
        self, step: int, subjects: Subjects | None = None, batch: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """Return (N, 1, D, D, D) images and (N, maps, D/2, D/2, D/2) shares; a pure function of seed and step.

        Given `subjects`, all images are made for this step.
        """
        batch = batch or self.batch
        fresh = batch if subjects is not None or step == 0 else min(self.fresh, batch)
        made = [self._make(step, k, subjects or self.subjects) for k in range(fresh)]
        if subjects is None:
            self._keep(step, made)
        images, shares = zip(*made, *(self._again(step, k) for k in range(fresh, batch)), strict=True)
        return torch.stack(images)[:, None], torch.stack(shares)

    def _make(self, step: int, k: int, subjects: Subjects) -> tuple[Tensor, Tensor]:
        """Make image `k` of a step: real scans and painted anatomies alternate."""
        generator = self._generator(step, k)
        kind = subjects.anatomies if k % 2 else subjects.scans
        chosen = kind[int(torch.randint(len(kind), (1,), generator=generator))]
        return training_image(chosen, subjects.template, self.spec, generator)

    def _again(self, step: int, k: int) -> tuple[Tensor, Tensor]:
        """Augment an image of an earlier step again; after a resumption the image is recomputed."""
        generator = self._generator(step, k)
        earlier = int(torch.randint(max(0, step - KEPT_STEPS), step, (1,), generator=generator))
        which = int(torch.randint(self.fresh, (1,), generator=generator))
        if (earlier, which) not in self._kept:
            self._kept[earlier, which] = _small(*self._make(earlier, which, self.subjects))
        image, shares = self._kept[earlier, which]
        return augment_again(image.float(), shares.float(), self.voxels, generator)

    def _keep(self, step: int, made: list[tuple[Tensor, Tensor]]) -> None:
        self._kept = {key: value for key, value in self._kept.items() if step - KEPT_STEPS <= key[0] <= step}
        self._kept |= {(step, k): _small(*pair) for k, pair in enumerate(made[: self.fresh])}

    def _generator(self, step: int, k: int) -> torch.Generator:
        return torch.Generator().manual_seed((self.seed * 1_000_003 + step) * 97 + k)

    def loss(self, model: nn.Module, step: int) -> dict[str, Tensor]:
        """Return the loss of one step and its parts."""
        images, shares = (t.to(self._device(model)) for t in self.make_batch(step))
        return self._losses(model(images), shares)

    def _losses(self, logits: Tensor, shares: Tensor) -> dict[str, Tensor]:
        with torch.autocast(logits.device.type, enabled=False):  # sums over a volume need float32
            parts = share_losses(logits.float(), shares, self.points.to(logits.device))
        total = parts["entropy"] + parts["dice"] + self.centroid_weight * parts["centroid_mm"]
        return {"loss": total, **{name: value.detach() for name, value in parts.items()}}

    @staticmethod
    def _device(model: nn.Module) -> torch.device:
        return next(model.parameters()).device

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Return mean losses over fixed images of the validation subjects."""
        sums: dict[str, float] = {}
        for k in range(self.validation_batches):
            images, shares = (t.to(self._device(model)) for t in self.make_batch(-1 - k, self.held_out))
            for name, value in self._losses(model(images), shares).items():
                sums[name] = sums.get(name, 0.0) + float(value) / self.validation_batches
        return {"score": sums["loss"], **sums}
