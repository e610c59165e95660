"""A brain in closed form, as the anatomy network would have found it: a ball, with a smaller one for the ventricles."""

import numpy as np

from stnreg.geometry.affine import Parameters, apply_affine, from_parameters, invert
from stnreg.geometry.grid import Grid
from stnreg.reports.outlines import GROUPS, Outline

MOVED = from_parameters(Parameters((8.0, -6.0, 10.0), (0.0, 0.0, 12.0)), (5, -10, 20))
BRAIN_CENTER, BRAIN_RADIUS_MM = np.array([5.0, -10.0, 25.0]), 40.0


def brain(fixed_to_image=None) -> Outline:
    """Return its outline, (4, 4) moved where a transform is given."""
    matrix = np.eye(4) if fixed_to_image is None else fixed_to_image
    grid = Grid.cube(apply_affine(matrix, BRAIN_CENTER[None])[0], 32, 5.0)
    points = apply_affine(grid.index_to_lps, np.argwhere(np.ones(grid.shape))[:, ::-1])
    away = np.linalg.norm(apply_affine(invert(matrix), points) - BRAIN_CENTER, axis=1).reshape(grid.shape)
    maps = np.zeros((2 + len(GROUPS), *grid.shape), np.float32)
    maps[2] = np.clip((12 - away) / 5 + 0.5, 0, 1)
    maps[1] = np.clip((BRAIN_RADIUS_MM - away) / 5 + 0.5, 0, 1) - maps[2]
    maps[0] = 1 - maps[1] - maps[2]
    return Outline(maps, grid)
