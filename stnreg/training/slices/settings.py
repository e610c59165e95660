"""The settings of a slice network: presets of the four variants of Sloan et al."""

from dataclasses import dataclass, field

from stnreg.networks.slices import SliceArchitecture
from stnreg.training.config import LoopConfig
from stnreg.training.relatives import RELATIVES

SUFFIX = "-2d"
CONSISTENCY = 0.1  # weight of the explicit inverse consistency, which is squared here
SLICE_PRESETS = tuple(f"{name}{SUFFIX}" for name, one in RELATIVES.items() if one.head == "rigid")


@dataclass(frozen=True)
class SliceConfig:
    """Settings of the slice task.

    Attributes
    ----------
    model : SliceArchitecture
    spacing_mm : float
        Of the slices.
    batch : int
        Pairs per step.
    both_ways : bool
        Half of the pairs are the other half with the slices exchanged: implicit inverse consistency.
    consistency : float
        Weight of the inverse consistency in the loss: explicit.
    rotation_deg, translation_mm : float
        Ranges, plus or minus, of the moves.
    middle : float
        Share of the slices, about the middle of the cube, that are used.
    noise, gamma : float
        Augmentation, as in `AugmentConfig`.
    validation_pairs : int
    """

    model: SliceArchitecture = field(default_factory=SliceArchitecture)
    spacing_mm: float = 4.0
    normalise: str = "minmax"
    batch: int = 16
    both_ways: bool = False
    consistency: float = 0.0
    rotation_deg: float = 20.0
    translation_mm: float = 20.0
    middle: float = 0.4
    noise: float = 0.03
    gamma: float = 0.3
    validation_pairs: int = 128


@dataclass(frozen=True)
class SliceRunConfig:
    """A whole run: the loop and the task."""

    loop: LoopConfig = field(default_factory=LoopConfig)
    slices: SliceConfig = field(default_factory=SliceConfig)


def slice_preset(name: str) -> SliceRunConfig:
    """Return the settings of one of `SLICE_PRESETS`."""
    one = RELATIVES[name.removesuffix(SUFFIX)]
    loop = LoopConfig(
        epochs=5,
        steps_per_epoch=500,
        learning_rate=2e-3,
        ema=0.99,
        precision="f32",
        log_every=100,
        validate_every=500,
        checkpoint_every=500,
    )
    consistency = CONSISTENCY if one.consistency else 0.0
    model = SliceArchitecture(body=one.body)
    return SliceRunConfig(loop, SliceConfig(model, both_ways=one.both_ways, consistency=consistency))
