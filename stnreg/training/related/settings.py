"""Models and presets of the related methods, and the settings of a run."""

from dataclasses import dataclass, field, replace

from stnreg.networks.bspline import BSplineShape
from stnreg.networks.dual_guided import DualGuidedShape
from stnreg.networks.linear_deformable import LinearDeformableShape
from stnreg.training.config import LoopConfig
from stnreg.training.related.bspline import BSplineSettings
from stnreg.training.related.dual_guided import DualGuidedSettings
from stnreg.training.related.linear_deformable import LinearDeformableSettings

Settings = LinearDeformableSettings | DualGuidedSettings | BSplineSettings


@dataclass(frozen=True)
class RelatedTraining:
    """What a TOML file may say: the tables `[loop]` and `[related]`."""

    loop: LoopConfig = field(default_factory=LoopConfig)
    related: Settings = field(default_factory=LinearDeformableSettings)


def _loop(steps: int, rate: float) -> LoopConfig:
    """Return a loop of `steps`, validated and saved now and then."""
    return LoopConfig(
        epochs=1, steps_per_epoch=steps, learning_rate=rate, warmup_steps=50, ema=0.99, threads=1,
        log_every=25, validate_every=500, checkpoint_every=100,
    )  # fmt: skip


_TRIAL = LoopConfig(
    epochs=1, steps_per_epoch=3, warmup_steps=1, ema=0.9, precision="f32", log_every=1, validate_every=2,
    checkpoint_every=1, threads=1,
)  # fmt: skip
_FREE = BSplineSettings(network=BSplineShape(steps=1, share=0.0))
_BOX = (16, 24, 16)

PRESETS: dict[str, dict[str, RelatedTraining]] = {
    "linear-deformable": {
        "default": RelatedTraining(_loop(800, 2e-3), LinearDeformableSettings()),
        "further": RelatedTraining(_loop(400, 1e-3), LinearDeformableSettings(gradients=0.02)),
        "tiny": RelatedTraining(
            _TRIAL,
            LinearDeformableSettings(LinearDeformableShape(_BOX, 10.0, 4, (1, 2), 4), validation_pairs=1),
        ),
    },
    "dual-guided": {
        "default": RelatedTraining(_loop(1200, 2e-3), DualGuidedSettings()),
        "tiny": RelatedTraining(
            _TRIAL,
            DualGuidedSettings(
                DualGuidedShape(_BOX, 10.0, (4, 4, 4), 1), guided_pairs=2, patch=8, margin=2, validation_pairs=1
            ),
        ),
    },
    "bspline": {
        "default": RelatedTraining(_loop(1500, 2e-3), BSplineSettings()),
        "unbounded": RelatedTraining(_loop(1500, 2e-3), _FREE),
        "penalty": RelatedTraining(_loop(150, 1e-3), replace(_FREE, steep=100.0)),
        "tiny": RelatedTraining(_TRIAL, BSplineSettings(BSplineShape(_BOX, 10.0, (4, 4, 4), 2), validation_pairs=1)),
    },
}
"""`linear-deformable` finds the affine by `default`; `further` goes on with its weights, and lets the deformation go
farther from the identity. `bspline` is bounded by `default`, not at all by `unbounded`, and by a penalty alone by
`penalty`, which goes on with the weights of `unbounded`. `tiny` is for a trial."""
