"""The pose of each visit: where its own is wrong, that which the other visits give it."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from stnreg.geometry.affine import compose, invert, nearest_dof
from stnreg.geometry.matrix import Matrix
from stnreg.preprocessing.conditioning import conditioned
from stnreg.registration.anatomy.encode import encode_from
from stnreg.registration.anatomy.encoded import EncodedImage
from stnreg.registration.anatomy.encoding import AnatomyModel
from stnreg.resampling.block_mean import BlockMeans

FAR_DEG = 20.0  # between two poses of one head: one of them is wrong


def with_agreeing_poses(
    visits: Sequence[EncodedImage], common_to_visit: Sequence[Matrix], model: AnatomyModel
) -> list[EncodedImage]:
    """Encode visits again whose pose is far from that of the visit whose structures fit best.

    The pose of a slab may be wrong, though a second look at its pairs has found their transforms. It would turn the
    mean space, and its structures and its brain would lie elsewhere.

    Parameters
    ----------
    visits : sequence of EncodedImage
        Of one head.
    common_to_visit : sequence of (4, 4) float64
        In agreement, LPS mm.
    model : AnatomyModel
        The networks that encoded them.
    """
    best = int(np.argmin([one.encoding.fit_residual_mm for one in visits]))
    template_to_common = compose(invert(common_to_visit[best]), visits[best].encoding.template_to_lps)
    found = []
    for visit, to_visit in zip(visits, common_to_visit, strict=True):
        pose = nearest_dof(compose(to_visit, template_to_common), np.zeros(3), 7)
        if _turn_deg(visit.encoding.template_to_lps, pose) > FAR_DEG:
            means = BlockMeans(*conditioned((visit.volume.array, visit.volume.grid)))
            visit = replace(visit, encoding=encode_from(means, pose, model))
        found.append(visit)
    return found


def _turn_deg(a: Matrix, b: Matrix) -> float:
    """Return the angle between two poses."""
    a, b = (nearest_dof(one, np.zeros(3), 6)[:3, :3] for one in (a, b))
    return float(np.degrees(np.arccos(np.clip((np.trace(a.T @ b) - 1) / 2, -1, 1))))
