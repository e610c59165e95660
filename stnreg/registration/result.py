"""The result of a registration: transform, quality assessment, and the images."""

import os
from dataclasses import dataclass, field, replace

import numpy as np

from stnreg.geometry.affine import Parameters, invert, to_parameters
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.models.card import Weights
from stnreg.registration.options import RegistrationOptions
from stnreg.registration.quality import Verdict
from stnreg.registration.refine.refinement import Refined
from stnreg.resampling.apply import OutputType, move, save_moved
from stnreg.resampling.resample import Interpolation
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.io.files import save_transform


@dataclass(frozen=True, eq=False)
class RegistrationResult:
    """The result of one pair.

    Attributes
    ----------
    transform : Transform
        Maps fixed points to moving points, LPS mm.
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
    fixed_series, moving_series : Volume or None
        All volumes of a 4-D image. They are resampled; `fixed` and `moving` are the volumes that were registered.
    """

    transform: Transform
    fixed: Volume
    moving: Volume
    options: RegistrationOptions
    model: Weights
    verdict: Verdict
    timings_s: dict[str, float] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    refined: Refined | None = None
    fixed_series: Volume | None = None
    moving_series: Volume | None = None

    @property
    def fixed_to_moving(self) -> Matrix:
        """The affine, (4, 4) float64: fixed LPS points to moving LPS points, mm, as ITK writes it."""
        matrix = self.transform.matrix
        assert matrix is not None
        return matrix

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

    def with_matrix(self, fixed_to_moving: Matrix) -> "RegistrationResult":
        """Return the result with another affine, (4, 4) LPS mm, such as the one read back from its file."""
        return replace(self, transform=Affine(fixed_to_moving))

    @property
    def parameters(self) -> Parameters:
        """Translation, rotation, scale and shear about the centre of the fixed grid."""
        return to_parameters(self.fixed_to_moving, self.fixed.grid.center_lps)

    @property
    def moved(self) -> np.ndarray:
        """The moving image on the fixed grid, ([t,] z, y, x) float32, linear interpolation; computed at each call."""
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
        """Write the transform, the fixed image on the moving grid, and the moved image; each atomically."""
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
