"""Prepare two images of any size and orientation as the input cubes of a pair network."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from stnreg.errors import UsageProblem
from stnreg.geometry.affine import check_affine, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume
from stnreg.preprocessing.initial_transform import center_geometry
from stnreg.preprocessing.intensity import normalise
from stnreg.resampling.resample import resample

SIZE = 170  # voxels a side, the published setting
SPACING_MM = 1.5
Spacing = float | Literal["fov"]


@dataclass(frozen=True, eq=False)
class PreparedPair:
    """Two input cubes of a network, with their grids.

    Attributes
    ----------
    fixed, moving : (D, D, D) float32
        Intensities in [0, 1], on the two grids below.
    fixed_grid, moving_grid : Grid
        Cubes of the same size. `theta` = identity corresponds to `start`.
    start : (4, 4) float64
        Initial `fixed_to_moving`, LPS mm.
    """

    fixed: NDArray[np.float32]
    moving: NDArray[np.float32]
    fixed_grid: Grid
    moving_grid: Grid
    start: Matrix


def prepare_pair(
    fixed: Volume,
    moving: Volume,
    size: int = SIZE,
    spacing: Spacing = SPACING_MM,
    normalise: str = "minmax",
    initial: ArrayLike | None = None,
    threads: int | None = None,
) -> PreparedPair:
    """Resample two images to cubes; by default both are centred on their image.

    Parameters
    ----------
    fixed, moving : Volume
        The images as loaded.
    size : int
        Voxels along each axis of the cubes.
    spacing : float or "fov"
        One spacing for both cubes, mm; or `fov`, the other published rule: extent / size along each axis, so that each
        cube covers the field of view of its image.
    normalise : {"minmax", "percentile"}
        Intensity normalisation to [0, 1].
    initial : (4, 4) float64, optional
        Initial `fixed_to_moving`; by default the centres of the grids are aligned.
    threads : int, optional
        Of ITK.

    Returns
    -------
    PreparedPair
        Both cubes run along the LPS axes about their own centres. `initial` transforms the moving cube.
    """
    fixed_grid = cube_grid(fixed.grid, size, spacing)
    if initial is not None:
        start = check_affine(initial)
        moving_grid = Grid(fixed_grid.size, start @ fixed_grid.index_to_lps)
    elif spacing == "fov":
        moving_grid = cube_grid(moving.grid, size, spacing)
        start = moving_grid.index_to_lps @ invert(fixed_grid.index_to_lps)
    else:
        start = center_geometry(fixed.grid, moving.grid)
        moving_grid = Grid(fixed_grid.size, start @ fixed_grid.index_to_lps)
    return PreparedPair(
        fixed=prepare_image(fixed, fixed_grid, normalise, threads),
        moving=prepare_image(moving, moving_grid, normalise, threads),
        fixed_grid=fixed_grid,
        moving_grid=moving_grid,
        start=start,
    )


def cube_grid(grid: Grid, size: int = SIZE, spacing: Spacing = SPACING_MM) -> Grid:
    """Return a cube of voxels along the LPS axes about the centre of a grid.

    Parameters
    ----------
    grid : Grid
        Grid of the image.
    size : int
        Voxels along each axis.
    spacing : float or "fov"
        Spacing, mm; or the image's extent along each LPS axis (of its bounding box if oblique) / size.
    """
    if size < 2:
        raise UsageProblem(f"expected a cube of at least 2 voxels a side, got {size}")
    if spacing == "fov":
        return Grid.cube(grid.center_lps, size, np.ptp(grid.corners_lps(), axis=0) / size)
    if not float(spacing) > 0:
        raise UsageProblem(f"expected a spacing above 0 mm, or fov, got {spacing}")
    return Grid.cube(grid.center_lps, size, float(spacing))


def prepare_image(volume: Volume, cube: Grid, rule: str = "minmax", threads: int | None = None) -> NDArray[np.float32]:
    """Resample an image linearly to a cube, and normalise its intensities to [0, 1]: (D, D, D) float32.

    The background is the minimum of the image, so that padding is black for images with negative values too.
    """
    background = float(volume.array.min())
    cube_array = resample(volume.array, volume.grid, cube, np.eye(4), background=background, threads=threads)
    return normalise(cube_array, rule)
