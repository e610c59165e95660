"""Coefficients made ready, and their lattice."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from stnreg.errors import DataError
from stnreg.models.card import find
from stnreg.registration.deformable import velocity
from stnreg.registration.deformable.appearance import Appearance
from stnreg.registration.deformable.frame import box
from stnreg.registration.deformable.velocity import (
    find_velocity_network,
    lattice_of,
    prepared,
    smoothed,
)
from stnreg.transforms.bspline import BSplineField

GRID = box((16, 24, 20), 2.0)
LATTICE = lattice_of(GRID)
NOWHERE = np.zeros(LATTICE.shape, bool)


def coefficients(seed=0, size_mm=2.0):
    return (np.random.default_rng(seed).standard_normal((3, *LATTICE.shape)) * size_mm).astype(np.float32)


def test_the_lattice_lies_in_the_middle_of_blocks():
    assert LATTICE.shape == (8, 12, 10)
    assert np.allclose(LATTICE.center_lps, GRID.center_lps)
    assert np.allclose(LATTICE.spacing, 2 * GRID.spacing)


def test_the_velocity_ends_before_the_box():
    out = prepared(coefficients(), NOWHERE, 0.0, 4.0)
    edge = np.ones(LATTICE.shape, bool)
    edge[1:-1, 1:-1, 1:-1] = False
    assert not out[:, edge].any()
    field = BSplineField(prepared(np.full_like(coefficients(), 3.0), NOWHERE, 0.0, 4.0), LATTICE)
    vectors = field.to_displacement(GRID).vectors
    assert np.abs(vectors[:, 0]).max() < 0.5
    assert np.abs(vectors).max() <= 3.0001


@pytest.mark.parametrize("stiffness_mm", [0.0, 3.0])
def test_every_step_keeps_the_sign(stiffness_mm):
    excluded = NOWHERE.copy()
    excluded[3:5, 4:7, 3:6] = True
    there = prepared(coefficients(), excluded, stiffness_mm, 4.0)
    assert np.array_equal(prepared(-coefficients(), excluded, stiffness_mm, 4.0), -there)


def test_what_is_excluded_drives_nothing():
    excluded = NOWHERE.copy()
    excluded[3:5, 4:7, 3:6] = True
    other = coefficients()
    other[:, excluded] = 50.0
    for stiffness_mm in (0.0, 3.0):
        first, second = (prepared(c, excluded, stiffness_mm, 4.0) for c in (coefficients(), other))
        assert np.array_equal(first, second)


def test_smoothing_keeps_a_constant_and_halves_noise():
    assert np.allclose(smoothed(np.full((3, 8, 8, 8), 2.0, np.float32), 1.5), 2.0)
    noise = coefficients()
    assert smoothed(noise, 1.0).std() < 0.5 * noise.std()


def test_only_a_calibrated_velocity_network_is_found(tmp_path):
    with pytest.raises(DataError, match="expected a velocity network"):
        find_velocity_network("anatomy", 1, "cpu")
    for suffix in (".onnx", ".json"):
        shutil.copy(find("velocity").path.with_suffix(suffix), tmp_path / f"velocity{suffix}")
    sidecar = tmp_path / "velocity.json"
    card = json.loads(sidecar.read_text())
    for change, match in (({"calibration": {}}, "incomplete"), ({"shape": [80, 96]}, "three numbers")):
        sidecar.write_text(json.dumps({**card, **change}))
        with pytest.raises(DataError, match=match):
            find_velocity_network(str(tmp_path / "velocity.onnx"), 1, "cpu")


def test_a_look_in_the_mirror_is_a_look_at_heads_whose_sides_are_exchanged(monkeypatch):
    network = find_velocity_network("velocity", 1, "cpu")
    rng = np.random.default_rng(0)
    nowhere = np.zeros(GRID.shape, bool)
    heads = [Appearance(rng.random(GRID.shape, np.float32), ~nowhere, nowhere) for _ in range(2)]
    exchanged = [replace(head, image=head.image[..., ::-1]) for head in heads]

    def run(session, weights, given, *_, **__):
        fixed, moving = given["pair"][0][:, ::2, ::2, ::2]
        return np.stack([fixed - moving, fixed * moving, moving])[None]

    monkeypatch.setattr(velocity, "_kept_open", lambda *_: None)
    monkeypatch.setattr(velocity, "run_network", run)
    # A point on the left of the heads is one on the right of the exchanged, where x points the other way.
    x, y, z = network.predict(*exchanged)[..., ::-1]
    np.testing.assert_array_equal(network.predict(*heads, mirrored=True), np.stack([-x, y, z]))
    assert lattice_of(GRID).center_lps[0] == GRID.center_lps[0] == 0  # exchanged about the middle of the head


@pytest.mark.parametrize("channels", [1, 2])
def test_an_image_without_its_certainty_is_refused(monkeypatch, channels):
    network = find_velocity_network("velocity", 1, "cpu")
    shown = np.zeros(network.box.shape, np.float32)
    shown[20:30, 20:30, 20:30] = 0.5
    made = np.stack([np.full_like(shown, 2.0), np.full_like(shown, 0.4)])[None, :channels]
    monkeypatch.setattr(velocity, "_kept_open", lambda *_: None)
    monkeypatch.setattr(velocity, "run_network", lambda *_, **__: made)
    head = Appearance(shown, shown > 0, np.zeros(shown.shape, bool))
    if channels == 1:
        with pytest.raises(DataError, match=r"synthesis.onnx: expected an image and its certainty"):
            network.in_t1(head)
        return
    found = network.in_t1(head)
    assert set(np.unique(found.image)) == {0.0, 1.5}  # nothing where nothing is shown, and clipped
    assert (found.certainty == np.float32(0.4)).all()
