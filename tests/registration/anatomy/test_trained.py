"""The trained pair networks on held-out scans: a higher Dice than the initial transform."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from stnreg.geometry.affine import apply_affine, invert, mean_error_mm, random_affine
from stnreg.images.volume import load_volume
from stnreg.models.card import find
from stnreg.models.runtime import open_session
from stnreg.registration.pairnet.predict import OpenPass, predict_pair
from stnreg.resampling.resample import resample

VALIDATION = 18  # the last by name were not used for training


@pytest.fixture(scope="module")
def heads(shared):
    """Three validation heads, with their label maps."""
    paths = sorted(shared("data/train/ixi").glob("*_T1.nii.gz"))[-VALIDATION:][:3]
    assert len(paths) == 3
    return [(load_volume(path), load_volume(str(path).replace("_T1", "_labels"))) for path in paths]


def label_dice(fixed, moved):
    """Mean Dice over the labels of either map."""
    codes = [code for code in np.union1d(fixed, moved) if code]
    return np.mean([2 * np.sum((fixed == c) & (moved == c)) / (np.sum(fixed == c) + np.sum(moved == c)) for c in codes])


def opened(model):
    """A pair network and its last pass."""
    weights = find(model)
    return [OpenPass(one, open_session(one, threads=1, device="cpu")) for one in (weights, weights.last)]


@pytest.mark.parametrize("model", ["affine", "separate"])
def test_two_people_come_closer(heads, model):
    networks = opened(model)
    for (fixed, fixed_labels), (moving, moving_labels) in pairwise(heads):
        estimate = predict_pair(fixed, moving, networks, threads=1)
        before, after = (
            label_dice(
                fixed_labels.array,
                resample(moving_labels.array, moving.grid, fixed.grid, fixed_to_moving, "nearest"),
            )
            for fixed_to_moving in (estimate.steps[0], estimate.fixed_to_moving)
        )
        assert after > before + 0.02


@pytest.mark.parametrize("model", ["affine", "separate"])
def test_one_head_moved_comes_back(heads, model):
    networks = opened(model)
    for seed, (scan, labels) in enumerate(heads):
        ranges = {"rotation_deg": 15.0, "translation_mm": 20.0, "scale": 1.1, "shear": 0.03}
        away = random_affine(np.random.default_rng(seed), center_lps=scan.grid.center_lps, **ranges)
        moved = replace(scan, array=resample(scan.array, scan.grid, scan.grid, away))
        estimate = predict_pair(scan, moved, networks, threads=1)
        brain = apply_affine(scan.grid.index_to_lps, np.argwhere(labels.array > 0)[::100, ::-1])
        after = mean_error_mm(estimate.fixed_to_moving, invert(away), brain)
        assert after < 1.5
