"""The whole stage on the example pair with the released network: inverse, exchange, threads, and a lesion."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import stnreg
from stnreg.geometry.affine import apply_affine
from stnreg.geometry.grid import Grid
from stnreg.registration.anatomy.load import open_encoder
from stnreg.registration.deformable import stage
from stnreg.registration.deformable.stage import Deform
from stnreg.registration.deformable.velocity import VelocityNetwork, find_velocity_network
from stnreg.registration.options import ONE_PERSON_STIFFNESS_MM, TWO_PEOPLE_STIFFNESS_MM
from stnreg.registration.pair import ImagePair
from stnreg.resampling.warp import resample_through
from stnreg.transforms.affine import Affine
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.sampling import voxel_points

EXAMPLES = Path(__file__).parents[3] / "examples"


class Example:
    """The example pair, encoded and registered once, deformed as often as is asked."""

    def __init__(self):
        self.fixed, self.moving = (stnreg.encode(EXAMPLES / f"{n}.nii.gz", threads=1) for n in ("fixed", "moving"))
        self.affine = stnreg.register(self.fixed, self.moving, refine=False, threads=1).fixed_to_moving
        self.heads = open_encoder(self.fixed.model, 1, "auto").model.fine
        self.found = self.deform(self.fixed, self.moving, self.affine)

    def deform(self, fixed, moving, affine, threads=1, masks=None, one_person=False):
        network = find_velocity_network("velocity", threads, "cpu")
        stiffness_mm = ONE_PERSON_STIFFNESS_MM if one_person else TWO_PEOPLE_STIFFNESS_MM
        deform = Deform((fixed.encoding, moving.encoding), self.heads, network, stiffness_mm, threads, one_person)
        return deform(ImagePair(fixed.volume, moving.volume, masks or {}), Affine(affine)).findings

    @property
    def brain_points(self):
        maps, grid = self.fixed.encoding.brain, self.fixed.encoding.maps_grid
        return apply_affine(grid.index_to_lps, np.argwhere(maps > 0.5)[::7, ::-1].astype(float))


@pytest.fixture(scope="module")
def example():
    return Example()


def off_mm(there, back, points):
    return np.linalg.norm(back.map_points(there.map_points(points)) - points, axis=1)


def there_and_back_mm(example):
    """Errors of forward then inverse and of inverse then forward, inside the brain, mm."""
    transform, points = example.found.transform, example.brain_points
    inverse = transform.inverse()
    moved = transform.map_points(points)
    return off_mm(transform, inverse, points), off_mm(inverse, transform, moved)


def test_there_and_back_stays_within_the_voxel(example):
    for off in there_and_back_mm(example):
        assert off.mean() <= 0.2
        assert off.max() <= 1.0


@pytest.mark.xfail(reason="flows are trilinear between voxels of 2 mm, which leaves 0.07 mm", strict=True)
def test_there_and_back_is_the_identity(example):
    for off in there_and_back_mm(example):
        assert off.mean() <= 0.05
        assert off.max() <= 0.3


def test_it_deforms_without_folds_and_brings_structures_together(example):
    found = example.found
    assert found.folds_central == found.folds_digital == 0
    assert found.agreement_after >= found.agreement_before
    assert 0 < found.largest_mm < 40


def test_the_network_looks_again_where_the_heads_have_met(example, monkeypatch):
    looked, predict = [], VelocityNetwork.predict

    def watched(network, fixed, moving, *, mirrored=False):
        difference = float(np.abs(fixed.image - moving.image)[fixed.brain & moving.brain].mean())
        looked.append((difference, mirrored))
        return predict(network, fixed, moving, mirrored=mirrored)

    monkeypatch.setattr(VelocityNetwork, "predict", watched)
    example.deform(example.fixed, example.moving, example.affine)
    (first, first_mirrored), (second, second_mirrored) = looked
    assert second < 0.9 * first
    assert (first_mirrored, second_mirrored) == (False, True)


def of_another_order(encoded):
    """Show a head in a contrast in which white matter is darker than grey and brighter than fluid, like FLAIR."""
    array = encoded.volume.array.astype(np.float32)
    top = np.percentile(array, 99)
    other = np.interp(array / top, (0, 0.15, 0.55, 0.8, 1.5), (0, 0.1, 1.0, 0.7, 0.6)).astype(np.float32)
    return replace(encoded, volume=replace(encoded.volume, array=other * top))


def test_two_contrasts_are_deformed_nearly_as_one_is(example, monkeypatch):
    moving, points = of_another_order(example.moving), example.brain_points
    truth = example.found.transform.map_points(points)

    compared = []

    def off_by_mm():
        found = example.deform(example.fixed, moving, example.affine)
        compared.append(found.compared_in_t1)
        return np.linalg.norm(found.transform.map_points(points) - truth, axis=1).mean()

    with_views = off_by_mm()
    monkeypatch.setattr(stage, "in_t1_too", lambda heads, *_: heads)
    assert with_views < 0.9 * off_by_mm()
    assert compared == [True, False]
    assert not example.found.compared_in_t1


def test_one_person_is_followed_by_the_intensities_alone(example, monkeypatch):
    monkeypatch.setattr(VelocityNetwork, "predict", lambda *_, **__: pytest.fail("the network knows two people"))
    volume = example.fixed.volume
    points = voxel_points(volume.grid)
    off = points - apply_affine(example.fixed.encoding.template_to_lps, np.zeros(3))[:, None, None, None]
    bump = np.exp(-0.5 * np.square(off).sum(0) / 35**2)
    bend = DisplacementField(np.array([5.0, -4, 4])[:, None, None, None] * bump, volume.grid)
    bent = resample_through(volume.array, volume.grid, volume.grid, bend, interp="linear")
    found = example.deform(
        replace(example.fixed, volume=replace(volume, array=bent)), example.fixed, np.eye(4), one_person=True
    )
    at, far = example.brain_points, np.linalg.norm(bend.map_points(example.brain_points) - example.brain_points, axis=1)
    error = np.linalg.norm(found.transform.map_points(at) - bend.map_points(at), axis=1)
    assert far.mean() > 1.5
    assert error.mean() < 0.1 * far.mean()


def test_exchanged_images_give_the_inverse(example):
    swapped = example.deform(example.moving, example.fixed, np.linalg.inv(example.affine))
    points = example.found.transform.map_points(example.brain_points)
    apart = swapped.transform.map_points(points) - example.found.transform.inverse().map_points(points)
    assert np.linalg.norm(apart, axis=1).mean() < 0.1
    assert np.abs(swapped.velocity.vectors + example.found.velocity.vectors).max() < 0.5


def test_threads_change_no_byte(example):
    two = example.deform(example.fixed, example.moving, example.affine, threads=2)
    assert two.velocity.vectors.tobytes() == example.found.velocity.vectors.tobytes()


def test_an_excluded_lesion_does_not_drive_the_field(example):
    volume = example.fixed.volume
    middle = apply_affine(example.fixed.encoding.template_to_lps, np.array([25.0, 0.0, 10.0]))
    z, y, x = np.indices(volume.grid.shape)
    points = apply_affine(volume.grid.index_to_lps, np.stack([x, y, z], -1).reshape(-1, 3).astype(float))
    lesion = (np.linalg.norm(points - middle, axis=1) < 12).reshape(volume.grid.shape)
    masks = {"fixed_exclude": (lesion.astype(np.uint8), Grid(volume.grid.size, volume.grid.index_to_lps))}
    fields = []
    for inside in (0.0, 3.0):
        array = volume.array.astype(np.float32)
        array[lesion] = inside * array.max()
        other = replace(example.fixed, volume=replace(volume, array=array))
        fields.append(example.deform(other, example.moving, example.affine, masks=masks).velocity.vectors)
    assert np.abs(fields[0] - fields[1]).max() < 0.05
