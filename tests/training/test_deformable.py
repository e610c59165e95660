import json
import time
from dataclasses import replace
from functools import partial

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.networks.synthesis import SynthesisShape  # noqa: E402
from stnreg.networks.velocity import VelocityNet, VelocityShape, integrate, spline_upsample, spline_values, warp  # noqa: E402
from stnreg.training.deformable import losses, painting, run, steps  # noqa: E402
from stnreg.training.deformable.batch import BatchSettings, make_batch  # noqa: E402
from stnreg.training.deformable.objective import LossSettings, batch_loss  # noqa: E402
from stnreg.training.deformable.run import Budget, Run, TrainSettings, train  # noqa: E402
from stnreg.training.deformable.subjects import frame_points, load_pack  # noqa: E402
from stnreg.training.deformable.synthesis import SynthesisRun, SynthesisSettings, difference  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

TINY = VelocityShape(
    (16, 16, 16), 10.0, maps=4, widths=(4, 6, 8), matcher_widths=(4, 6), match_channels=4, repeats=(1, 2),
    bounds_mm=(8.0, 12.0),
)  # fmt: skip
STILL = BatchSettings(1, 0, 0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0)
SETTINGS = TrainSettings(half=False, network=TINY, warmup=0.0, rate=3e-3, validation_pairs=2)


def smooth_field(seed, size_mm, shape=(32, 40, 32)):
    """A velocity of cubic splines that comes to rest at the borders."""
    coarse = torch.randn(1, 3, *(n // 4 for n in shape), generator=torch.Generator().manual_seed(seed)) * size_mm
    coarse[:, :, [0, -1]] = coarse[:, :, :, [0, -1]] = coarse[:, :, :, :, [0, -1]] = 0
    return spline_upsample(spline_upsample(coarse))


def test_spline_keeps_constants_and_lines():
    assert torch.allclose(spline_upsample(torch.ones(1, 3, 4, 4, 4)), torch.ones(1, 3, 8, 8, 8))
    line = torch.arange(8.0).view(1, 1, 8, 1, 1).expand(1, 1, 8, 4, 4)
    assert torch.allclose(spline_upsample(line)[0, 0, 4:12, 0, 0], 1.75 + 0.5 * torch.arange(8.0), atol=1e-5)
    assert torch.allclose(spline_values(line)[0, 0, 2:6, 0, 0], torch.arange(2.0, 6))


def test_there_and_back_is_the_identity():
    velocity = smooth_field(0, 4.0)
    there, back = integrate(velocity, 2.0), integrate(-velocity, 2.0)
    off = there + warp(back, there, 2.0)
    assert there.norm(dim=1).mean() > 0.9
    assert off[:, :, 2:-2, 2:-2, 2:-2].norm(dim=1).mean() < 0.05


def test_a_constant_velocity_is_a_shift_along_x_first():
    velocity = torch.zeros(1, 3, 8, 8, 8)
    velocity[:, 0] = 4.0
    there = integrate(velocity, 2.0)
    assert torch.allclose(there, velocity, atol=1e-4)
    image = torch.arange(8.0).view(1, 1, 1, 1, 8).expand(1, 1, 8, 8, 8)
    assert torch.allclose(warp(image, there, 2.0)[..., :5], image[..., 2:7], atol=1e-4)


def test_exchanged_images_exchange_the_sign():
    network = VelocityNet(TINY).eval()
    torch.nn.init.normal_(network.matchers[0].head.weight)
    pair = torch.rand(1, 2, 16, 16, 16)
    with torch.no_grad():
        assert torch.equal(network(pair), -network(pair.flip(1)))


def test_a_matcher_in_training_has_the_values_and_the_gradient_of_one_that_is_not():
    torch.manual_seed(0)
    matcher = VelocityNet(TINY).matchers[0]
    here, there = (torch.rand(2, 4, 5, 6, 7, dtype=torch.float64, requires_grad=True) for _ in range(2))
    weight = torch.rand(2, 27, 5, 6, 7, dtype=torch.float64)
    found = []
    for mode in (True, False):
        costs = matcher.train(mode).correlate(here, there)
        found.append((costs, *torch.autograd.grad((weight * costs).sum(), (here, there))))
    for trained, other in zip(*found, strict=True):
        assert torch.allclose(trained, other, atol=1e-12)
        assert other.abs().max() > 0.1


def test_heads_are_seen_again_where_they_meet():
    class Recorder(VelocityNet):
        def forward(self, pair):
            self.seen = pair
            return super().forward(pair)

    network = Recorder(TINY).eval()
    torch.nn.init.normal_(network.matchers[0].head.weight)
    line = 0.01 * torch.arange(16.0).expand(1, 1, 16, 16, 16)
    pair = torch.cat([line, line], 1)
    shift = torch.zeros(1, 3, 8, 8, 8)
    shift[:, 0] = 20.0  # two voxels along x: fixed points to moving points
    with torch.no_grad():
        changed = network.again(pair.flip(1), -shift)
        left = network.again(pair, shift)
    fixed, moving = network.seen[0]
    inner = (slice(2, -2),) * 3
    assert torch.allclose(fixed[inner], line[0, 0][inner] - 0.01, atol=1e-5)  # it goes back by one voxel
    assert torch.allclose(moving[inner], line[0, 0][inner] + 0.01, atol=1e-5)
    assert torch.equal(left, -changed)


def test_label_overlap_is_that_of_one_volume_a_label():
    generator = torch.Generator().manual_seed(1)
    fixed, moving = torch.randint(0, 4, (2, 1, 8, 9, 10), generator=generator)
    shift = (torch.rand(1, 3, 8, 9, 10, generator=generator) * 3 - 1.5).requires_grad_()
    found = losses.label_overlap(fixed, moving, shift, 2.0, 5)
    hot = [torch.nn.functional.one_hot(x, 5).permute(0, 4, 1, 2, 3).float() for x in (fixed, moving)]
    moved = warp(hot[1], shift, 2.0, "zeros")
    both = (hot[0] * moved).sum((2, 3, 4))
    expected = 2 * both / (hot[0] + moved).sum((2, 3, 4)).clamp_min(1)
    assert torch.allclose(found[:, 1:4], expected[:, 1:4], atol=1e-5)
    assert found[:, [0, 4]].isnan().all()
    slopes = [torch.autograd.grad(d[:, 1:4].sum(), shift, retain_graph=True)[0] for d in (found, expected)]
    assert torch.allclose(*slopes, atol=1e-5)


def test_jacobian_of_a_known_stretch():
    points = frame_points((6, 6, 6), 2.0, torch.device("cpu")).permute(0, 4, 1, 2, 3)
    stretch = torch.tensor([0.1, -0.2, 0.3]).view(1, 3, 1, 1, 1) * points
    assert torch.allclose(losses.jacobian(stretch, 2.0), torch.tensor(1.1 * 0.8 * 1.3))


def test_mirrored_heads_keep_their_sides(velocity_pack):
    packed = load_pack(velocity_pack, torch.device("cpu"))
    found = set()
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        batch = make_batch(packed, replace(STILL, painted_pairs=1), (16, 16, 16), 10.0, generator)
        for labels, (left, right) in ((batch.labels[0, 0], (2, 3)), (batch.labels[0, 1], (3, 5))):
            middle = [(labels == k).nonzero()[:, 2].float().mean() for k in (left, right)]
            found.add(bool(middle[0] > middle[1]))
    assert found == {True}  # 2 lies at larger x, mirrored or not


def test_a_pair_is_learnt(velocity_pack):
    packed = load_pack(velocity_pack, torch.device("cpu"))
    clear = replace(SETTINGS, batch=STILL, smoothness=0.02)
    run = Run(packed, clear, torch.device("cpu"), Budget(1000, None, time.monotonic()))
    figures = [run.advance() for _ in range(40)]
    first, last = (sum(f["fine"] + f["coarse"] for f in part) for part in (figures[:8], figures[-8:]))
    assert last < 0.8 * first
    assert figures[-1]["skipped"] == 0


def test_a_pair_seen_twice_is_learnt(velocity_pack):
    loss = replace(SETTINGS.loss, passes=2)
    pack = load_pack(velocity_pack, torch.device("cpu"))
    run = Run(pack, replace(SETTINGS, batch=STILL, loss=loss), torch.device("cpu"), Budget(30, None, time.monotonic()))
    parts = [run.advance() for _ in range(12)]
    assert parts[-1]["loss"] < parts[0]["loss"]
    assert set(run.validate()) >= {"dice", "affine", "spread"}


def test_resumed_is_as_never_stopped(velocity_pack, tmp_path):
    settings = replace(SETTINGS, batch=replace(STILL, painted_pairs=1, mixed_pairs=1, warp_mm=2.0))
    train(velocity_pack, tmp_path / "whole", steps=4, device="cpu", settings=settings)
    run_to(velocity_pack, tmp_path / "parts", settings, 2)
    train(velocity_pack, tmp_path / "parts", steps=4, device="cpu", settings=settings, resume=True)
    whole, parts = (torch.load(tmp_path / n / "weights.ckpt")["model"] for n in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def run_to(pack, folder, settings, steps):
    """Take the first steps of a run of four."""
    run = Run(load_pack(pack, torch.device("cpu")), settings, torch.device("cpu"), Budget(4, None, time.monotonic()))
    for _ in range(steps):
        run.advance()
    run.save(folder / "weights.ckpt", folder / "last.ckpt")


def test_painted_scans_have_the_contrast_of_their_palette_and_the_partial_volumes_of_the_scan():
    codes = torch.zeros(1, 12, 12, 12, dtype=torch.int64)
    codes[..., 2:4], codes[..., 4:6], codes[..., 6:8], codes[..., 8:] = 4, 3, 10, 2  # fluid, cortex, thalamus, white
    image = torch.zeros(1, 1, 12, 12, 12)
    image[..., 2:4], image[..., 4:6], image[..., 6:8], image[..., 8:] = 0.2, 0.6, 0.7, 0.9
    image[:, :, 0, 0, 4] = 0.4  # cortex, half of it fluid
    palette = torch.zeros(1, 256)
    palette[0, [4, 3, 10, 2]] = torch.tensor([1.0, 0.6, 0.1, 0.3])
    painted = painting.paint_scans(image, codes, palette, torch.Generator().manual_seed(0))[0, 0]
    assert torch.allclose(painted[6, 6, [2, 11]], torch.tensor([1.0, 0.3]), atol=0.1)  # borders are blurred a little
    assert abs(float(painted[6, 6, 0])) < 0.15
    assert painted[0, 0, 4] > painted[6, 6, 4] + 0.05  # towards fluid, which is bright now
    assert painted[6, 6, 6] < painted[6, 6, 5]  # the thalamus is as the palette says, brighter than cortex in the scan


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_a_share_of_the_scans_is_painted_from_labels(velocity_pack, monkeypatch, share):
    pack = load_pack(velocity_pack, torch.device("cpu"))
    seen = []
    monkeypatch.setattr(painting, "paint_scans", lambda image, *_: torch.full_like(image, 0.625))
    monkeypatch.setattr(painting, "scanner", lambda image, _: seen.append(image) or image)
    settings = BatchSettings(20, 0, 0, contrast_share=0.0, labelled_share=share)
    make_batch(pack, settings, (16, 16, 16), 10.0, torch.Generator().manual_seed(4))
    painted = (seen[0] == 0.625).all(dim=(1, 2, 3, 4)).float().mean()
    assert float(painted) == pytest.approx(share, abs=0.25 * (0 < share < 1))


def test_contrasts_are_held_together(velocity_pack):
    pack = load_pack(velocity_pack, torch.device("cpu"))
    network = VelocityNet(replace(TINY, maps=pack.labels)).eval()
    torch.nn.init.normal_(network.matchers[0].head.weight)
    batch = make_batch(pack, BatchSettings(1, 1, 0), (16, 16, 16), 10.0, torch.Generator().manual_seed(1))
    settings = LossSettings(contrast=2.0)
    seen = batch_loss(network, batch, pack, settings, 0.0, False)
    without = batch_loss(network, batch, pack, replace(settings, contrast=0.0), 0.0, False)
    assert seen["apart"] > 0
    assert without["apart"] == 0
    assert torch.isclose(seen["loss"], without["loss"] + 2 * seen["apart"])
    n = len(batch.pair)
    clean = replace(batch, pair=torch.cat([batch.reference[:n], batch.reference[n:]], 1))
    assert batch_loss(network, clean, pack, settings, 0.0, False)["apart"] < 1e-9


def test_a_run_leaves_its_share_of_what_it_started_from(velocity_pack, tmp_path):
    settings = replace(SETTINGS, batch=BatchSettings(1, 0, 0), start_share=0.25)
    start = train(velocity_pack, tmp_path / "a", steps=1, settings=settings)
    load = partial(torch.load, weights_only=True)
    train(velocity_pack, tmp_path / "b", steps=2, settings=settings, start=start)
    before, kept = load(start)["model"], load(tmp_path / "b/last.ckpt")["ema"]
    name = "matchers.0.head.weight"
    assert not torch.allclose(before[name], kept[name], atol=1e-5)
    left = load(tmp_path / "b/weights.ckpt")["model"][name]
    assert torch.allclose(left, 0.25 * before[name] + 0.75 * kept[name])
    train(velocity_pack, tmp_path / "b", steps=3, settings=settings, resume=True)
    kept = load(tmp_path / "b/last.ckpt")["ema"]
    assert torch.allclose(load(tmp_path / "b/weights.ckpt")["model"][name], 0.25 * before[name] + 0.75 * kept[name])


def test_certainty_is_taught_beside_the_image_and_does_not_change_it(velocity_pack):
    pack = load_pack(velocity_pack, torch.device("cpu"))
    settings = replace(SynthesisSettings().batch, scan_pairs=1, painted_pairs=0)
    batch = make_batch(pack, settings, (16, 16, 16), 10.0, torch.Generator().manual_seed(1))
    found = torch.rand(4, 2, 16, 16, 16, generator=torch.Generator().manual_seed(2), requires_grad=True)
    gradients = []
    for weight in (0.0, 1.0):
        loss = difference(found, batch, SynthesisSettings(certainty=weight))["loss"]
        gradients.append(torch.autograd.grad(loss, found)[0])
    without, taught = gradients
    assert torch.equal(without[:, :1], taught[:, :1])
    assert not without[:, 1:].any()
    brain = (batch.own_labels > 0)[:, None]
    assert taught[:, 1:][brain].all()
    assert not taught[:, 1:][~brain].any()
    better = torch.cat([found[:, :1], found[:, 1:] - 50 * taught[:, 1:]], 1)
    assert (
        difference(better, batch, SynthesisSettings())["surprise"]
        < difference(found, batch, SynthesisSettings())["surprise"]
    )


def test_a_synthesis_network_learns_an_image(velocity_pack):
    pack = load_pack(velocity_pack, torch.device("cpu"))
    shape = SynthesisShape((16, 16, 16), 10.0, maps=pack.labels, widths=(4, 6, 8), head_width=8)
    settings = SynthesisSettings(half=False, warmup=0.0, rate=5e-3, certainty=1.0, network=shape)
    settings = replace(settings, batch=replace(settings.batch, scan_pairs=1, painted_pairs=0))
    run = SynthesisRun(pack, settings, torch.device("cpu"), Budget(60, None, time.monotonic()))
    steps = [run.advance() for _ in range(60)]
    early, late = ({k: sum(s[k] for s in some) / len(some) for k in steps[0]} for some in (steps[:10], steps[-10:]))
    assert late["absolute"] < 0.8 * early["absolute"]
    assert late["alike"] > early["alike"]
    assert all(0 <= value <= 1 for name, value in run.validate().items() if name != "s")


def log_of(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def test_half_precision_takes_a_step(velocity_pack, tmp_path):
    settings = replace(SETTINGS, half=True, batch=replace(STILL, painted_pairs=1, mixed_pairs=1))
    weights = train(velocity_pack, tmp_path, steps=2, device="cpu", settings=settings)
    lines = log_of(tmp_path)
    assert [line["kind"] for line in lines] == ["begin", "train", "train", "validation"]
    assert lines[2]["skipped"] == 0
    assert lines[-1]["affine"] > 0.3
    assert weights.is_file()


class SlowClock:
    """A clock that goes on by a quarter of a second whenever it is read: no test waits for a real one."""

    def __init__(self):
        self.now = 1e9

    def time(self):
        self.now += 0.25
        return self.now

    monotonic = time


def test_a_run_ends_at_its_time_and_validates_on_the_way(velocity_pack, tmp_path, monkeypatch):
    clock = SlowClock()
    for module in (run, steps):
        monkeypatch.setattr(module, "time", clock)
    train(
        velocity_pack, tmp_path, until=clock.now + 12, device="cpu", settings=replace(SETTINGS, batch=STILL),
        validate_every_s=4.0,
    )  # fmt: skip
    lines = log_of(tmp_path)
    assert [line["kind"] for line in lines].count("validation") > 1
    assert {"begin", "train", "validation"} == {line["kind"] for line in lines}
    assert lines[-1]["step"] > 3
    assert clock.now < 1e9 + 16


def test_a_brain_is_grown_by_all_neighbours():
    brain = torch.zeros((2, 1, 9, 9, 9), dtype=torch.bool)
    brain[:, :, 4, 4, 4] = True
    one, two = painting.grown(brain, torch.tensor([1, 2]))
    assert one.sum() == 3**3
    assert two.sum() == 5**3
