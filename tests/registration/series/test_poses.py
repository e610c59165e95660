from dataclasses import replace

import numpy as np

from stnreg.geometry.affine import Parameters, compose, from_parameters, nearest_dof
from stnreg.models.card import find
from stnreg.registration.anatomy.load import open_encoder
from stnreg.registration.encoding import encode
from stnreg.registration.series.poses import with_agreeing_poses


def test_a_visit_with_a_wrong_pose_is_encoded_again(visits):
    scans, maps = visits
    encoded = [encode(one, threads=1) for one in scans]
    right = encoded[2].encoding
    turned = compose(right.template_to_lps, from_parameters(Parameters(rotation_deg=(0, 0, 170)), np.zeros(3)))
    wrong = replace(encoded[2], encoding=replace(right, template_to_lps=turned, fit_residual_mm=9.0))
    model = open_encoder(find("anatomy"), 1, "cpu").model
    found = with_agreeing_poses([*encoded[:2], wrong], maps, model)
    assert found[:2] == encoded[:2]
    pose, truth = (nearest_dof(one.template_to_lps, np.zeros(3), 6) for one in (found[2].encoding, right))
    assert np.abs(pose - truth)[:3, :3].max() < 0.05
    assert np.corrcoef(found[2].encoding.maps[0].ravel(), right.maps[0].ravel())[0, 1] > 0.98
