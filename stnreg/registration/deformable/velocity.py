"""From two appearances to a velocity field: the network, run once, and what makes its answer safe to integrate."""

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stnreg.errors import DataError
from stnreg.geometry.grid import Grid
from stnreg.models.calibration import DeformationLimits
from stnreg.models.card import Weights, find
from stnreg.models.runtime import open_session, run_network
from stnreg.registration.deformable.appearance import CLIP, Appearance, AsT1, filled
from stnreg.registration.deformable.frame import box

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Array = np.ndarray
LATTICE_VOXELS = 2  # voxels of the box per control point
FADE = (0.0, 0.0, 0.3, 0.7)
"""Factors of the outermost control points: at the outermost voxels of the box the velocity is zero."""


@dataclass(frozen=True, eq=False)
class VelocityNetwork:
    """A velocity network, which is opened when it first runs: for one person it does not.

    Attributes
    ----------
    weights : Weights
    threads : int
    device : str
        As `open_session` takes them.
    box : Grid
        In the frame: where it wants both heads.
    limits : DeformationLimits
        At which deformations it was calibrated to be rejected.
    synthesis : Weights or None
        The network that shows a head of any contrast as in T1, on the same box.
    """

    weights: Weights
    threads: int
    device: str
    box: Grid
    limits: DeformationLimits
    synthesis: Weights | None = None

    def predict(self, fixed: Appearance, moving: Appearance, *, mirrored: bool = False) -> Array:
        """Return the velocity's B-spline coefficients, (3, z, y, x) float32, x, y, z components in mm of the frame.

        Parameters
        ----------
        fixed, moving : Appearance
        mirrored : bool
            Whether the network looks at both heads with left and right exchanged. The coefficients are those of the
            heads as they are, either way.
        """
        heads = np.stack([fixed.image, moving.image]).astype(np.float32)
        given = {"pair": (np.ascontiguousarray(heads[..., ::-1]) if mirrored else heads)[None]}
        session = _kept_open(self.weights.path, self.weights.sha256, self.threads, self.device)
        found = run_network(session, self.weights, given, "velocity", give_back=True)[0]
        return mirror_image(found) if mirrored else found

    def in_t1(self, head: Appearance) -> AsT1:
        """Return a head as a T1-weighted scan shows it; there must be a synthesis network.

        Raises
        ------
        DataError
            If the network gives an image without its certainty.
        """
        assert self.synthesis is not None
        session = _kept_open(self.synthesis.path, self.synthesis.sha256, self.threads, self.device)
        given = {"image": head.image[None, None].astype(np.float32)}
        found = run_network(session, self.synthesis, given, "t1", give_back=True)[0]
        if len(found) != 2:
            raise DataError(f"{self.synthesis.path}: expected an image and its certainty; train it again and export it")
        made, certainty = found
        return AsT1(np.where(head.image == 0, np.float32(0), np.clip(made, *CLIP)), certainty)


def find_velocity_network(model: str, threads: int, device: str, *, calibrated: bool = True) -> VelocityNetwork:
    """Find a velocity network by its name or path; the last one that ran is kept open.

    Parameters
    ----------
    model : str
        As `find` takes it.
    threads, device
        As `open_session` takes them.
    calibrated : bool
        Whether a network without a calibration is refused; where it is not, limits are the defaults.

    Raises
    ------
    DataError
        If it is a network of another kind, or its sidecar lacks something.
    """
    weights = find(model)
    sidecar = weights.path.with_suffix(".json")
    if weights.kind != "velocity":
        raise DataError(f"{weights.path}: expected a velocity network, got one of the kind {weights.kind!r}")
    try:
        z, y, x = (int(n) for n in weights.card["shape"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{sidecar}: expected a shape of three numbers ({error!r})") from error
    limits = DeformationLimits.from_card(weights.card, sidecar) if calibrated else DeformationLimits()
    return VelocityNetwork(weights, threads, device, box((z, y, x), weights.spacing_mm), limits, weights.synthesis)


@lru_cache(maxsize=2)
def _kept_open(path: Path, sha256: str, threads: int, device: str) -> "InferenceSession":
    return open_session(find(str(path)), threads=threads, device=device)


def lattice_of(grid: Grid) -> Grid:
    """Return the lattice of control points of a box: one for each block of voxels, in the middle of it."""
    to_voxel = np.diag([float(LATTICE_VOXELS)] * 3 + [1.0])
    to_voxel[:3, 3] = (LATTICE_VOXELS - 1) / 2
    x, y, z = (n // LATTICE_VOXELS for n in grid.size)
    return Grid((x, y, z), grid.index_to_lps @ to_voxel)


def prepared(coefficients: Array, excluded: Array, stiffness_mm: float, spacing_mm: float) -> Array:
    """Make coefficients ready to integrate: carried over excluded places, smoothed, faded out towards the box's edge.

    Every step is linear, so that exchanging the images still changes the sign and nothing else.

    Parameters
    ----------
    coefficients : (3, z, y, x) float32
        mm.
    excluded : (z, y, x) bool
        On the lattice: where neither image may drive the deformation.
    stiffness_mm : float
        Standard deviation of the Gaussian that coefficients are smoothed by, mm.
    spacing_mm : float
        Of the lattice.
    """
    if excluded.any():
        coefficients = filled(coefficients, ~excluded)
    if stiffness_mm > 0:
        coefficients = smoothed(coefficients, stiffness_mm / spacing_mm)
    out = coefficients.astype(np.float32)
    for axis in (1, 2, 3):
        count = out.shape[axis]
        window = np.ones(count, np.float32)
        reach = min(len(FADE), count // 2)
        window[:reach] = FADE[:reach]
        window[count - reach :] = FADE[:reach][::-1]
        out = out * window.reshape([-1 if a == axis else 1 for a in range(4)])
    return out


def mirror_image(vectors: Array) -> Array:
    """Return vectors (3, z, y, x) of a field whose left and right are exchanged, about the middle of its grid."""
    return np.ascontiguousarray(vectors[..., ::-1]) * np.array([-1, 1, 1], np.float32).reshape(3, 1, 1, 1)


def gaussian_reach(sigma: float) -> int:
    """Return how many voxels a Gaussian reaches to either side, sigma in voxels."""
    return max(int(np.ceil(3 * sigma)), 1)


def smoothed(values: Array, sigma: float) -> Array:
    """Smooth (3, z, y, x) by a Gaussian, sigma in voxels."""
    reach = gaussian_reach(sigma)
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    kernel = (kernel / kernel.sum()).astype(np.float32)
    for axis in (1, 2, 3):
        wide = np.pad(values, [(reach, reach) if a == axis else (0, 0) for a in range(4)], mode="edge")
        views = [wide[(slice(None),) * axis + (slice(k, k + values.shape[axis]),)] for k in range(len(kernel))]
        values = views[0] * kernel[0]
        for weight, view in zip(kernel[1:], views[1:], strict=True):
            values += weight * view
    return values
