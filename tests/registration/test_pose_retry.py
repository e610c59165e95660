"""Pairs with a wrong pose of one image, corrected by the pose retry."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import stnreg
from stnreg.geometry.affine import Parameters, from_parameters, invert, mean_error_mm
from stnreg.images.volume import Volume, load_volume
from stnreg.registration.anatomy.encode import encode_from
from stnreg.registration.by_anatomy import AnatomyRegistration
from stnreg.registration.encoding import encode
from stnreg.registration.findings import Findings
from stnreg.registration.pose_retry import needs_pose_retry
from stnreg.registration.quality import Verdict
from stnreg.resampling.resample import resample
from stnreg.transforms.affine import Affine

EXAMPLES = Path(__file__).parents[2] / "examples"
MOVE = from_parameters(Parameters((9, -12, 7), (20, -15, 10)), (0, 0, 0))


@pytest.fixture(scope="module")
def head() -> Volume:
    return load_volume(EXAMPLES / "fixed.nii.gz")


@pytest.fixture(scope="module")
def same(head) -> Volume:
    """The same head, moved."""
    array = resample(head.array.astype(np.float32), head.grid, head.grid, invert(MOVE))
    return Volume(array, head.grid, path="same")


def _taken_for_upside_down(monkeypatch, which: int) -> None:
    """Encode one of the images from an upside-down pose."""
    encode = AnatomyRegistration._encode

    def encoded(self, pair, threads, deadline):
        encodings = list(encode(self, pair, threads, deadline))
        upside_down = encodings[which].template_to_lps @ np.diag([-1.0, 1.0, -1.0, 1.0])
        encodings[which] = encode_from(pair.means[which], upside_down, self.encoder.model)
        return tuple(encodings)

    monkeypatch.setattr(AnatomyRegistration, "_encode", encoded)


@pytest.mark.parametrize("which", [0, 1])
def test_a_wrong_pose_of_one_image_is_corrected(head, same, which, monkeypatch):
    _taken_for_upside_down(monkeypatch, which)
    found = stnreg.register(head, same, threads=2)
    assert found.verdict.passed
    assert "second look" in found.timings_s
    assert mean_error_mm(found.fixed_to_moving, MOVE, head.grid.corners_lps()) < 0.3


def test_two_people_stay_rejected(head, monkeypatch):
    _taken_for_upside_down(monkeypatch, 1)
    found = stnreg.register(head, EXAMPLES / "moving.nii.gz", threads=2)
    assert not found.verdict.passed
    assert "second look" in found.timings_s


def test_no_pose_retry_if_accepted_or_with_an_initial_transform(head, same, monkeypatch):
    assert "second look" not in stnreg.register(head, same, threads=2).timings_s
    _taken_for_upside_down(monkeypatch, 1)
    for given in ({"init": "header"}, {"refine": False}):
        found = stnreg.register(head, same, threads=2, **given)
        assert not found.verdict.passed
        assert "second look" not in found.timings_s


def test_after_the_time_is_up_no_other_pose_is_tried_and_it_is_said(head, same, monkeypatch):
    _taken_for_upside_down(monkeypatch, 1)
    found = stnreg.register(head, same, threads=2, max_seconds=1e-3)
    assert not found.verdict.passed
    assert "second look" not in found.timings_s
    assert "the time was up (0.001 s)" in found.verdict.reasons[-1]


def test_time_that_is_up_does_not_reject_what_is_right(head, same):
    found = stnreg.register(head, same, threads=2, max_seconds=1e-3)
    assert found.verdict.passed
    assert found.verdict.reasons == ()


@pytest.mark.parametrize(("score", "tried"), [(0.9, False), (0.5, True)])
def test_structures_that_agree_show_that_the_pose_was_right(head, score, tried):
    seen = encode(head).encoding
    part = replace(seen, volumes_mm3=seen.volumes_mm3 / 3, fit_residual_mm=seen.calibration.accept_mm * 1.1)
    refined = SimpleNamespace(same_person=False, mirrored=False)
    verdict = Verdict(False, score, ("the local correlation is low",))
    found = Findings(Affine(np.eye(4)), np.eye(4), verdict, (seen, part), refined)
    assert needs_pose_retry(found) is tried
