"""Named presets of training settings."""

from dataclasses import replace

from stnreg.errors import UsageProblem
from stnreg.networks.pair import PairArchitecture
from stnreg.networks.parameters import PUBLISHED_HEADS
from stnreg.training.config import (
    UNTOUCHED,
    AugmentConfig,
    LoopConfig,
    LossConfig,
    MovesConfig,
    PairConfig,
    TrainConfig,
)
from stnreg.training.relatives import RELATIVES, relative

PAPER = "paper"
LAST = "last"
NAMES = (*(f"{PAPER}-{head}" for head in PUBLISHED_HEADS), "default", LAST, "tiny", *RELATIVES)
PAPER_PAIRS = 1000  # training pairs of each published data set


def preset(name: str, head: str | None = None) -> TrainConfig:
    """Return one of the named settings.

    `default` trains at 64^3 of 4 mm in under an hour on one thread; `paper-affine` and `paper-separate` are the
    published setting, a week of CPU (`paper` leaves the head to `head`); `last` is the pass after those of another
    network, ten minutes of CPU; `sloan-cnn`, `sloan-fcn`, `sloan-implicit`,
    `sloan-explicit` and `airnet` are relatives of the published method; `tiny` is for tests.

    Parameters
    ----------
    name : str
        One of `NAMES`, or `paper`.
    head : str, optional
        `affine` or `separate`; the preset's own, else `affine`, by default.

    Raises
    ------
    UsageProblem
        If there is no such preset or head, or the two contradict each other.
    """
    if name in RELATIVES:
        if head is not None:
            raise UsageProblem(f"the preset {name} is a network of its own: give it without a model")
        return relative(name)
    own = name.removeprefix(f"{PAPER}-") if name in NAMES and is_paper(name) else None
    if own and head and own != head:
        raise UsageProblem(f"the preset {name} is for the model {own}, not {head}: give one of them")
    head = own or head or "affine"
    if head not in PUBLISHED_HEADS:
        raise UsageProblem(f"no model {head!r} to train; there are {' and '.join(PUBLISHED_HEADS)}")
    if name not in (*NAMES, PAPER):
        raise UsageProblem(f"no preset {name!r}; there are {', '.join(NAMES)}")
    architecture = PairArchitecture(head=head)
    if is_paper(name):
        return _published(architecture)
    if name == LAST:
        return _last_pass(head)
    return _tiny(architecture) if name == "tiny" else TrainConfig(pair=PairConfig(model=architecture))


def is_paper(name: str) -> bool:
    """Return whether a preset is the published setting."""
    return name.split("-")[0] == PAPER


def _published(architecture: PairArchitecture) -> TrainConfig:
    batch = PairConfig().batch
    return TrainConfig(
        loop=LoopConfig(
            epochs=100,
            steps_per_epoch=PAPER_PAIRS // batch,
            learning_rate=1e-3,
            schedule="decay",
            decay=0.9,
            decay_epochs=40,
            warmup_steps=0,
            ema=0.0,
            clip=0.0,
            validate_every=PAPER_PAIRS // batch,
            checkpoint_every=50,
        ),
        pair=PairConfig(
            model=replace(architecture, size=170, channels=(16, 32, 48, 48, 48)),
            spacing_mm=1.5,
            oversampling=1,
            both_ways=False,
            augment=UNTOUCHED,
        ),
    )


def _last_pass(head: str) -> TrainConfig:
    """Return the settings of the pass after those of another network: 64^3 voxels of 2 mm, moves as they leave."""
    return TrainConfig(
        loop=LoopConfig(
            epochs=1, steps_per_epoch=600, learning_rate=2e-3, warmup_steps=50, ema=0.99, precision="f32",
            log_every=10, validate_every=100, checkpoint_every=50, threads=1,
        ),
        pair=PairConfig(
            model=PairArchitecture(head=head, size=64, channels=(8, 16), hidden=8, body="fitted"),
            spacing_mm=2.0,
            oversampling=1,
            margin=0.25,
            centre="foreground",
            batch=2,
            both_ways=False,  # the body gives the opposite step for exchanged images
            same_share=1.0,
            cascade=2,
            validation_pairs=8,
            moves=MovesConfig(
                start_deg=8.0, rotation_deg=8.0, translation_mm=7.0, scale=0.06, shear=0.04, pose=1.0, curriculum=0.0
            ),
            augment=AugmentConfig(window=0.25, window_probability=0.5),
            loss=LossConfig(mse=0.0, grid_point=1.0),
        ),
    )  # fmt: skip


def _tiny(architecture: PairArchitecture) -> TrainConfig:
    return TrainConfig(
        loop=LoopConfig(
            epochs=2, steps_per_epoch=10, warmup_steps=2, ema=0.9, precision="f32",
            log_every=5, validate_every=10, checkpoint_every=5, threads=1,
        ),
        pair=PairConfig(model=replace(architecture, size=16, channels=(8, 8), hidden=16), spacing_mm=16.0, batch=2),
    )  # fmt: skip
