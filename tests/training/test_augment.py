import math

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.networks.spatial_transformer import identity_theta  # noqa: E402
from stnreg.training.augment import augment, crop, curriculum, random_moves, step_generator, window  # noqa: E402
from stnreg.training.config import UNTOUCHED, AugmentConfig, MovesConfig  # noqa: E402


def test_a_step_draws_the_same_numbers_whenever_it_comes():
    first, again, other = (torch.rand(4, generator=step_generator(1, step)) for step in (7, 7, 8))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_curriculum_widens_and_ends():
    moves = MovesConfig(start_deg=10, rotation_deg=45, curriculum=0.5)
    amounts = [curriculum(moves, progress) * 45 for progress in (0, 0.25, 0.5, 1)]
    assert amounts == pytest.approx([10, 27.5, 45, 45])


def test_moves_stay_within_their_ranges():
    moves = MovesConfig(rotation_deg=45, translation_mm=30, scale=0, shear=0)
    theta = random_moves(step_generator(0, 0), 200, moves, half_edge_mm=128.0)
    trace = theta[:, [0, 1, 2], [0, 1, 2]].sum(1)
    angles_deg = torch.rad2deg(torch.arccos(((trace - 1) / 2).clamp(-1, 1)))
    assert 30 < float(angles_deg.max()) < 46
    assert float(theta[:, :, 3].abs().max()) * 128 <= 30
    assert torch.allclose(torch.det(theta[:, :, :3]), torch.ones(200), atol=1e-4)


def test_no_amount_is_no_move():
    theta = random_moves(step_generator(0, 0), 2, MovesConfig(), 128.0, amount=0.0)
    assert torch.allclose(theta, identity_theta(2))


def test_augmentation_changes_images_and_is_finite():
    images = torch.rand(4, 8, 8, 8)
    images[:, :2] = 0
    augmented = augment(images, step_generator(0, 0), AugmentConfig())
    assert torch.isfinite(augmented).all()
    assert not torch.equal(augmented, images)
    untouched = augment(images, step_generator(0, 0), UNTOUCHED)
    assert torch.equal(untouched, images)


def test_a_crop_empties_a_slab_at_one_side():
    images = torch.ones(20, 8, 8, 8)
    cropped = crop(images, step_generator(0, 0), AugmentConfig(crop=0.5, crop_probability=1.0))
    assert images.min() == 1
    for image in cropped:
        lost = 1 - float(image.mean())
        assert lost <= 0.5
        assert math.isclose(lost * 8, round(lost * 8), abs_tol=1e-5)


def test_a_window_keeps_an_upright_box_about_the_middle():
    windowed = window(torch.ones(20, 16, 16, 16), step_generator(0, 0), AugmentConfig(window=0.5, window_probability=1))
    assert float(windowed[:, 4:12, 4:12, 4:12].min()) == 1, "no axis loses more than half"
    assert torch.equal(windowed, windowed.flip(1, 2, 3)), "what one side loses the other loses, too"
    assert float(windowed[:, 8, 8].mean()) < 0.95
    untouched = window(torch.ones(20, 16, 16, 16), step_generator(0, 0), AugmentConfig(window_probability=0))
    assert float(untouched.min()) == 1
