import json
from dataclasses import replace
from random import Random

import numpy as np
import pytest
from typer.testing import CliRunner

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.cli import app  # noqa: E402
from stnreg.errors import DataError, UsageProblem  # noqa: E402
from stnreg.registration.deformable.frame import box  # noqa: E402
from stnreg.training.checkpoint import load_checkpoint  # noqa: E402
from stnreg.training.config import merge, to_dict  # noqa: E402
from stnreg.training.deformable.subjects import load_pack  # noqa: E402
from stnreg.training.related.guidance import load_guidance, make_guidance  # noqa: E402
from stnreg.training.related.heads import Heads, Moves  # noqa: E402
from stnreg.training.related.release import NETWORKS, STARTS, related_network  # noqa: E402
from stnreg.training.related.run import make_task  # noqa: E402
from stnreg.training.related.settings import PRESETS  # noqa: E402
from stnreg.training.related.task import Similarity, correlation, nearest  # noqa: E402

pytestmark = pytest.mark.usefixtures("one_thread")

BOX = (16, 24, 16)


class Steady:
    """A velocity network that answers with the same shift along x whatever it sees."""

    box = box((16, 24, 16), 5.0)

    def predict(self, fixed, moving):
        assert fixed.image.shape == moving.image.shape == (16, 24, 16)
        assert fixed.brain.any()
        coefficients = np.zeros((3, 8, 12, 8), np.float32)
        coefficients[0] = 4.0
        return coefficients


@pytest.fixture
def packed(velocity_pack):
    return load_pack(velocity_pack, torch.device("cpu"))


@pytest.fixture
def heads(packed):
    return Heads(packed, BOX, 10.0)


def run(*arguments):
    result = CliRunner().invoke(app, [str(a) for a in arguments], standalone_mode=False)
    if result.exception:
        raise result.exception
    return result


@pytest.mark.parametrize("model", list(PRESETS))
def test_each_trains_resumes_and_exports(model, velocity_pack, packed, tmp_path):
    runs, network = tmp_path / "run", tmp_path / "net.onnx"
    make_guidance(packed, 1, Steady(), runs / "guidance.npz", 1)
    begun = ("-o", runs, "--model", model, "--preset", "tiny", "--cache", velocity_pack, "--terms", "phantoms: CC0")
    run("train", *begun)
    assert load_checkpoint(runs / "last.ckpt")["step"] == 3
    run("train", "-o", runs, "--resume", "--epochs", 2, "--cache", velocity_pack)
    resumed = load_checkpoint(runs / "last.ckpt")
    assert (resumed["task"], resumed["step"]) == (model, 6)
    assert resumed["config"]["sources"] == [{"name": "phantoms", "terms": "CC0"}]

    run("export", runs / "best.ckpt", "-o", network)  # which compares onnxruntime with torch
    card = json.loads(network.with_suffix(".json").read_text())
    assert (card["kind"], card["model"], card["start"]) == ("displacement", model, STARTS[model])
    assert card["shape"] == list(BOX)
    assert set(card["scores"]) == {"score", "dice", "before", "folds", "spread"}
    assert 0 < card["scores"]["before"] < 1


@pytest.mark.parametrize("model", list(PRESETS))
def test_a_step_depends_on_seed_and_step_alone(model, packed, tmp_path):
    make_guidance(packed, 1, Steady(), tmp_path / "guidance.npz", 1)
    found = []
    for _ in range(2):
        task = make_task(model, PRESETS[model]["tiny"], packed, tmp_path)
        torch.manual_seed(0)
        network = task.build()
        found.append([float(task.loss(network, step)["loss"].detach()) for step in (3, 1, 2)])
    assert found[0] == found[1]
    assert len(set(found[0])) == 3


@pytest.mark.parametrize("model", ["linear-deformable", "bspline"])
def test_a_pair_is_registered_better_after_some_steps(model, packed, tmp_path):
    training = PRESETS[model]["tiny"]
    task = make_task(model, training, packed, tmp_path)
    torch.manual_seed(0)
    network = task.build()
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    losses = []
    for _ in range(25):
        loss = task.loss(network, 0)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.95 * losses[0]


def test_guidance_is_both_ways_and_gives_way_to_similarity(packed, tmp_path):
    make_guidance(packed, 2, Steady(), tmp_path / "guidance.npz", 1)
    guidance = load_guidance(tmp_path / "guidance.npz")
    assert guidance.pairs[1] == guidance.pairs[0][::-1]
    there, back = (guidance.field(number, BOX, torch.device("cpu"))[0] for number in (0, 1))
    assert float(there[0].max()) > 1  # faded out towards the edges of the box
    assert torch.allclose(there, -back, atol=0.5)
    training = PRESETS["dual-guided"]["tiny"]
    training = replace(training, related=replace(training.related, first=1.0, last=0.0, smoothness=0.0))
    task = make_task("dual-guided", training, packed, tmp_path)
    network = task.build()
    first, last = (task.loss(network, step) for step in (0, training.loop.steps))
    assert torch.isclose(first["loss"], first["guided"])
    assert torch.isclose(last["loss"], training.related.similar * last["similar"])


def test_guidance_that_cannot_be_read_is_named(tmp_path):
    (tmp_path / "guidance.npz").write_bytes(b"no")
    with pytest.raises(DataError, match=r"guidance\.npz: no fields"):
        load_guidance(tmp_path / "guidance.npz")


def test_a_head_that_is_not_moved_is_the_same(heads):
    still, moved = heads.head(0), heads.moved(0, torch.eye(3, 4), labelled=True)
    assert torch.allclose(still.image, moved.image, atol=1e-5)
    assert torch.equal(still.labels, moved.labels)
    assert (still.brain == moved.brain).float().mean() > 0.99
    assert 0.02 < still.brain.float().mean() < 0.9


def test_an_affine_moves_a_head_by_mm(heads):
    shift = torch.eye(3, 4)
    shift[0, 3] = 10.0  # one voxel: what lay at x + 1 is seen at x
    still, moved = heads.head(0), heads.moved(0, shift, labelled=True)
    assert torch.allclose(moved.image[..., :-1], still.image[..., 1:], atol=1e-5)
    assert torch.equal(moved.labels[..., :-2], still.labels[..., 2:])


def test_moves_stay_in_their_ranges():
    found = [Moves((10.0, 0.0, 0.0), 3.0, 0.1).draw(Random(seed)) for seed in range(50)]
    assert max(abs(float(m[k, 3])) for m in found for k in range(3)) <= 3
    sizes = torch.stack([torch.linalg.norm(m[:, :3], dim=0) for m in found])
    assert 0.9 <= sizes.min() < 0.95 < 1.05 < sizes.max() <= 1.1
    assert all(float(m[1, 0]) == float(m[2, 0]) == 0 for m in found)  # turned about x alone


def test_displacements_move_labels():
    labels = torch.arange(64).reshape(1, 4, 4, 4)
    steps = torch.zeros(1, 3, 4, 4, 4)
    assert torch.equal(nearest(labels, steps), labels)
    steps[:, 0] = 1.2
    assert torch.equal(nearest(labels, steps)[..., :3], labels[..., 1:])
    assert not nearest(labels, steps)[..., 3].any()


def test_similarities_are_least_where_images_agree():
    generator = torch.Generator().manual_seed(1)
    fixed, other = (torch.rand((1, 1, 8, 8, 8), generator=generator) for _ in range(2))
    where = torch.ones_like(fixed, dtype=torch.bool)
    assert torch.isclose(correlation(fixed, 3 * fixed + 1, where), torch.ones(1), atol=1e-4)
    assert torch.isclose(correlation(fixed, -fixed, where), -torch.ones(1), atol=1e-4)
    for kind in ("local", "global", "both", "squared"):
        similarity = Similarity(kind, 3)
        assert similarity.loss(fixed, fixed, where) < 0.05
        assert similarity.loss(fixed, other, where) > similarity.loss(fixed, fixed, where) + 0.1
    with pytest.raises(ValueError, match="similarity is"):
        Similarity("mutual")


@pytest.mark.parametrize("model", list(PRESETS))
def test_settings_come_back_from_a_checkpoint(model):
    for training in PRESETS[model].values():
        stored = json.loads(json.dumps(to_dict(training)))
        assert merge(PRESETS[model]["default"], stored) == training
        config = {"related": stored["related"], "validation_scans": 18}
        assert isinstance(related_network(model, config).model, NETWORKS[model])


def test_wrong_usage_is_told(tmp_path, velocity_pack):
    def refused(kind, match, *arguments):
        with pytest.raises(kind, match=match):
            run("train", "-o", tmp_path / "run", "--model", "bspline", *arguments)

    refused(UsageProblem, "no preset", "--preset", "further")
    refused(UsageProblem, "--scans ROOT")
    refused(UsageProblem, "at least two scans", "--validation", 1)
    refused(UsageProblem, "for pair networks", "--skip-bad")
    refused(UsageProblem, "--steps", "--steps", 3)
    settings = tmp_path / "settings.toml"
    settings.write_text("[related]\nsteepness = 1.0\n")
    refused(DataError, "unknown setting steepness", "--config", settings, "--cache", velocity_pack)
    settings.write_text('[related.similarity]\nkind = "mutual"\n')
    refused(DataError, "similarity is", "--config", settings, "--cache", velocity_pack)
