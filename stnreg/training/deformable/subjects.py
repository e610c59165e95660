"""Packed subjects on a device: images, labels and label maps, sampled anywhere in the frame."""

import bz2
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

# FreeSurfer codes that its scheme of DLMUSE's structures has no place for: plexus, lesions, vessels.
ALSO = {136: 4, 163: 43, 137: 4, 164: 43, 25: 2, 57: 41, 30: 2, 62: 41}


@dataclass
class Stack:
    """Volumes of several subjects, padded at their far ends to one size.

    Parameters
    ----------
    volumes : dict of (S, D, H, W) uint8
    frame_to_index : (S, 4, 4) float32
        Frame mm to (x, y, z) voxels.
    training, validation : list of int
        Which subjects are for what.
    names : list of str
    """

    volumes: dict[str, Tensor]
    frame_to_index: Tensor
    training: list[int]
    validation: list[int]
    names: list[str]

    def index_of(self, which: Tensor, points_mm: Tensor) -> Tensor:
        """Return the voxel indices of frame points, (N, ..., 3) both, of subjects (N,)."""
        matrix = self.frame_to_index[which]
        flat = points_mm.flatten(1, -2) @ matrix[:, :3, :3].transpose(1, 2) + matrix[:, None, :3, 3]
        return flat.reshape(points_mm.shape)

    def nearest(self, kind: str, which: Tensor, points_mm: Tensor) -> Tensor:
        """Return the nearest voxel's value at frame points (N, D, H, W, 3), (N, D, H, W) int64; 0 outside."""
        volumes = self.volumes[kind]
        _, d, h, w = volumes.shape
        near = torch.round(self.index_of(which, points_mm)).long()
        x, y, z = near.unbind(-1)
        inside = (x >= 0) & (x < w) & (y >= 0) & (y < h) & (z >= 0) & (z < d)
        flat = ((which.view(-1, 1, 1, 1) * d + z) * h + y) * w + x
        return torch.where(inside, volumes.flatten()[flat.clamp(0, volumes.numel() - 1)].long(), 0)

    def linear(self, kind: str, which: Tensor, points_mm: Tensor) -> Tensor:
        """Interpolate at frame points (N, D, H, W, 3); (N, 1, D, H, W) float32, 0 outside."""
        volumes = self.volumes[kind][which][:, None].float()
        sizes = torch.tensor(volumes.shape[:1:-1], device=volumes.device, dtype=torch.float32)
        grid = (2 * self.index_of(which, points_mm) + 1) / sizes - 1
        return functional.grid_sample(volumes, grid, mode="bilinear", padding_mode="zeros", align_corners=False)


@dataclass
class Pack:
    """Everything that training reads: scans, label maps, and how their labels are called.

    Parameters
    ----------
    scans : Stack
        `image` (0 to 255) and `labels`, indices of DLMUSE's scheme.
    anatomies : Stack
        `tissue`, byte codes at 1 mm.
    mirror : Tensor
        (labels,) int64: the same DLMUSE structure on the other side.
    mirror_codes : Tensor
        (256,) int64: the same byte code on the other side.
    freesurfer_of_code : Tensor
        (256,) int64: index in FreeSurfer's scheme of a byte code.
    to_freesurfer : Tensor
        (labels,) int64: index in FreeSurfer's scheme of a DLMUSE index.
    code_of_dlmuse : Tensor
        (labels,) int64: byte code that a DLMUSE index is painted as, 0 where FreeSurfer has none.
    labels, freesurfer_labels : int
        How many indices each scheme has, 0 included.
    encoder : dict of Tensor
        Weights of the released anatomy network, to start the encoder from; empty where the pack has none.
    """

    scans: Stack
    anatomies: Stack
    mirror: Tensor
    mirror_codes: Tensor
    freesurfer_of_code: Tensor
    to_freesurfer: Tensor
    code_of_dlmuse: Tensor
    labels: int
    freesurfer_labels: int
    encoder: dict[str, Tensor]

    def held_out(self) -> "Pack":
        """Return the pack of the validation subjects alone, as those to train on."""
        scans, anatomies = (replace(stack, training=stack.validation) for stack in (self.scans, self.anatomies))
        return replace(self, scans=scans, anatomies=anatomies)


def load_pack(path: Path, device: torch.device) -> Pack:
    """Read a pack that `stnreg.training.deformable.pack` made, onto a device."""
    with np.load(path) as arrays:
        about = json.loads(bytes(arrays["about"]))
        scans = _stack(about["scans"], arrays, device, {"image": 255 / about["levels"], "labels": 1.0})
        anatomies = _stack(about["anatomies"], arrays, device, {"tissue": 1.0})
        named = [name for name in arrays.files if name.startswith("encoder.")]
        encoder = {name.removeprefix("encoder."): torch.from_numpy(arrays[name]).float() for name in named}
    tables = about["tables"]
    scheme = tables["freesurfer"]
    index = np.zeros(256, np.int64)
    index[scheme] = np.arange(len(scheme))
    mirror_codes = np.arange(256)
    mirror_codes[scheme] = np.array(scheme)[tables["mirror_freesurfer"]]
    for code, other in ALSO.items():
        index[code] = index[other]
    for left, right in ((136, 163), (137, 164), (25, 57), (30, 62)):
        mirror_codes[[left, right]] = right, left

    def table(values: Any) -> Tensor:
        return torch.as_tensor(values, dtype=torch.int64, device=device)

    return Pack(
        scans,
        anatomies,
        table(tables["mirror_dlmuse"]),
        table(mirror_codes),
        table(index),
        table(tables["to_freesurfer"]),
        table(np.array(scheme)[tables["to_freesurfer"]]),
        len(tables["dlmuse"]),
        len(scheme),
        encoder,
    )


def _stack(subjects: list[dict[str, Any]], arrays: Any, device: torch.device, kinds: dict[str, float]) -> Stack:
    size = [max([s["shape"][a] for s in subjects], default=1) for a in range(3)]
    volumes = {}
    for kind, scale in kinds.items():
        filled = torch.zeros((len(subjects), *size), dtype=torch.uint8)
        squeezed = [arrays[f"{subject['name']}.{kind}"].tobytes() for subject in subjects]
        with ThreadPoolExecutor() as pool:
            unpacked = list(pool.map(bz2.decompress, squeezed))
        for k, subject in enumerate(subjects):
            raw = np.frombuffer(unpacked[k], np.uint8).reshape(subject["shape"])
            volume = np.rint(raw * scale).astype(np.uint8)
            d, h, w = volume.shape
            filled[k, :d, :h, :w] = torch.from_numpy(volume)
        volumes[kind] = filled.to(device)
    matrices = torch.tensor([s["frame_to_index"] for s in subjects], dtype=torch.float32, device=device)
    held = [k for k, s in enumerate(subjects) if s["validation"]]
    training = [k for k, s in enumerate(subjects) if not s["validation"]]
    return Stack(volumes, matrices.reshape(-1, 4, 4), training, held, [s["name"] for s in subjects])


def frame_points(shape: tuple[int, ...], spacing_mm: float, device: torch.device) -> Tensor:
    """Return the voxel centres of a box (D, H, W) about the frame's origin, (1, D, H, W, 3) frame mm (x, y, z)."""
    axes = [(torch.arange(n, device=device, dtype=torch.float32) - (n - 1) / 2) * spacing_mm for n in shape]
    z, y, x = torch.meshgrid(*axes, indexing="ij")
    return torch.stack([x, y, z], -1)[None]
