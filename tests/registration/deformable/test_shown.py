"""Heads of different contrasts are compared as in T1 too; heads of one contrast are left as they are."""

from dataclasses import replace

import numpy as np
import pytest

from stnreg.registration.deformable.appearance import Appearance, AsT1
from stnreg.registration.deformable.frame import box
from stnreg.registration.deformable.instance import InstanceSettings
from stnreg.registration.deformable.meeting import Surroundings
from stnreg.registration.deformable.shown import T1_SHARE, comparable, in_t1_too
from stnreg.registration.deformable.velocity import smoothed

GRID = box((28, 32, 30), 2.0)
BRAIN = np.pad(np.ones([n - 12 for n in GRID.shape], bool), 6)
REGION = Surroundings.of(BRAIN, GRID)


def texture(seed=0):
    noise = np.random.default_rng(seed).standard_normal((1, *GRID.shape)).astype(np.float32)
    values = smoothed(noise, 1.2)[0]
    return (values - values.min()) / np.ptp(values)


class Synthesis:
    """Stands for a velocity network with a synthesis network, which makes one image of every head."""

    def __init__(self, made, synthesis="a network"):
        self.made, self.synthesis, self.asked = made, synthesis, 0

    def in_t1(self, head):
        self.asked += 1
        return as_t1(self.made)


def as_t1(image, certainty=1.0):
    return AsT1(image, np.full(GRID.shape, certainty, np.float32))


def head(image):
    return Appearance(image.astype(np.float32), BRAIN, np.zeros(GRID.shape, bool))


def other_contrast(image):
    return np.abs(image - np.median(image))


def test_heads_of_one_contrast_are_left_as_they_are():
    heads, network = (head(texture()), head(texture() ** 1.5)), Synthesis(texture())
    assert in_t1_too(heads, heads, network, REGION) is heads
    assert network.asked == 0


def test_without_a_synthesis_network_heads_are_left_as_they_are():
    heads = head(texture()), head(other_contrast(texture()))
    assert in_t1_too(heads, heads, Synthesis(texture(), None), REGION) is heads


def test_a_t1_head_keeps_its_detail_and_the_other_gets_what_the_network_makes():
    t1, other = head(texture()), head(other_contrast(texture()))
    made = texture() ** 1.2
    for heads, order in (((t1, other), 1), ((other, t1), -1)):
        first, second = in_t1_too(heads, heads, Synthesis(made), REGION)[::order]
        assert np.array_equal(first.in_t1.image, t1.image)
        assert (first.in_t1.certainty == 1).all()
        assert np.array_equal(second.in_t1.image, made)
        assert np.array_equal(second.image, other.image)


def test_two_t1_heads_that_hardly_correlate_are_left_as_they_are():
    heads = head(texture(0)), head(texture(1))

    class Copies(Synthesis):
        def in_t1(self, head):
            return as_t1(head.image)

    assert in_t1_too(heads, heads, Copies(None), REGION) is heads


def test_the_second_view_counts_where_contrasts_differ():
    t1, other = head(texture()), head(other_contrast(texture()))
    heads = in_t1_too((t1, other), (t1, other), Synthesis(texture()), REGION)
    first, second = comparable(heads, REGION, InstanceSettings())
    assert first.share == 0
    assert second.share == T1_SHARE
    inverted = head(1 - texture())  # as T2 is: followed by itself too
    heads = in_t1_too((t1, inverted), (t1, inverted), Synthesis(texture()), REGION)
    assert [view.share for view in comparable(heads, REGION, InstanceSettings())] == [1, T1_SHARE]


def test_one_view_counts_as_far_as_its_correlations_agree_in_sign():
    heads = head(texture()), head(other_contrast(texture()))
    for limits, share in (((0.8, 0.9), 0.0), (None, 1.0)):
        (view,) = comparable(heads, REGION, InstanceSettings(of_one_sign=limits))
        assert view.share == pytest.approx(share)


def test_exchanged_heads_exchange_the_views():
    t1, other = head(texture()), head(other_contrast(texture()))
    t1, other = (replace(one, in_t1=as_t1(texture(), level)) for one, level in ((t1, 1.0), (other, 0.6)))
    there, back = (
        comparable((t1, other), REGION, InstanceSettings()),
        comparable((other, t1), REGION, InstanceSettings()),
    )
    assert there[0].known is back[0].known is None
    assert np.array_equal(there[1].known, back[1].known)
    for a, b in zip(there, back, strict=True):
        assert a.share == b.share
        assert np.array_equal(a.fixed, b.moving)
        assert np.array_equal(a.moving, b.fixed)


def test_images_in_t1_count_as_far_as_both_are_certain():
    t1, other = head(texture()), head(other_contrast(texture()))
    heads = replace(t1, in_t1=as_t1(texture())), replace(other, in_t1=as_t1(texture(), 0.36))
    as_scanned, as_in_t1 = comparable(heads, REGION, InstanceSettings())
    assert as_scanned.known is None
    assert as_in_t1.known == pytest.approx(np.full(REGION.grid.shape, 0.6), rel=1e-6)
