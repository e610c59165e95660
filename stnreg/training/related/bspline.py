"""The task `bspline`: coefficients by local correlation, smoothness, and a penalty on what might fold."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from stnreg.networks.bspline import BSplineNet, BSplineShape, too_steep
from stnreg.training.deformable import losses
from stnreg.training.related.heads import Moves, Pair
from stnreg.training.related.task import RelatedTask, Similarity


@dataclass(frozen=True)
class BSplineSettings:
    """Settings of the task.

    Attributes
    ----------
    network : BSplineShape
    similarity : Similarity
    smoothness : float
        Weight of the mean squared slope of the displacement.
    steep : float
        Weight of what differences of neighbouring coefficients exceed a third of their spacing by.
    moves : Moves
        None: heads come as their affines have put them into the frame.
    validation_pairs : int
    """

    network: BSplineShape = field(default_factory=BSplineShape)
    similarity: Similarity = field(default_factory=Similarity)
    smoothness: float = 0.03
    steep: float = 0.0
    moves: Moves = field(default_factory=Moves)
    validation_pairs: int = 8


class BSplineTask(RelatedTask):
    """Trains without supervision."""

    def build(self) -> BSplineNet:
        """Return a new network."""
        return BSplineNet(self.settings.network)

    def parts(self, model: Any, pair: Pair) -> dict[str, Tensor]:
        """Return similarity, smoothness and steepness."""
        s: BSplineSettings = self.settings
        coefficients = model.coefficients(pair.images)
        displacement = model.displacement(coefficients)
        likeness = s.similarity.of_pair(pair, displacement, s.network.spacing_mm)
        slope = losses.unevenness(displacement, s.network.spacing_mm)
        steep = too_steep(coefficients, model.control_mm)
        loss = likeness + s.smoothness * slope + s.steep * steep
        return {"loss": loss, "likeness": likeness, "slope": slope, "steep": steep}
