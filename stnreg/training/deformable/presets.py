"""Settings with a name, of the training of velocity and synthesis networks. Torch and numpy alone."""

from stnreg.networks.synthesis import SynthesisShape
from stnreg.networks.velocity import VelocityShape
from stnreg.training.deformable.batch import BatchSettings
from stnreg.training.deformable.objective import LossSettings
from stnreg.training.deformable.synthesis import SynthesisSettings
from stnreg.training.deformable.task import TrainSettings

PRESETS = {
    "default": TrainSettings(),
    "further": TrainSettings(steps=729, rate=5e-4, warmup=0.08, smoothness=0.004, loss=LossSettings(floor=0.0005)),
    "twice": TrainSettings(
        steps=1377, rate=8e-4, warmup=0.05, smoothness=0.004, batch=BatchSettings(4, 3, 1),
        loss=LossSettings(floor=0.0005, passes=2),
    ),
    "contrasts": TrainSettings(
        steps=1638, rate=7e-4, warmup=0.05, smoothness=0.004, start_share=0.5,
        batch=BatchSettings(4, 3, 1, painted_warp_mm=4.5, labelled_share=0.35, contrast_share=0.25),
        loss=LossSettings(floor=0.0005, passes=2, contrast=0.03),
    ),
    "tiny": TrainSettings(
        steps=3,
        half=False,
        validation_pairs=2,
        network=VelocityShape(
            (16, 24, 16), 10.0, widths=(4, 4, 4), matcher_widths=(4, 4), match_channels=4, repeats=(1, 1),
            bounds_mm=(8.0, 12.0),
        ),
        batch=BatchSettings(1, 1, 1),
    ),
}  # fmt: skip
"""`default` trains from the encoder of the anatomy network, `further` goes on with weights that `default` left, `twice`
with those that `further` left, and shows each pair to the network twice, as `stnreg register --deform` does.
`contrasts` goes on with those that `twice` left: it paints scans from their labels, so that contrasts are learnt on as
many anatomies as there are scans, and leaves the mean of both weights. `tiny` is for a trial. The network that comes
with stnreg was trained by the first four in turn, on one GPU."""

SYNTHESIS_PRESETS = {
    "default": SynthesisSettings(),
    "tiny": SynthesisSettings(
        steps=3,
        half=False,
        network=SynthesisShape((16, 24, 16), 10.0, widths=(4, 4, 4), head_width=4),
        batch=BatchSettings(1, 0, 1),
    ),
}
"""`default` is how the network that comes with stnreg was trained, from the encoder of the velocity network, in ten
minutes on one GPU. `tiny` is for a trial."""
