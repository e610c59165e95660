"""The anatomy networks' data and training, on small made-up label maps."""

import nibabel as nib
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs torch: pip install 'stnreg[train]'")

from stnreg.core.structures import FREESURFER_CORTEX, NAMES, STRUCTURES, dlmuse_lookup  # noqa: E402
from stnreg.networks.anatomy import AnatomyMaps, AnatomyNet, AnatomyShape  # noqa: E402
from stnreg.training.anatomy import augment, data, poses  # noqa: E402
from stnreg.training.anatomy.data import POSE, class_shares, gather, normalise  # noqa: E402
from stnreg.training.anatomy.pack import Subject, load_anatomy, pack  # noqa: E402
from stnreg.training.anatomy.painting import paint  # noqa: E402
from stnreg.training.anatomy.run import packed_subjects, settings_of  # noqa: E402
from stnreg.training.anatomy.task import AnatomyTask, share_losses  # noqa: E402
from stnreg.training.run import PairRun  # noqa: E402


def _generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def packed(tmp_path_factory, write_training_data):
    root = write_training_data(tmp_path_factory.mktemp("train"), 20)
    folder = tmp_path_factory.mktemp("packed")
    pack(root, folder)
    return folder


def test_packed_template_is_symmetric(packed):
    template = np.load(packed / "template.npy")
    left, right = (template[NAMES.index(f"caudate_{side}")] for side in "LR")
    assert left == pytest.approx(right * (-1, 1, 1), abs=1e-9)
    assert left[0] > 0  # LPS: x grows to the patient's left


def test_a_label_map_gets_parcels_by_vote(tmp_path, structure_map):
    index_to_ras = np.diag([3.0, 3.0, 3.0, 1.0])
    voters = [Subject("voter", dlmuse_lookup()[structure_map("dlmuse", shift).T], index_to_ras) for shift in (0, 2, 1)]
    truth = voters[0].classes.copy()
    left_cortex = [
        k for k, s in enumerate(STRUCTURES) if s.is_parcel and s.side == "L" and s.dlmuse and "white" not in s.group
    ]
    shuffled = np.arange(len(STRUCTURES), dtype=np.uint8)
    shuffled[left_cortex] = np.roll(left_cortex, 1)
    voters[2].classes = shuffled[voters[2].classes]  # one of three takes each parcel for another
    labels = structure_map("freesurfer", 0)
    cortex = np.isin(truth, left_cortex) & (labels.T == 0)
    labels.T[cortex] = FREESURFER_CORTEX["L"][0]
    labels[0, 0, 0] = labels[-1, -1, -1] = 515  # of no structure: nothing is cropped
    nib.save(nib.Nifti1Image(labels, index_to_ras), tmp_path / "map.nii.gz")
    found = load_anatomy(tmp_path / "map.nii.gz", voters).classes
    assert found.shape == truth.shape
    assert len(np.unique(truth[cortex])) > 10
    assert set(np.unique(found[cortex])) <= set(left_cortex)
    assert (found[cortex] == truth[cortex]).mean() > 0.95
    assert not np.isin(found[~cortex], left_cortex).any()


def test_shares_sum_to_one_and_count_voxels():
    classes = torch.zeros(8, 8, 8, dtype=torch.uint8)
    classes[:2, :2, :2] = 1
    shares = class_shares(classes, (4, 4, 4), 3)
    assert torch.allclose(shares.sum(0), torch.ones(4, 4, 4))
    assert shares[1, 0, 0, 0] == 1


def test_gather_is_zero_outside():
    volume = torch.arange(27, dtype=torch.uint8).reshape(3, 3, 3) + 1
    points = torch.tensor([[0.0, 0, 0], [2.2, 0, 0], [2.6, 0, 0], [-0.6, 0, 0], [0, 1, 2]])
    assert gather(volume, points).tolist() == [1, 3, 0, 0, 22]


@pytest.mark.parametrize("seed", range(5))
def test_rotations_are_rotations(seed):
    for ranges in (POSE.ranges, poses.MoveRanges(180, 0, 0, 0, 0, 0, 0, 0)):
        rotation = poses.random_rotation(ranges, _generator(seed))
        assert torch.allclose(rotation @ rotation.T, torch.eye(3, dtype=torch.float64), atol=1e-9)
        assert torch.linalg.det(rotation) == pytest.approx(1.0)


def test_swelling_magnifies_around_its_centre():
    points = poses.box_points((9, 9, 9), 5.0)
    out = poses.local_scaling(points, torch.zeros(1, 3), torch.tensor([0.5]), torch.tensor([15.0]))
    assert torch.allclose(out[4, 4, 4], points[4, 4, 4])
    assert out[4, 4, 5].norm() < points[4, 4, 5].norm()


def test_painting_gives_t1_its_order_most_often():
    codes = torch.zeros(24, 24, 24, dtype=torch.uint8)
    codes[:, :, 8:16], codes[:, :, 16:] = 3, 2
    brighter = 0
    for seed in range(60):
        image = paint(codes, _generator(seed))
        assert image.min() >= 0
        brighter += bool(image[:, :, 16:].mean() > image[:, :, 8:16].mean())
    assert 30 <= brighter < 60


def test_augmentation_keeps_shape_and_is_deterministic():
    image = torch.rand(20, 20, 20, generator=_generator(1))
    box = poses.box_points((20, 20, 20), 4.0)
    for augment_scan in (
        augment.bias_field,
        augment.noise,
        augment.blur,
        lambda i, g: augment.thick_slices(i, 2.5, g),
        lambda i, g: i.masked_fill(augment.outside_field_of_view(box, g, hard=True), 0.0),
        lambda i, g: augment.deface(i, box, g),
        lambda i, g: augment.random_lesions(i, box, g),
        lambda i, g: augment.strip(i, i > 0.5, g),
        lambda i, g: augment.random_curve(i, g, monotone=False),
    ):
        a, b = augment_scan(image, _generator(5)), augment_scan(image, _generator(5))
        assert a.shape == image.shape
        assert torch.equal(a, b)
        assert torch.isfinite(a).all()


def test_only_what_is_in_view_is_asked_for(packed, monkeypatch):
    task = AnatomyTask("fine", packed)
    whole = task.make_batch(3)[1]

    def left_half(box, generator, *, hard):
        return box[..., 0] > 0

    monkeypatch.setattr(augment, "outside_field_of_view", left_half)
    monkeypatch.setattr(data, "CUT_SHARE", 1.0)
    cut = AnatomyTask("fine", packed).make_batch(3)[1]
    middle = cut.shape[-1] // 2
    assert (cut[..., middle:][:, 0] == 1).all()
    assert (cut[..., :middle][:, 0] < 1).any()
    assert (whole[..., middle:][:, 0] < 1).any()


def test_normalise_is_what_inference_does():
    from stnreg.preprocessing.intensity import percentile

    image = torch.rand(40, 40, 40, generator=_generator(2)) ** 3
    expected = percentile(image.numpy(), 1.0, 99.5, ceiling=1.5)
    assert np.abs(normalise(image).numpy() - expected).max() < 0.02  # it sorts every fifth voxel only


def test_losses_are_best_at_the_truth():
    points = poses.box_points((6, 6, 6), 5.0)
    shares = torch.softmax(3 * torch.randn(1, 4, 6, 6, 6, generator=_generator(3)), 1)
    at_truth = share_losses(shares.log(), shares, points)
    off = share_losses(shares.log().roll(1, 2), shares, points)
    assert at_truth["dice"] < 1e-5
    assert at_truth["centroid_mm"] < 0.1
    assert off["dice"] > at_truth["dice"] + 0.1
    assert off["entropy"] > at_truth["entropy"]


def test_batches_are_a_function_of_the_step(packed):
    task = AnatomyTask("fine", packed, batch=2, widths=(4, 8, 8, 8))
    (a, shares), (b, _), (c, _) = task.make_batch(3), task.make_batch(3), task.make_batch(4)
    assert torch.equal(a, b)
    assert not torch.equal(a, c)
    assert shares.shape == (2, len(NAMES), 32, 40, 32)


def test_images_are_reused_with_new_augmentation_and_so_after_resuming(packed):
    task = AnatomyTask("fine", packed, batch=3, fresh=1, widths=(4, 8, 8, 8))
    batches = [task.make_batch(step) for step in range(3)]
    images = torch.cat([images for images, _ in batches])
    assert len(images) == 9
    difference = (images[:, None] - images[None]).abs().flatten(2).mean(2)
    assert (difference + torch.eye(9) > 0.002).all()
    resumed = AnatomyTask("fine", packed, batch=3, fresh=1, widths=(4, 8, 8, 8)).make_batch(2)
    assert all(torch.equal(a, b) for a, b in zip(resumed, batches[2], strict=True))


def test_a_second_truncation_removes_the_same_from_the_target(monkeypatch):
    image, shares = torch.rand(8, 8, 8), torch.softmax(torch.randn(3, 4, 4, 4), 0)
    points = poses.box_points((8, 8, 8), 10.0)
    monkeypatch.setattr(data, "CUT_SHARE", 1.0)
    monkeypatch.setattr(augment, "outside_field_of_view", lambda box, generator, *, hard: box[..., 0] > 0)
    again, left = data.augment_again(image, shares, points, _generator(0))
    assert torch.allclose(left[0, ..., 2:], torch.ones(()))
    assert torch.allclose(left.sum(0), torch.ones(4, 4, 4))
    assert torch.allclose(left[1:, ..., :2], shares[1:, ..., :2])
    monkeypatch.setattr(augment, "outside_field_of_view", lambda box, generator, *, hard: box[..., 0] > -30)
    kept = data.augment_again(image, shares, points, _generator(0))[1]
    assert torch.equal(kept, shares), "a quarter of the brain is too little to cut down to"
    assert again.shape == image.shape


def test_task_learns_and_its_settings_rebuild_the_network(packed):
    torch.manual_seed(0)
    task = AnatomyTask("pose", packed, batch=1, widths=(4, 8, 8, 8))
    batch = task.make_batch(0)
    task.make_batch = lambda *_: batch
    model = task.build()
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-2)
    losses = []
    for step in range(6):
        loss = task.loss(model, step)["loss"]
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.9 * losses[0]
    settings = settings_of(task, packed)
    shape = AnatomyShape(tuple(settings["shape"]), settings["spacing_mm"], settings["maps"], tuple(settings["widths"]))
    AnatomyMaps(shape).load_state_dict(model.state_dict())


def test_exported_maps_are_the_softmax_of_the_trained_ones():
    net = AnatomyMaps(AnatomyShape((16, 24, 16), 4.0, 5, (4, 4, 4)))
    scan = torch.rand(1, 1, 16, 24, 16)
    maps = net(scan)
    assert maps.shape == (1, 5, 8, 12, 8)
    assert torch.allclose(maps.sum(1), torch.ones(1, 8, 12, 8), atol=1e-5)
    trained = AnatomyNet(net.shape)
    trained.load_state_dict(net.state_dict())
    assert torch.allclose(maps, trained(scan).softmax(1), atol=1e-6)


def test_nothing_to_pack_is_said(tmp_path):
    with pytest.raises(ValueError, match="labelmaps"):
        packed_subjects(PairRun(folder=tmp_path, scans=[tmp_path]))
