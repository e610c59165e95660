"""The result of a registration: the transform, whether it is accepted, and the images that it moves."""

import os
from dataclasses import dataclass, field, replace

import numpy as np

from stnreg.geometry.affine import Parameters, invert, to_parameters
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.models.card import Weights
from stnreg.registration.deformable.stage import Deformation
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.quality import Verdict
from stnreg.registration.refine.refinement import Refined
from stnreg.resampling.apply import OutputType, move, save_moved
from stnreg.resampling.resample import Interpolation
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.files import save_transform


@dataclass(frozen=True, eq=False)
class RegistrationResult:
    """The result of one pair.

    Attributes
    ----------
    transform : Transform
        Takes fixed points to moving points, LPS mm; non-linear after a deformation.
    fixed_to_moving : (4, 4) float64
        Its affine part, LPS mm, as ITK writes it: all of `transform` where nothing was deformed.
    fixed, moving : Volume
        As loaded.
    options : RegistrationOptions
        As asked for.
    model : Weights
        The network that was used.
    verdict : Verdict
        Whether the registration is accepted, and why not.
    timings_s : dict
        Wall time by stage, seconds.
    warnings : tuple of str
    refined : Refined or None
        What the refinement did; None where there was none.
    deformation : Deformation or None
        What the deformable stage did; None where there was none.
    fixed_series, moving_series : Volume or None
        All volumes of a 4-D image: what is resampled, where `fixed` and `moving` are what was registered.
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
        """Degrees of freedom of the transform: fewer than asked for where the overlap does not support them."""
        return self.refined.dof if self.refined else self.options.dof

    @property
    def device(self) -> str:
        """Where the network ran, as asked for."""
        return self.options.device

    @property
    def threads(self) -> int:
        """Threads that were used."""
        return self.options.thread_count

    def with_matrix(self, fixed_to_moving: Matrix) -> "RegistrationResult":
        """Return an affine result with another matrix, (4, 4) LPS mm: as it was read back from a file."""
        return replace(self, transform=Affine(fixed_to_moving), fixed_to_moving=fixed_to_moving)

    def warp(self, moving_grid: bool = False) -> DisplacementField:
        """Return the deformation without the affine, as displacements on the fixed grid, LPS mm.

        A fixed point p goes to p + u(p), and from there through the affine to the moving image. With `moving_grid` the
        inverse: a moving point goes to p + u(p), and from there through the inverse affine to the fixed image.
        """
        affine = Affine(self.fixed_to_moving)
        if moving_grid:
            return Chain((self.transform.inverse(), affine)).to_displacement(self.moving.grid)
        return Chain((self.transform, affine.inverse())).to_displacement(self.fixed.grid)

    @property
    def parameters(self) -> Parameters:
        """Translation, rotation, scale and shear about the middle of the fixed grid."""
        return to_parameters(self.fixed_to_moving, self.fixed.grid.center_lps)

    @property
    def moved(self) -> np.ndarray:
        """The moving image on the fixed grid, linear, ([t,] z, y, x) float32; sampled anew at each call."""
        return move(self.moving_series or self.moving, self.fixed, self.fixed_to_moving, threads=self.threads)

    def save(
        self,
        image: str | os.PathLike[str] | None = None,
        transform: str | os.PathLike[str] | None = None,
        *,
        interp: Interpolation = "linear",
        background: float = 0.0,
        dtype: OutputType = "float32",
        inverse: str | os.PathLike[str] | None = None,
    ) -> None:
        """Write the transform, then FIXED brought to MOVING, then the moved image; each whole or not at all."""
        if transform is not None:
            save_transform(transform, self.fixed_to_moving, fixed=self.fixed, moving=self.moving)
        a, b = self.fixed_series or self.fixed, self.moving_series or self.moving
        for path, pulled, onto, matrix in (
            (inverse, a, self.moving, invert(self.fixed_to_moving)),
            (image, b, self.fixed, self.fixed_to_moving),
        ):
            if path is not None:
                save_moved(
                    path,
                    pulled,
                    onto,
                    matrix,
                    interp=interp,
                    background=background,
                    dtype=dtype,
                    threads=self.threads,
                )


Registration = RegistrationResult
"""The name of `RegistrationResult` in earlier versions; it stays for scripts that use it."""
