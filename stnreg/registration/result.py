"""The result of a registration: transform, quality assessment, and the images."""

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from stnreg.errors import TransformError
from stnreg.geometry.affine import Parameters, to_parameters
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume, save_volume
from stnreg.models.card import Weights
from stnreg.registration.deformable.on_image import Part
from stnreg.registration.deformable.stage import Deformation
from stnreg.registration.findings import Encodings
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.quality import Verdict
from stnreg.registration.refine.refined import Refined
from stnreg.resampling.apply import OutputType, move, save_moved
from stnreg.resampling.resample import Interpolation
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.inverse import Inverse
from stnreg.transforms.io.files import save_transform
from stnreg.transforms.io.h5 import save_h5
from stnreg.transforms.io.warp import save_warp

Path = str | os.PathLike[str]
INVERSE_MM = 1.25
"""Largest spacing of the inverse warp. Between voxels of 2 mm it would be 0.1 mm off."""


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
    encodings : tuple of Encoding, or None
        What the anatomy network found in fixed and moving; None for a pair network.
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
    encodings: Encodings | None = None

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
        found = self.deformation
        if found is None:
            return DisplacementField.zero(self.fixed.grid)
        if found.sampled is not None and found.sampled.parts[0].whole == self.fixed.grid:
            return found.sampled.parts[0].pasted(found.sampled.warps[0])
        part = Part.covered(self.fixed.grid, found.frame.to_fixed, found.velocity.grid)
        return part.sampled(Chain((self.transform, Affine(self.fixed_to_moving).inverse())))

    @cached_property
    def inverse_warp(self) -> DisplacementField:
        """The inverse deformation, as displacements on the moving grid, LPS mm, divided to at most `INVERSE_MM`.

        A moving point p is mapped to p + u(p), and then by the inverse affine to the fixed image. At the voxels it is
        the inverse of `warp` to 0.001 mm. A warp that folds has none, and the inverse flow is taken.
        """
        found = self.deformation
        grid = self.moving.grid.divided(INVERSE_MM)
        if found is None:
            return DisplacementField.zero(grid)
        affine, to_fixed = Affine(self.fixed_to_moving), Affine(found.frame.to_fixed)
        inverse: Transform = Chain((to_fixed.inverse(), found.velocity.inverse(), to_fixed))
        with suppress(TransformError):
            inverse = Inverse.of_field(self.warp, self.warp, guess=inverse)
        part = Part.covered(grid, found.frame.to_moving, found.velocity.grid)
        return part.sampled(Chain((affine.inverse(), inverse, affine)))

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
        spacing_mm: float | Sequence[float] | None = None,
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
        spacing_mm : float or (x, y, z), optional
            Voxel size of `image`, over the field of view of FIXED.
        """
        if transform is not None:
            self._save_transform(transform)
        if warp is not None:
            save_warp(warp, self.warp, self.fixed, threads=self.threads)
        if inverse_warp is not None:
            field = self.inverse_warp
            own = self.moving if field.grid == self.moving.grid else field.grid
            save_warp(inverse_warp, field, own, threads=self.threads)
        if jacobian is not None:
            save_volume(jacobian, self.warp.log_jacobian(), like=self.fixed, threads=self.threads)
        a, b = self.fixed_series or self.fixed, self.moving_series or self.moving
        sampling: dict[str, Any] = {"interp": interp, "background": background, "dtype": dtype, "threads": self.threads}
        if inverse is not None:
            save_moved(inverse, a, self.moving, self.transform.inverse(), **sampling)
        if image is not None:
            save_moved(image, b, self.fixed, self.transform, spacing_mm=spacing_mm, **sampling)

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


Registration = RegistrationResult
"""The name of `RegistrationResult` in earlier versions; it stays for scripts that use it."""
