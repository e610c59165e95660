"""Presets of the relatives of the published method: networks that regress the parameters of known moves.

Sloan et al., "Learning Rigid Image Registration: Utilizing Convolutional Neural Networks for Medical Image
Registration", BIOIMAGING 2018: rigid parameters by a convolutional network (CNN) or a fully convolutional one (FCN).
Inverse consistency is implicit (both orders of a pair in the batch) or explicit (a term of the loss).

Chee and Wu, "AIRNet: Self-Supervised Affine Registration for 3D Medical Images using Neural Networks", arXiv
1810.02583: one encoder per image with shared weights, twelve parameters, trained on synthetic moves.

Both are trained without a similarity of images. The grids here are small, so that a network trains in minutes.
"""

from dataclasses import dataclass

from stnreg.networks.pair import PairArchitecture
from stnreg.training.config import AugmentConfig, LoopConfig, LossConfig, MovesConfig, PairConfig, TrainConfig

SIZE, SPACING_MM = 32, 8.0
RIGID_MOVES = MovesConfig(
    start_deg=20.0, rotation_deg=20.0, translation_mm=20.0, scale=0.0, shear=0.0, pose=0.5, curriculum=0.0
)
AFFINE_MOVES = MovesConfig(
    start_deg=20.0, rotation_deg=20.0, translation_mm=20.0, scale=0.15, shear=0.08, pose=0.5, curriculum=0.0
)
CONSISTENCY = 0.01  # weight of the explicit inverse consistency; with 0.1 the network stays at the identity


@dataclass(frozen=True)
class Relative:
    """What tells a relative from the others.

    Attributes
    ----------
    body, head : str
        As in `PairArchitecture`.
    both_ways : bool
        Whether both orders of a pair are in the batch: implicit inverse consistency.
    consistency : float
        Weight of the inverse consistency in the loss.
    """

    body: str
    head: str
    both_ways: bool = False
    consistency: float = 0.0


RELATIVES = {
    "sloan-cnn": Relative("dense", "rigid"),
    "sloan-fcn": Relative("fcn", "rigid"),
    "sloan-implicit": Relative("fcn", "rigid", both_ways=True),
    "sloan-explicit": Relative("fcn", "rigid", consistency=CONSISTENCY),
    "airnet": Relative("twin", "affine", both_ways=True),
}


def relative(name: str) -> TrainConfig:
    """Return the settings of a relative, by its name in `RELATIVES`."""
    one = RELATIVES[name]
    return TrainConfig(
        loop=LoopConfig(
            epochs=2 if one.head == "rigid" else 3,
            steps_per_epoch=500,
            learning_rate=2e-3,
            ema=0.99,
            precision="f32",
            log_every=100,
            validate_every=500,
            checkpoint_every=500,
        ),
        pair=PairConfig(
            model=PairArchitecture(head=one.head, size=SIZE, channels=(8, 16, 32), hidden=128, body=one.body),
            spacing_mm=SPACING_MM,
            oversampling=1,
            batch=8,
            both_ways=one.both_ways,
            same_share=1.0,
            moves=RIGID_MOVES if one.head == "rigid" else AFFINE_MOVES,
            augment=AugmentConfig(crop_probability=0.0, window=0.3, window_probability=0.5),
            loss=LossConfig(mse=0.0, parameters=1.0, inverse_consistency=one.consistency),
        ),
    )
