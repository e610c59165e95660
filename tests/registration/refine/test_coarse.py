"""The coarse correlation tells one head under its pose from a wrong pose."""

import numpy as np

from stnreg.geometry.affine import Parameters, compose, from_parameters, invert
from stnreg.registration.refine.coarse import coarse_correlation
from stnreg.registration.refine.region import Region
from stnreg.resampling.block_mean import BlockMeans

POSE = from_parameters(Parameters((6, -9, 4), (8, -5, 12)), np.zeros(3))


def _side(head, pose):
    return BlockMeans(*head.scan(pose)), Region(head.brain(pose))


def test_one_head_correlates_under_its_pose_and_not_under_a_wrong_one(head):
    fixed, moving = _side(head, np.eye(4)), _side(head, POSE)
    upside_down = np.diag([-1.0, 1.0, -1.0, 1.0])
    assert coarse_correlation(fixed, moving, POSE) > 0.9
    assert coarse_correlation(fixed, moving, compose(POSE, upside_down)) < 0.7


def test_it_is_the_same_with_the_images_exchanged(head):
    fixed, moving = _side(head, np.eye(4)), _side(head, POSE)
    there, back = coarse_correlation(fixed, moving, POSE), coarse_correlation(moving, fixed, invert(POSE))
    assert abs(there - back) < 1e-3
