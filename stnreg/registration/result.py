"""The result of a registration: transform, quality assessment, and the images."""

import os
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from stnreg.errors import TransformError
from stnreg.geometry.affine import Parameters, apply_affine, to_parameters
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume, save_volume
from stnreg.models.card import Weights
from stnreg.registration.deformable.stage import Deformation
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.quality import Verdict
from stnreg.registration.refine.refined import Refined
from stnreg.resampling.apply import OutputType, move, save_moved
from stnreg.resampling.resample import Interpolation
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.files import save_transform
from stnreg.transforms.io.h5 import save_h5
from stnreg.transforms.io.warp import save_warp

Path = str | os.PathLike[str]


@dataclass(frozen=True, eq=False)
class RegistrationResult:
    """The result of one pair.

    Attributes
    ----------
    transform : Transform
        Maps fixed points to moving points, LPS mm; non-linear after a deformation.
    fixed_to_moving : (4, 4) float64
        Its affine part, LPS mm, as ITK writes it: all of `transform` without a deformation.
    fixed, moving : Volume
        As loaded.
    options : RegistrationOptions
        As requested.
    model : Weights
        The network that was used.
    verdict : Verdict
        Whether the registration is accepted, and the reasons if not.
    timings_s : dict
        Wall time by stage, seconds.
    warnings : tuple of str
    refined : Refined or None
        The result of the refinement; None without refinement.
    deformation : Deformation or None
        The result of the deformable stage; None without deformation.
    fixed_series, moving_series : Volume or None
        All volumes of a 4-D image. They are resampled; `fixed` and `moving` are the volumes that were registered.
    """

    transform: Transform
    fixed_to_moving: Matrix
    fixed: Volume
    moving: Volume
    options: RegistrationOptions
    model: Weights
    verdict: Verdict
    timings_s: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    refined: Refined | None = None
    deformation: Deformation | None = None
    fixed_series: Volume | None = None
    moving_series: Volume | None = None

    @property
    def dof(self) -> int:
        """Degrees of freedom of the transform: fewer than requested if the overlap does not support them."""
        return self.refined.dof if self.refined else self.options.dof

    @property
    def device(self) -> str:
        """The device of the network, as requested."""
        return self.options.device

    @property
    def threads(self) -> int:
        """Threads that were used."""
        return self.options.thread_count

    def as_written(self, fixed_to_moving: Matrix, warp: DisplacementField | None) -> "RegistrationResult":
        """Return the result with the parts of its transform as they were read back from files."""
        parts = (Affine(fixed_to_moving),) if warp is None else (warp, Affine(fixed_to_moving))
        return replace(self, transform=Chain(parts) if warp else parts[0], fixed_to_moving=fixed_to_moving)

    @cached_property
    def warp(self) -> DisplacementField:
        """The deformation without the affine, as displacements on the fixed grid, LPS mm.

        A fixed point p is mapped to p + u(p), and then by the affine to the moving image.
        """
        written = self.transform.members[0] if isinstance(self.transform, Chain) and self.transform.members else None
        if isinstance(written, DisplacementField) and written.grid == self.fixed.grid:
            return written  # as it was read back: see `as_written`
        whole = Chain((self.transform, Affine(self.fixed_to_moving).inverse()))
        return _displacement(whole, self.fixed.grid, self.deformation, is_fixed=True)

    @cached_property
    def inverse_warp(self) -> DisplacementField:
        """The inverse deformation, as displacements on the moving grid, LPS mm.

        A moving point p is mapped to p + u(p), and then by the inverse affine to the fixed image. At the voxels it is
        the inverse of `warp` to 0.001 mm. A warp that folds has none, and the inverse flow is taken.
        """
        affine = Affine(self.fixed_to_moving)
        try:
            inverse: Transform = Chain((affine.inverse(), self.warp.inverse()))
        except TransformError:
            inverse = self.transform.inverse()
        return _displacement(Chain((inverse, affine)), self.moving.grid, self.deformation, is_fixed=False)

    @property
    def parameters(self) -> Parameters:
        """Translation, rotation, scale and shear about the centre of the fixed grid."""
        return to_parameters(self.fixed_to_moving, self.fixed.grid.center_lps)

    @property
    def moved(self) -> np.ndarray:
        """The moving image on the fixed grid, ([t,] z, y, x) float32, linear interpolation; computed at each call."""
        return move(self.moving_series or self.moving, self.fixed, self.transform, threads=self.threads)

    def save(
        self,
        image: Path | None = None,
        transform: Path | None = None,
        *,
        interp: Interpolation = "linear",
        background: float = 0.0,
        dtype: OutputType = "float32",
        inverse: Path | None = None,
        warp: Path | None = None,
        inverse_warp: Path | None = None,
        jacobian: Path | None = None,
    ) -> None:
        """Write transforms first, images last; each file atomically.

        Parameters
        ----------
        image : path, optional
            MOVING on the grid of FIXED.
        transform : path, optional
            `.tfm`, `.txt`, `.mat`, `.lta`, `.fslmat`: the affine. `.h5`: all of it. `.nii`, `.nii.gz`: the deformation
            alone, as `warp` writes it.
        interp, background, dtype
            Of the images, as in `stnreg.apply_transform`.
        inverse : path, optional
            FIXED on the grid of MOVING.
        warp, inverse_warp : path, optional
            Displacements on the grid of FIXED or of MOVING, LPS mm, as in `RegistrationResult.warp`.
        jacobian : path, optional
            Natural logarithm of the Jacobian determinant of `warp`, without the affine, on the grid of FIXED.
        """
        if transform is not None:
            self._save_transform(transform)
        if warp is not None:
            save_warp(warp, self.warp, self.fixed, threads=self.threads)
        if inverse_warp is not None:
            save_warp(inverse_warp, self.inverse_warp, self.moving, threads=self.threads)
        if jacobian is not None:
            save_volume(jacobian, self.warp.log_jacobian(), like=self.fixed, threads=self.threads)
        a, b = self.fixed_series or self.fixed, self.moving_series or self.moving
        sampling: dict[str, Any] = {"interp": interp, "background": background, "dtype": dtype, "threads": self.threads}
        if inverse is not None:
            save_moved(inverse, a, self.moving, self.transform.inverse(), **sampling)
        if image is not None:
            save_moved(image, b, self.fixed, self.transform, **sampling)

    def _save_transform(self, path: Path) -> None:
        """Write what a transform file of that suffix can hold."""
        suffix = str(path).lower()
        if suffix.endswith((".nii", ".nii.gz")):
            save_warp(path, self.warp, self.fixed, threads=self.threads)
        elif suffix.endswith(".h5"):
            parts = Chain((self.warp, Affine(self.fixed_to_moving))) if self.deformation else self.transform
            save_h5(path, parts)
        else:
            save_transform(path, self.fixed_to_moving, fixed=self.fixed, moving=self.moving)


def _displacement(
    transform: Transform, grid: Grid, deformation: Deformation | None, *, is_fixed: bool
) -> DisplacementField:
    """Sample a deformation on the grid of an image: zero beyond the box of the frame, where it ends."""
    if deformation is None:
        return DisplacementField.zero(grid)
    frame_to_image = deformation.frame.to_fixed if is_fixed else deformation.frame.to_moving
    box = deformation.velocity.grid
    corners = apply_affine(grid.lps_to_index @ frame_to_image, box.corners_lps())
    low = np.clip(np.floor(corners.min(0)).astype(int), 0, grid.size)
    high = np.clip(np.ceil(corners.max(0)).astype(int) + 1, low, grid.size)
    vectors = np.zeros((3, *grid.shape), np.float32)
    if (high > low).all():
        (x0, y0, z0), (x1, y1, z1) = low.tolist(), high.tolist()
        shift = np.eye(4)
        shift[:3, 3] = low
        part = Grid((x1 - x0, y1 - y0, z1 - z0), grid.index_to_lps @ shift)
        vectors[:, z0:z1, y0:y1, x0:x1] = transform.to_displacement(part).vectors
    return DisplacementField(vectors, grid)


Registration = RegistrationResult
"""The name of `RegistrationResult` in earlier versions; it stays for scripts that use it."""
