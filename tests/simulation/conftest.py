"""A small head as a label map: nested ellipsoids with FreeSurfer codes, lopsided on every axis."""

import numpy as np
import pytest

from stnreg.geometry.grid import Grid
from stnreg.images.volume import Volume, save_volume

SHELLS = (  # code, radii (mm), centre (mm)
    (516, (80, 95, 85), (0, 0, 0)),
    (515, (76, 91, 81), (0, 0, 0)),
    (24, (70, 85, 75), (0, 0, 0)),
    (3, (66, 80, 70), (0, 0, 0)),
    (2, (56, 70, 60), (0, 0, 0)),
    (41, (25, 45, 40), (-28, 0, 5)),
    (4, (10, 25, 14), (14, -5, 8)),
    (10, (12, 14, 10), (20, 18, -6)),
    (17, (8, 20, 8), (32, 8, -26)),
    (8, (30, 18, 18), (5, 52, -38)),
)


@pytest.fixture(scope="session")
def head_map() -> Volume:
    grid = Grid.cube((6, -4, 10), 64, 4.0, np.array([[1.0, 0, 0], [0, 0, -1.0], [0, -1.0, 0]]))
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij")[::-1], axis=-1)
    points = index @ grid.index_to_lps[:3, :3].T + grid.origin - (6, -4, 10)
    codes = np.zeros(grid.shape, np.int16)
    for code, radii, center in SHELLS:
        codes[(((points - center) / radii) ** 2).sum(-1) < 1] = code
    return Volume(codes, grid)


@pytest.fixture(scope="session")
def head_file(head_map, tmp_path_factory):
    path = tmp_path_factory.mktemp("anatomies") / "anatomy_01.nii.gz"
    save_volume(path, head_map.array, like=head_map, dtype="same")
    return path
