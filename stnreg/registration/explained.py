"""Whether an image shows the structures that were found in it: a skull alone looks like a head too."""

import numpy as np

from stnreg.registration.anatomy.encoding import Encoding
from stnreg.registration.refine.region import box_mean
from stnreg.resampling.block_mean import BlockMeans
from stnreg.resampling.resample import resample

Array = np.ndarray
REACH_VOXELS = 2  # of the maps: what varies more slowly than over 5 voxels, some 26 mm, may be a bias field
BORDER_VOXELS = 1  # at the brain's border that are left out: the skull shows there without a brain
CLIPPED = 4.0  # medians of their size, at which intensities are clipped: edges of a hollow brain, vessels, artefacts


def explained_contrast(means: BlockMeans, encoding: Encoding) -> float:
    """Return the share of the variance inside the brain that the structure maps explain, 0 to 1, for any contrast.

    Image and maps are taken less their means over what surrounds a voxel, so that a bias field counts little. The
    image is then fitted by least squares with one intensity for each structure.

    Parameters
    ----------
    means : BlockMeans
        Of the image.
    encoding : Encoding
        Of the same image.
    """
    grid = encoding.maps_grid
    image = resample(*means.at(float(grid.spacing.min())), grid, np.eye(4))
    brain = (encoding.brain > 0.5).astype(np.float32)
    inside = box_mean(brain, [BORDER_VOXELS] * 3) > 0.999
    share = np.maximum(box_mean(brain, [REACH_VOXELS] * 3), np.float32(1e-3))

    def local(values: Array) -> Array:
        return (values - box_mean(values * brain, [REACH_VOXELS] * 3) / share)[inside]

    shown = local(image)
    maps = np.stack([local(one) for one in encoding.maps[1:]], 1)
    if len(shown) <= maps.shape[1]:
        return 0.0
    limit = CLIPPED * np.median(np.abs(shown))
    shown = np.clip(shown, -limit, limit).astype(np.float64)
    total = float(np.square(shown).sum())
    if not total > 0:
        return 0.0
    found = np.linalg.lstsq(maps.astype(np.float64), shown, rcond=1e-6)[0]
    return max(1.0 - float(np.square(shown - maps @ found).sum()) / total, 0.0)
