"""The settings of a training run of an anatomy network: presets, TOML over them, the command line over both."""

from dataclasses import dataclass, field, replace

from stnreg.errors import UsageProblem
from stnreg.training.config import LoopConfig, lay_over, merge, read_toml
from stnreg.training.run import PairRun

FIRST = LoopConfig(
    epochs=12,
    steps_per_epoch=500,
    learning_rate=1.5e-3,
    warmup_steps=60,
    ema=0.998,
    clip=2.0,
    log_every=25,
    validate_every=250,
    checkpoint_every=100,
)


@dataclass(frozen=True)
class AnatomyConfig:
    """What the task needs to know beside the data.

    Attributes
    ----------
    batch : int
        Images a step.
    fresh : int
        How many of them are made for it; the others were shown before, and are cut and augmented again.
    widths : tuple of int
        Channels of the network's levels, from the finest.
    centroid_weight : float
        Of the distance of centroids in the loss, per mm.
    validation_batches : int
        Batches of fixed images that the validation score is a mean over.
    """

    batch: int = 4
    fresh: int = 2
    widths: tuple[int, ...] = (24, 48, 96, 96)
    centroid_weight: float = 0.03
    validation_batches: int = 12


@dataclass(frozen=True)
class AnatomyTraining:
    """A whole run: the loop and the task."""

    loop: LoopConfig = FIRST
    anatomy: AnatomyConfig = field(default_factory=AnatomyConfig)


PRESETS = {
    "default": AnatomyTraining(),
    "further": AnatomyTraining(loop=replace(FIRST, epochs=6, learning_rate=7e-4)),
    "tiny": AnatomyTraining(
        loop=replace(
            FIRST, epochs=1, steps_per_epoch=4, learning_rate=1e-2, warmup_steps=1, ema=0.5, precision="f32",
            log_every=2, validate_every=4, checkpoint_every=2,
        ),
        anatomy=AnatomyConfig(batch=2, widths=(4, 8, 8, 8), validation_batches=1),
    ),
}  # fmt: skip
"""`default` trains from nothing, `further` goes on from weights that were trained before, `tiny` is for a trial."""


def choose_settings(wanted: PairRun) -> AnatomyTraining:
    """Put the settings of a new run together.

    Raises
    ------
    UsageProblem
        If there is no such preset.
    DataError
        If the TOML cannot be used.
    """
    named, values = read_toml(wanted.config) if wanted.config else (None, {})
    name = wanted.preset or named or "default"
    if name not in PRESETS:
        raise UsageProblem(f"no preset {name!r} for an anatomy network; there are {', '.join(PRESETS)}")
    settings = PRESETS[name]
    if wanted.config:
        settings = lay_over(settings, values, wanted.config)
    return with_options(settings, wanted)


def with_options(settings: AnatomyTraining, wanted: PairRun) -> AnatomyTraining:
    """Lay what the command line says of the loop over settings."""
    given = {"epochs": wanted.epochs, "threads": wanted.threads, "device": wanted.device}
    return merge(settings, {"loop": {name: value for name, value in given.items() if value is not None}})
