from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.errors import UsageProblem  # noqa: E402
from stnreg.networks.spatial_transformer import compose_theta, warp  # noqa: E402
from stnreg.training.checkpoint import load_checkpoint  # noqa: E402
from stnreg.training.config import STILL, UNTOUCHED, LossConfig, MovesConfig  # noqa: E402
from stnreg.training.loop import train  # noqa: E402
from stnreg.training.pair import PairTask, _both_ways, estimate, inner, moved_into  # noqa: E402
from stnreg.training.presets import preset  # noqa: E402
from stnreg.training.processes import Processes  # noqa: E402


def make_task(scans, head="separate", **changes):
    config = replace(preset("tiny", head).pair, **changes)
    return PairTask(config, scans, seed=0, steps=100)


@pytest.mark.parametrize("both_ways", [True, False])
def test_the_known_map_brings_one_scan_onto_itself(scans, both_ways):
    task = make_task(scans, same_share=1.0, both_ways=both_ways)
    batch = task._sample(task._draw(torch.Generator().manual_seed(0), 8, 0.5, 1.0))
    batch = _both_ways(batch, 8) if both_ways else batch
    assert batch.is_known.all()
    assert len(batch.fixed) == 8
    before = (batch.moving - batch.fixed).square().mean()
    after = (warp(batch.moving, batch.truth) - batch.fixed).square().mean()
    assert after < 0.1 * before


def test_two_people_are_never_one(scans):
    task = make_task(scans)
    fixed, moving, known = task._choose(torch.Generator().manual_seed(0), 100, 0.0, False)
    assert known.isnan().all()
    assert (fixed != moving).all()
    assert set(fixed.tolist()) | set(moving.tolist()) == {0, 1, 2, 3}
    fixed, moving, _ = task._choose(torch.Generator().manual_seed(0), 100, 0.0, True)
    assert set(fixed.tolist()) == {4, 5}


def given(scans, known):
    pairs = np.array([[0, 2], [3, 1]])
    theta = np.full((2, 3, 4), np.nan)
    if known:
        theta[:] = np.eye(3, 4)
        theta[:, 0, 3] = 0.25
    return replace(scans, pairs=pairs, truths=theta, validation_pairs=pairs[:1], validation_truths=theta[:1])


def test_given_pairs_are_the_pairs(scans):
    task = make_task(given(scans, known=False))
    fixed, moving, _ = task._choose(torch.Generator().manual_seed(0), 50, 0.0, False)
    assert {*zip(fixed.tolist(), moving.tolist(), strict=True)} == {(0, 2), (3, 1)}
    fixed, moving, _ = task._choose(torch.Generator().manual_seed(0), 3, 0.0, True)
    assert (fixed.tolist(), moving.tolist()) == ([0, 0, 0], [2, 2, 2])


@torch.no_grad()
@pytest.mark.parametrize("stored", [0.5, 0.75])
def test_a_margin_shows_what_a_move_brings_in(scans, stored):
    task = make_task(scans, same_share=1.0, both_ways=False, margin=0.5)
    plain = make_task(scans, same_share=1.0, both_ways=False)
    half = replace(scans, extent_mm=256.0 * (1 + stored))  # the same scans, taken to be wider than the cube
    task, plain = (replace_scans(one, half) for one in (task, plain))
    draws = [one._draw(torch.Generator().manual_seed(0), 4, 0.5, 1.0) for one in (task, plain)]
    wide, narrow = (one._sample(draw) for one, draw in zip((task, plain), draws, strict=True))
    assert wide.fixed.shape[-1] == 24
    assert narrow.fixed.shape[-1] == 16
    assert torch.allclose(inner(wide.fixed, 16), narrow.fixed, atol=1e-5)
    before, with_margin, without = (
        float((one - narrow.fixed).square().mean())
        for one in (narrow.moving, moved_into(wide.moving, wide.truth, 16), warp(narrow.moving, narrow.truth))
    )
    assert with_margin < 0.1 * before
    assert with_margin <= without


def test_theta_is_in_half_edges_of_the_cube_without_its_margin():
    image = torch.rand(1, 1, 24, 24, 24, generator=torch.Generator().manual_seed(0))
    theta = torch.eye(3, 4)[None].clone()
    theta[0, 0, 3] = 0.25  # two of the cube's 16 voxels
    assert torch.allclose(moved_into(image, theta, 16), inner(image.roll(-2, 4), 16), atol=1e-5)


def replace_scans(task, scans):
    """The same task on other scans."""
    return PairTask(task.config, scans, seed=0, steps=100)


@torch.no_grad()
def test_given_maps_are_known_and_moved_with_the_images(scans):
    task = make_task(given(scans, known=True), same_share=0.0)
    draw = task._draw(torch.Generator().manual_seed(0), 4, 1.0, 0.0)
    assert draw.is_known.all()
    there = compose_theta(draw.moving_to_scan, draw.truth)  # fixed image to moving image to moving scan
    here = compose_theta(torch.from_numpy(task.scans.truths[:2]).float(), draw.fixed_to_scan)
    assert torch.allclose(there, here, atol=1e-5)
    assert "error_mm_3" in task.validate(task.build())


@torch.no_grad()
def test_pairs_without_a_known_map_are_regressed_on_nothing(scans):
    weights = LossConfig(mse=0.0, grid_point=1.0, parameters=1.0)
    task = make_task(given(scans, known=False), same_share=0.0, loss=weights)
    assert float(task.loss(task.build(), 0)["loss"]) == 0
    assert "error_mm" not in task.validate(task.build())


def test_a_step_of_a_cascade_learns_from_what_earlier_passes_left(scans):
    task = make_task(scans, cascade=3)
    model = task.build()
    shift = 0.2
    with torch.no_grad():
        model.head.bias[9] = shift  # bounded by tanh: the same translation from every pass
    once = float(np.tanh(shift)) * model.architecture.bounds.translation
    pair = torch.rand(1, 2, 16, 16, 16)
    for passes in (1, 2, 3):
        theta = estimate(model, pair, passes, 16)
        assert float(theta[0, 0, 3].detach()) == pytest.approx(passes * once, rel=1e-5)
    theta.sum().backward()
    assert float(model.head.bias.grad.abs().sum()) > 0
    plain = make_task(scans)
    losses = [[float(t.loss(model, step)["mse"].detach()) for step in range(4)] for t in (task, plain)]
    assert [a == b for a, b in zip(*losses, strict=True)] == [True, False, False, True]


@torch.no_grad()
@pytest.mark.parametrize("both_ways", [True, False])
def test_shares_of_a_step_average_to_the_whole(scans, both_ways):
    weights = LossConfig(mse=1.0, grid_point=1.0, parameters=1.0, inverse_consistency=1.0)
    changes = {"batch": 8, "both_ways": both_ways, "same_share": 0.5, "loss": weights}
    whole = make_task(scans, **changes)
    model = whole.build()
    model.head.weight.normal_(0, 0.02, generator=torch.Generator().manual_seed(0))
    config = whole.config
    shares = [PairTask(config, scans, seed=0, steps=100, processes=Processes(rank, 2)) for rank in range(2)]
    expected = whole.loss(model, 3)
    parts = [share.loss(model, 3) for share in shares]
    assert float(parts[0]["mse"]) != float(parts[1]["mse"])
    for name, value in expected.items():
        assert float(sum(part[name] for part in parts)) / 2 == pytest.approx(float(value), rel=1e-4), name


def test_pairs_that_cannot_be_sharded_are_reported(scans):
    task = PairTask(make_task(scans, batch=2).config, scans, seed=0, steps=1, processes=Processes(0, 2))
    with pytest.raises(UsageProblem, match="cannot be shared out"):
        task.loss(task.build(), 0)


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
    weights = LossConfig(mse=1.0, grid_point=0.5, parameters=3.0, inverse_consistency=2.0)
    parts = make_task(scans, loss=weights, same_share=1.0).loss(model, 0)
    expected = parts["mse"] + 0.5 * parts["grid_point"] + 3 * parts["parameters"] + 2 * parts["inverse_consistency"]
    assert torch.allclose(parts["loss"], expected)


@pytest.mark.parametrize("head", ["affine", "separate"])
def test_training_brings_phantoms_closer(scans, head, tmp_path):
    config = preset("tiny", head)
    config = replace(config, loop=replace(config.loop, epochs=1, steps_per_epoch=120, validate_every=120))
    shifts = MovesConfig(rotation_deg=1.0, translation_mm=40.0, scale=0.0, shear=0.0, curriculum=0.0)
    pair = replace(config.pair, batch=4, same_share=1.0, moves=shifts, augment=UNTOUCHED)
    known = replace(scans, validation=scans.training)
    best = train(PairTask(pair, known, seed=0, steps=120), config.loop, tmp_path, settings={})
    scores = load_checkpoint(best)["scores"]
    assert scores["mse_same"] < 0.8 * scores["mse_same_before"]


@pytest.mark.parametrize("term", ["grid_point", "parameters"])
@pytest.mark.parametrize("head", ["affine", "separate"])
def test_regression_alone_learns_known_moves(scans, head, term, tmp_path):
    config = preset("tiny", head)
    config = replace(config, loop=replace(config.loop, epochs=1, steps_per_epoch=120, validate_every=120))
    shifts = replace(STILL, translation_mm=40.0, pose=0.0, curriculum=0.0)
    weights = LossConfig(mse=0.0, **{term: 10.0})
    pair = replace(config.pair, batch=4, same_share=1.0, moves=shifts, augment=UNTOUCHED, loss=weights)
    known = replace(scans, validation=scans.training)
    best = train(PairTask(pair, known, seed=0, steps=120), config.loop, tmp_path, settings={})
    scores = load_checkpoint(best)["scores"]
    assert scores["error_mm"] < 0.7 * scores["error_mm_before"]


def test_scans_that_stay_on_disk_give_the_same_images(scans, monkeypatch):
    held = make_task(scans)
    monkeypatch.setattr("stnreg.training.pair.FLOATS_LIMIT_BYTES", 0)
    on_disk = make_task(scans)
    assert on_disk._floats is None
    assert torch.equal(held._image(1), on_disk._image(1))
