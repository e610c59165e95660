import csv

import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.errors import DataError, UsageProblem  # noqa: E402
from stnreg.training.checkpoint import load_checkpoint  # noqa: E402
from stnreg.training.config import LoopConfig, to_dict  # noqa: E402
from stnreg.training.loop import learning_rate, train  # noqa: E402

QUICK = LoopConfig(
    epochs=4, steps_per_epoch=5, warmup_steps=2, ema=0.9, precision="f32", device="cpu",
    log_every=5, validate_every=10, checkpoint_every=10,
)  # fmt: skip


class Line:
    """The smallest task: fit a line to points that are a pure function of the step."""

    name = "line"

    def __init__(self, break_at=None):
        self.break_at = break_at

    def build(self):
        return torch.nn.Linear(1, 1)

    def loss(self, model, step):
        if step == self.break_at:
            raise KeyboardInterrupt
        x = torch.rand((8, 1), generator=torch.Generator().manual_seed(step))
        return {"loss": (model(x) - 3 * x).square().mean()}

    def validate(self, model):
        x = torch.linspace(0, 1, 8)[:, None]
        return {"score": float((model(x) - 3 * x).square().mean())}


def rows(run):
    with (run / "metrics.csv").open() as file:
        return list(csv.DictReader(file))


def test_the_loss_falls_and_progress_is_printed(tmp_path, capsys):
    best = train(Line(), QUICK, tmp_path, settings={"pair": 1})
    losses = [float(row["value"]) for row in rows(tmp_path) if row["name"] == "loss"]
    assert losses[-1] < losses[0]
    content = load_checkpoint(best)
    assert content["config"] == {"pair": 1, "loop": to_dict(QUICK)}
    assert content["scores"]["score"] == content["best"]
    printed = capsys.readouterr().err
    assert "step 20/20" in printed
    assert "s/step" in printed
    assert "min left" in printed


@pytest.mark.parametrize("break_at", [10, 13])
def test_an_interrupted_run_ends_as_if_nothing_had_happened(tmp_path, break_at):
    train(Line(), QUICK, tmp_path / "whole", settings={})
    with pytest.raises(KeyboardInterrupt):
        train(Line(break_at), QUICK, tmp_path / "broken", settings={})
    assert load_checkpoint(tmp_path / "broken" / "last.ckpt")["step"] == break_at
    train(Line(), QUICK, tmp_path / "broken", settings={}, resume=True)
    whole, resumed = (load_checkpoint(tmp_path / name / "last.ckpt") for name in ("whole", "broken"))
    for part in ("model", "ema"):
        for name, value in whole[part].items():
            assert torch.equal(value, resumed[part][name])
    assert whole["best"] == resumed["best"]
    keys = [[(row["step"], row["name"]) for row in rows(tmp_path / name)] for name in ("whole", "broken")]
    assert keys[0] == keys[1]


def test_rows_after_the_checkpoint_are_taken_again(tmp_path):
    train(Line(), QUICK, tmp_path, settings={})
    content = load_checkpoint(tmp_path / "last.ckpt")
    content["step"] = 10
    torch.save(content, tmp_path / "last.ckpt")
    train(Line(), QUICK, tmp_path, settings={}, resume=True)
    steps = [int(row["step"]) for row in rows(tmp_path) if row["name"] == "loss"]
    assert steps == [5, 10, 15, 20]


def test_weights_to_start_from(tmp_path):
    best = train(Line(), QUICK, tmp_path / "first", settings={})
    short = LoopConfig(**{**to_dict(QUICK), "epochs": 1, "learning_rate": 0.0})
    train(Line(), short, tmp_path / "second", settings={}, start=load_checkpoint(best)["ema"])
    started = load_checkpoint(tmp_path / "second" / "last.ckpt")["model"]
    assert torch.equal(started["weight"], load_checkpoint(best)["ema"]["weight"])


def test_a_run_is_not_overwritten_and_an_absent_one_not_resumed(tmp_path):
    train(Line(), QUICK, tmp_path / "run", settings={})
    with pytest.raises(UsageProblem, match="resume it"):
        train(Line(), QUICK, tmp_path / "run", settings={})
    with pytest.raises(DataError, match="no such checkpoint"):
        train(Line(), QUICK, tmp_path / "none", settings={}, resume=True)


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path):
    class Broken(Line):
        def loss(self, model, step):
            return {"loss": super().loss(model, step)["loss"] * float("nan")}

    with pytest.raises(DataError, match="loss at step 0"):
        train(Broken(), QUICK, tmp_path, settings={})


def test_schedules():
    decay = LoopConfig(epochs=100, steps_per_epoch=250, schedule="decay", warmup_steps=0)
    assert learning_rate(decay, 39 * 250) == pytest.approx(1e-3)
    assert learning_rate(decay, 40 * 250) == pytest.approx(0.9e-3)
    cosine = LoopConfig(epochs=1, steps_per_epoch=100, warmup_steps=10, final_rate=0.1)
    rates = [learning_rate(cosine, step) for step in range(100)]
    assert max(rates) == rates[10] == pytest.approx(1e-3)
    assert rates[-1] == pytest.approx(1e-4, rel=0.02)
    with pytest.raises(UsageProblem, match="schedule"):
        learning_rate(LoopConfig(schedule="steps", warmup_steps=0), 0)


def test_a_task_that_cannot_be_sharded_is_reported(tmp_path, monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UsageProblem, match="without torchrun"):
        train(Line(), QUICK, tmp_path, settings={})
