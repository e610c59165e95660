"""The interface of a stage: from a pair and the current transform to the next transform and findings."""

from dataclasses import dataclass
from typing import Any, Protocol

from stnreg.core.clock import Clock
from stnreg.registration.pair import ImagePair
from stnreg.transforms.base import Transform


@dataclass(frozen=True, eq=False)
class StageResult:
    """The result of a stage.

    Attributes
    ----------
    transform : Transform
        Fixed points to moving points, LPS mm.
    findings : object
        Further results, of a type of the stage's own, or None.
    """

    transform: Transform
    findings: Any = None


class Stage(Protocol):
    """One step of a registration."""

    @property
    def name(self) -> str:
        """The name under which its time is reported."""

    def __call__(self, pair: ImagePair, transform: Transform | None) -> StageResult:
        """Return the next transform. `transform` is the current one, None at the first stage."""


def run_stage(stage: Stage, pair: ImagePair, transform: Transform | None, clock: Clock) -> StageResult:
    """Run a stage, and time it under its name."""
    with clock.stage(stage.name):
        return stage(pair, transform)
