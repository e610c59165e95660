"""What the anatomy networks tell of one image: its pose, its structures and its brain mask."""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from stnreg.geometry.affine import invert
from stnreg.geometry.grid import Grid
from stnreg.models.calibration import Calibration
from stnreg.registration.anatomy.maps import MapNetwork, PoseNetwork

Array = np.ndarray
AGREED_SLACK = 1.25  # a pose that several rotations lead to may fit the template by so much less


@dataclass(frozen=True)
class AnatomyModel:
    """The pose network and the fine network."""

    pose: PoseNetwork
    fine: MapNetwork


@dataclass(frozen=True)
class Encoding:
    """Pose, structures and brain mask of one image.

    Parameters
    ----------
    centroids_lps : (structures, 3) float64
        LPS mm; NaN if a structure was not found.
    weights : (structures,) float64
        Confidence of each centroid, 0 to 1, over the squared spread of its structure, 1 / mm^2.
    maps : (structures, D, H, W) float32
        Soft segmentation: the fraction of each structure in each voxel, background first.
    maps_grid : Grid
        Grid of the maps; rotated with the head.
    template_to_lps : (4, 4) float64
        Similarity from the template to the image.
    residual_mm : float
        Weighted root mean square distance of the centroids from the template's under the similarity.
    fit_residual_mm : float
        The same after a mild affine fit, which accounts for the shape of the head. A pose is accepted by it.
    volumes_mm3 : (structures,) float64
        Volume of each structure inside the field of view.
    calibration : Calibration
        Of the network.
    has_head : bool
        Whether the image shows anything like a head; if not, nothing was searched for.
    alternatives : tuple of Encoding
        From the other poses that were tried, where several were.
    """

    centroids_lps: Array
    weights: Array
    maps: Array
    maps_grid: Grid
    template_to_lps: Array
    residual_mm: float
    fit_residual_mm: float
    volumes_mm3: Array
    calibration: Calibration = field(default_factory=Calibration)
    has_head: bool = True
    alternatives: tuple["Encoding", ...] = ()

    @property
    def pose_uncertainty(self) -> float:
        """`fit_residual_mm` over the mean sharpness of the maps; lower is better."""
        flat = self.maps[1:].reshape(len(self.maps) - 1, -1)
        sharp = np.einsum("kv,kv->", flat, flat) / max(float(flat.sum()), 1e-6)
        return self.fit_residual_mm / max(float(sharp), 1e-3)

    @property
    def is_placed(self) -> bool:
        """Whether the structures lie as in a head: what an animal or a phantom shows, or a wrong pose, does not."""
        return self.fit_residual_mm <= AGREED_SLACK * self.calibration.accept_mm

    @property
    def mirror(self) -> Array:
        """(4, 4): the reflection in the head's midplane, LPS mm."""
        return self.template_to_lps @ np.diag([-1.0, 1.0, 1.0, 1.0]) @ invert(self.template_to_lps)

    @cached_property
    def maps_by_voxel(self) -> Array:
        """`maps` again, in memory such that the values of one voxel lie together: interpolation reads them so."""
        return np.moveaxis(np.ascontiguousarray(np.moveaxis(self.maps, 0, -1)), -1, 0)

    @property
    def brain(self) -> Array:
        """Soft brain mask (ventricles included) on `maps_grid`, (D, H, W) float32, 0 to 1."""
        return 1.0 - self.maps[0]
