"""Mean centroids and volumes of structures, and of the groups of them that the pose network maps."""

from pathlib import Path

import numpy as np

from stnreg.core.structures import GROUP_OF, GROUPS, mirror_index
from stnreg.training.anatomy.pack import class_centroids, mean_present


def group_mirror() -> np.ndarray:
    """Return, for each group, the index of the same group on the other side."""
    mirror = mirror_index()
    return np.array([GROUP_OF[mirror[int(np.flatnonzero(g == GROUP_OF)[0])]] for g in range(len(GROUPS))])


def rows(points: np.ndarray) -> list[list[float] | None]:
    """Return points as JSON can hold them: None where a row is NaN, else three numbers."""
    return [None if np.isnan(p).any() else [round(float(v), 3) for v in p] for p in points]


def mean_volumes(folder: Path, names: list[str], *, grouped: bool) -> list[float | None]:
    """Return the mean volume in the template of every structure, or group of them, mm3; None for the background."""
    count = len(GROUPS) if grouped else len(GROUP_OF)
    found = []
    for name in names:
        with np.load(folder / f"{name}.npz") as arrays:
            classes = GROUP_OF[arrays["classes"]] if grouped else arrays["classes"]
            voxel_mm3 = 1 / abs(np.linalg.det(arrays["template_to_index"]))
            found.append(np.bincount(classes.ravel().astype(np.int64), minlength=count) * voxel_mm3)
    volumes = np.array(found)
    present = np.maximum((volumes > 0).sum(0), 1)
    return [None, *(round(float(v), 1) for v in (volumes.sum(0) / present)[1:])]


def group_template(folder: Path, names: list[str]) -> np.ndarray:
    """Return the symmetric mean centroid of every group, (groups, 3) template LPS mm; NaN for the background.

    Parameters
    ----------
    folder : Path
        Packed subjects.
    names : list of str
        The training subjects among them.
    """
    lps_to_ras = np.diag([-1.0, -1, 1, 1])
    found = []
    for name in names:
        with np.load(folder / f"{name}.npz") as arrays:
            groups = GROUP_OF[arrays["classes"]].astype(np.uint8)
            # `class_centroids` takes RAS matrices and returns LPS points; template points are LPS.
            index_to_template = lps_to_ras @ np.linalg.inv(arrays["template_to_index"])
            found.append(class_centroids(groups, index_to_template)[: len(GROUPS)])
    mean = mean_present(found)
    mean = (mean + mean[group_mirror()] * (-1, 1, 1)) / 2
    mean[0] = np.nan
    return mean
