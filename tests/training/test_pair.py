from dataclasses import replace

import pytest

torch = pytest.importorskip("torch")

from stnreg.model.sampling import warp  # noqa: E402
from stnreg.training.checkpoint import load_checkpoint  # noqa: E402
from stnreg.training.config import AugmentConfig, LossConfig, MovesConfig, preset  # noqa: E402
from stnreg.training.loop import train  # noqa: E402
from stnreg.training.pair import PairTask  # noqa: E402


def make_task(scans, head="separate", **changes):
    config = replace(preset("tiny", head).pair, **changes)
    return PairTask(config, scans, seed=0, steps=100)


@pytest.mark.parametrize("both_ways", [True, False])
def test_the_known_map_brings_one_scan_onto_itself(scans, both_ways):
    task = make_task(scans, same_share=1.0, both_ways=both_ways)
    batch = task._batch(torch.Generator().manual_seed(0), 4, 0.5, 1.0)
    assert batch.is_same.all()
    before = (batch.moving - batch.fixed).square().mean()
    after = (warp(batch.moving, batch.truth) - batch.fixed).square().mean()
    assert after < 0.1 * before


def test_two_people_are_never_one(scans):
    task = make_task(scans)
    fixed, moving = task._choose(torch.Generator().manual_seed(0), 100, 0.0, False)
    assert (fixed != moving).all()
    assert set(fixed.tolist()) | set(moving.tolist()) == {0, 1, 2, 3}
    fixed, moving = task._choose(torch.Generator().manual_seed(0), 100, 0.0, True)
    assert set(fixed.tolist()) == {4, 5}


def test_given_pairs_are_the_pairs(scans):
    pairs = torch.tensor([[0, 2], [3, 1]]).numpy()
    task = make_task(replace(scans, pairs=pairs))
    fixed, moving = task._choose(torch.Generator().manual_seed(0), 50, 0.0, False)
    assert {*zip(fixed.tolist(), moving.tolist(), strict=True)} == {(0, 2), (3, 1)}


def test_the_batch_is_a_pure_function_of_seed_and_step(scans):
    torch.manual_seed(0)
    task = make_task(scans)
    model = task.build()
    first = task.loss(model, 3)["loss"]
    torch.rand(5)
    assert torch.equal(first, task.loss(model, 3)["loss"])
    assert not torch.equal(first, task.loss(model, 4)["loss"])


def test_terms_are_weighted(scans):
    model = make_task(scans).build()
    alone = make_task(scans).loss(model, 0)
    assert torch.equal(alone["loss"], alone["mse"])
    weights = LossConfig(mse=1.0, grid_point=0.5, inverse_consistency=2.0)
    parts = make_task(scans, loss=weights, same_share=1.0).loss(model, 0)
    expected = parts["mse"] + 0.5 * parts["grid_point"] + 2 * parts["inverse_consistency"]
    assert torch.allclose(parts["loss"], expected)


@pytest.mark.parametrize("head", ["affine", "separate"])
def test_training_brings_phantoms_closer(scans, head, tmp_path):
    config = preset("tiny", head)
    config = replace(config, loop=replace(config.loop, epochs=1, steps_per_epoch=120, validate_every=120))
    shifts = MovesConfig(rotation_deg=1.0, translation_mm=40.0, scale=0.0, shear=0.0, curriculum=0.0)
    plain = AugmentConfig(0, 0, 0, 0, 0, 0)
    pair = replace(config.pair, batch=4, same_share=1.0, moves=shifts, augment=plain)
    known = replace(scans, validation=scans.training)
    best = train(PairTask(pair, known, seed=0, steps=120), config.loop, tmp_path, settings={})
    scores = load_checkpoint(best)["scores"]
    assert scores["mse_same"] < 0.8 * scores["mse_same_before"]
