"""In every kind of pair the truth takes what is in the fixed image to the same thing in the moving image."""

import numpy as np
import pytest

from stnreg.geometry.affine import to_parameters
from stnreg.images.volume import save_volume
from stnreg.resampling.resample import resample
from stnreg.simulation.build import build_recipe
from stnreg.simulation.dataset import plan_pair

ONE = (1, 0, 0)


def make(recipe, seed=3, number=0):
    return recipe.paint(plan_pair(recipe, "train", number, seed), np.random.default_rng([seed, number]))


def overlap(pair, fixed_to_moving):
    """Mean Dice of the labels that both have, the moving ones brought over."""
    grid = pair.fixed_labels.grid
    moved = resample(pair.moving_labels.array, pair.moving_labels.grid, grid, fixed_to_moving, interp="nearest")
    fixed = pair.fixed_labels.array
    codes = np.intersect1d(fixed[fixed > 0], pair.moving_labels.array)
    return np.mean([2 * ((fixed == c) & (moved == c)).sum() / ((fixed == c).sum() + (moved == c).sum()) for c in codes])


def correlation(pair, fixed_to_moving):
    moved = resample(pair.moving.array, pair.moving.grid, pair.fixed.grid, fixed_to_moving)
    inside = moved > 0
    return float(np.corrcoef(pair.fixed.array[inside], moved[inside])[0, 1])


@pytest.fixture(scope="module")
def scan_file(head_map, tmp_path_factory):
    path = tmp_path_factory.mktemp("scans") / "scan.nii.gz"
    image = np.array([0, 100, 60, 90, 30, 70, 80, 50])[head_map.array % 8].astype(np.float32)
    save_volume(path, image, like=head_map)
    return path


@pytest.mark.parametrize("kind", ["affine", "rotated", "translated", "rototranslated"])
def test_a_scan_is_moved_as_the_truth_says(kind, scan_file, head_file):
    pair = make(build_recipe(kind, ONE, images=[scan_file], labels=[head_file]))
    truth = pair.fixed_to_moving
    assert overlap(pair, truth) > 0.9 > overlap(pair, np.eye(4)) + 0.1
    assert correlation(pair, truth) > 0.9
    parameters = to_parameters(truth, pair.fixed.grid.center_lps)
    still = {
        "affine": [],
        "rotated": [*parameters.translation_mm, *np.subtract(parameters.scale, 1), *parameters.shear],
        "translated": [*parameters.rotation_deg, *np.subtract(parameters.scale, 1), *parameters.shear],
        "rototranslated": [*np.subtract(parameters.scale, 1), *parameters.shear],
    }[kind]
    assert np.allclose(still, 0, atol=1e-9)
    assert np.abs([parameters.rotation_deg, parameters.translation_mm]).max() <= 30


def test_both_images_have_their_own_noise(scan_file):
    still = {"rotation_deg": 0.0, "translation_mm": 0.0, "scale": 0.0, "shear": 0.0}
    pair = make(build_recipe("affine", ONE, images=[scan_file], ranges=still))
    assert np.array_equal(pair.fixed_to_moving, np.eye(4))
    assert not np.array_equal(pair.fixed.array, pair.moving.array)
    assert pair.fixed_labels is None


@pytest.mark.parametrize("number", range(3))
def test_heads_lie_as_the_truth_says(number, head_file):
    pair = make(build_recipe("heads", ONE, labels=[head_file], sizes=[64], contrasts=["t1"]), number=number)
    assert overlap(pair, pair.fixed_to_moving) > 0.75 > overlap(pair, np.eye(4)) + 0.1
    assert correlation(pair, pair.fixed_to_moving) > 0.8
    brain = pair.fixed_mask.array > 0
    assert np.array_equal(brain, (pair.fixed_labels.array > 0) & (pair.fixed_labels.array != 24))
    assert pair.fixed_labels.array.max() < 500


def test_contrasts_differ(head_file):
    recipe = build_recipe("heads", ONE, labels=[head_file], sizes=[64], contrasts=["t1", "t2"])
    pair = make(recipe)
    fluid, white = (pair.fixed_labels.array == 4), (pair.fixed_labels.array == 2)
    assert np.median(pair.fixed.array[white]) > 2 * np.median(pair.fixed.array[fluid])
    fluid, white = (pair.moving_labels.array == 4), (pair.moving_labels.array == 2)
    assert np.median(pair.moving.array[fluid]) > 1.5 * np.median(pair.moving.array[white])


def test_a_follow_up_is_one_person_on_another_grid(head_file):
    recipe = build_recipe("heads", (8, 0, 0), labels=[head_file], sizes=[64, 44], follow_up=True)
    plans = [plan_pair(recipe, "train", number, 0) for number in range(8)]
    assert {p.columns["brain_loss"] for p in plans} == {"0", "0.02"}
    assert {p.choices["sizes"] for p in plans} == {(64, 44), (44, 64)}
    pair = make(recipe)
    linear = pair.fixed_to_moving[:3, :3]
    assert np.allclose(linear.T @ linear, np.eye(3), atol=1e-9)
    assert {pair.fixed.grid.size[0], pair.moving.grid.size[0]} == {64, 44}
    assert overlap(pair, pair.fixed_to_moving) > 0.65


def test_cubes_lie_as_the_truth_says():
    pair = make(build_recipe("cubes", ONE, sizes=[64]))
    assert overlap(pair, pair.fixed_to_moving) > 0.6 > overlap(pair, np.eye(4))
    assert correlation(pair, pair.fixed_to_moving) > 0.85
    assert set(np.unique(pair.fixed_labels.array)) == {0, 1, 2, 3}
