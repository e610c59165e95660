"""What an anatomy network's registration hands to the deformation."""

from dataclasses import replace

import numpy as np
import pytest

from stnreg.registration.by_anatomy import shows_one_person
from stnreg.registration.refine.refined import CORRELATION, INFORMATION, SIMULATED, Refined

REFINED = Refined(
    fixed_to_moving=np.eye(4), improved=True, dof=6, same_person=True, same_contrast=False, local_correlation=0.9,
    start_correlation=0.8, overlap=1.0, residual=0.1, motion_mm=1.0, mirror_gain=None, steps=(1, 1, 1), timings_s={},
)  # fmt: skip


@pytest.mark.parametrize(
    ("similarity", "same_person", "shown"),
    [(CORRELATION, True, True), (SIMULATED, True, True), (INFORMATION, True, False), (CORRELATION, False, False)],
)
def test_a_deformation_follows_one_person_where_local_correlation_shows_it(similarity, same_person, shown):
    assert shows_one_person(replace(REFINED, similarity=similarity, same_person=same_person)) is shown
