"""The displacement between two scans of one head, symmetric in time and exact to hundredths of a millimetre.

Both images are moved halfway. The sum of squared differences over the brain is minimised over a cubic B-spline
displacement by Gauss-Newton, with a small bending energy. What differs in contrast is fitted along
(`stnreg.registration.series.contrast`). With the images exchanged the displacement changes its sign.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from stnreg.core.itk import has_itk
from stnreg.geometry.grid import Grid
from stnreg.registration.series.contrast import contrast_difference
from stnreg.registration.series.lattice import Lattice, bending, block_sums, gather, solve, synthesize
from stnreg.resampling.by_scipy import at_indices

Array = np.ndarray
STEP_MM = 3.0  # the brain moves less near the skull than inside, within millimetres
BENDING = 0.01  # weight of the bending energy; the images are in units of contrast, coefficients in voxels
RIDGE = 1e-4
ROUNDS, SOLVER_STEPS, INFLUENCE_STEPS = 3, 20, 8
BLOCK_VOXELS = 16  # edge of the blocks whose errors are taken as independent
SLAB_VOXELS = 16  # of an image that is looked up at once


@dataclass(frozen=True, eq=False)
class Flow:
    """A displacement u: what is at x - u / 2 in the first image is at x + u / 2 in the second.

    Attributes
    ----------
    lattice : Lattice
    coefficients : (3, z, y, x) float32
        Of u; x, y, z components in voxels of the box.
    hessian : callable
        Applies the Gauss-Newton matrix to coefficients.
    preconditioner : (3, z, y, x) float32
        Its diagonal.
    pull : (3, z, y, x) float32
        Weighted gradient times residual at each voxel, which vanishes on average.
    """

    lattice: Lattice
    coefficients: Array
    hessian: Callable[[Array], Array]
    preconditioner: Array
    pull: Array

    @property
    def displacement(self) -> Array:
        """U at the voxels, (3, z, y, x) float32."""
        return self.lattice.field(self.coefficients)

    def error_of(self, mask: Array) -> float:
        """Return the standard error of the relative volume change of a region.

        The change is linear in the data near the solution: every voxel adds its pull times an influence. Sums over
        blocks are taken as independent, so that noise and what the model does not explain both count.

        Parameters
        ----------
        mask : (z, y, x) float
            Share of each voxel that is in the region.
        """
        towards = np.stack([-np.gradient(mask.astype(np.float32), axis=axis) for axis in (2, 1, 0)])
        wanted = gather(block_sums(towards), self.lattice.coarse)
        influence = solve(self.hessian, wanted, self.preconditioner, INFLUENCE_STEPS)
        each = (self.pull * self.lattice.field(influence)).sum(0)
        edges = [np.arange(0, n, BLOCK_VOXELS) for n in each.shape]
        for axis, edge in enumerate(edges):
            each = np.add.reduceat(each, edge, axis=axis)
        return float(np.sqrt((each.astype(float) ** 2).sum()) / max(float(mask.sum()), 1e-6))


def flow_between(
    first: Array, second: Array, weight: Array, grid: Grid, floor: float, threads: int, first_share: float = 0.5
) -> Flow:
    """Estimate the displacement between two images on one grid.

    Parameters
    ----------
    first, second : (z, y, x) float32
        In units of contrast: CSF is 0, the typical brain is 1.
    weight : (z, y, x) float32
        How much each voxel counts.
    grid : Grid
        Isotropic.
    floor : float
        Intensity of CSF in units of contrast.
    threads : int
    first_share : float
        Weight of the first image in the mean of both (`weight_of_first`).
    """
    lattice = Lattice(grid.shape, STEP_MM / float(grid.spacing.mean()))
    found = lattice.zeros()
    for _ in range(ROUNDS):
        mean, left = _met(first, second, lattice.field(found) / 2, threads, first_share)
        pull, products = _residuals(mean, left, weight, grid, floor)
        apply, diagonal = _normal(products, lattice)
        rhs = gather(block_sums(pull), lattice.coarse) - BENDING * bending(found) - RIDGE * found
        found = found + solve(apply, rhs, diagonal, SOLVER_STEPS)
    return Flow(lattice, found, apply, diagonal, pull)


def _met(first: Array, second: Array, half: Array, threads: int, first_share: float) -> tuple[Array, Array]:
    """Return the mean of both images where they meet, and the second less the first."""
    a, b = warped(first, -half, threads), warped(second, half, threads)
    return np.float32(first_share) * a + np.float32(1 - first_share) * b, b - a


def _residuals(
    mean: Array, left: Array, weight: Array, grid: Grid, floor: float
) -> tuple[Array, dict[tuple[int, int], Array]]:
    """Return the weighted gradient times what is left between the images, (3, z, y, x), and the products of slopes.

    A function of its own, so that what it needs on the way is let go: some twenty images.
    """
    left = contrast_difference(mean, left, weight, grid, floor) - left
    gradient = np.empty((3, *mean.shape), np.float32)
    for k, axis in enumerate((2, 1, 0)):
        gradient[k] = np.gradient(mean, axis=axis)
    weighted = weight * gradient
    products = {(i, j): block_sums(weighted[i] * gradient[j]) for i in range(3) for j in range(i, 3)}
    weighted *= left
    return weighted, products


def warped(image: Array, displacement: Array, threads: int) -> Array:
    """Look an image up at x + u(x), by linear interpolation; edges are repeated.

    Parameters
    ----------
    image : (z, y, x) float32
    displacement : (3, z, y, x) float32
        x, y, z components, in voxels.
    threads : int
    """
    if not has_itk():
        z, y, x = (np.arange(count) for count in image.shape)
        index = np.stack([displacement[0] + x, displacement[1] + y[:, None], displacement[2] + z[:, None, None]])
        return at_indices(image.astype(np.float32), index, "linear", None)
    import SimpleITK as sitk

    whole = sitk.GetImageFromArray(image.astype(np.float32))
    resampler = sitk.ResampleImageFilter()
    resampler.SetInterpolator(sitk.sitkLinear)
    resampler.SetUseNearestNeighborExtrapolator(True)
    resampler.SetOutputPixelType(sitk.sitkFloat32)
    resampler.SetNumberOfThreads(threads)
    found = np.empty(image.shape, np.float32)
    for start in range(0, len(image), SLAB_VOXELS):  # ITK wants float64 vectors, three times over
        part = np.moveaxis(displacement[:, start : start + SLAB_VOXELS], 0, -1).astype(np.float64, order="C")
        vectors = sitk.GetImageFromArray(part, isVector=True)
        vectors.SetOrigin((0.0, 0.0, float(start)))
        resampler.SetSize(part.shape[2::-1])
        resampler.SetOutputOrigin(vectors.GetOrigin())
        resampler.SetTransform(sitk.DisplacementFieldTransform(vectors))
        found[start : start + SLAB_VOXELS] = sitk.GetArrayFromImage(resampler.Execute(whole))
    return found


def volume_factor(displacement: Array) -> Array:
    """Return det(1 + du/dx), (z, y, x) float32, by central differences; u in voxels."""
    j = [[np.gradient(displacement[i], axis=axis) for axis in (2, 1, 0)] for i in range(3)]
    for i in range(3):
        j[i][i] = j[i][i] + 1
    minor = [j[1][1] * j[2][2] - j[1][2] * j[2][1], j[1][0] * j[2][2] - j[1][2] * j[2][0]]
    last = j[1][0] * j[2][1] - j[1][1] * j[2][0]
    return np.asarray(j[0][0] * minor[0] - j[0][1] * minor[1] + j[0][2] * last, np.float32)


def _normal(products: dict[tuple[int, int], Array], lattice: Lattice) -> tuple[Callable[[Array], Array], Array]:
    """Return the Gauss-Newton matrix, and its diagonal."""

    def apply(coefficients: Array) -> Array:
        field = synthesize(coefficients, lattice.coarse)
        out = np.stack([sum(products[min(i, j), max(i, j)] * field[j] for j in range(3)) for i in range(3)])
        return gather(out, lattice.coarse) + BENDING * bending(coefficients) + RIDGE * coefficients

    z, y, x = (b**2 for b in lattice.coarse)
    own = np.concatenate([gather(products[k, k][None], (z, y, x)) for k in range(3)])
    return apply, own + 30 * BENDING + RIDGE  # 30: about the diagonal of `bending`
