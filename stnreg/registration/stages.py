"""The shape of a stage: a pair and the transform so far go in, the transform and what was found come out."""

from dataclasses import dataclass
from typing import Any, Protocol

from stnreg.core.clock import Clock
from stnreg.registration.pair import ImagePair
from stnreg.transforms.base import Transform


@dataclass(frozen=True, eq=False)
class StageResult:
    """What a stage gives.

    Attributes
    ----------
    transform : Transform
        Fixed points to moving points, LPS mm.
    findings : object
        What the stage measured, of a type of its own; None where there is nothing to tell.
    """

    transform: Transform
    findings: Any = None


class Stage(Protocol):
    """One step of a registration."""

    @property
    def name(self) -> str:
        """Under which its time is reported."""

    def __call__(self, pair: ImagePair, transform: Transform | None) -> StageResult:
        """Take the transform so far, None where there is none yet, to the next."""


def run_stage(stage: Stage, pair: ImagePair, transform: Transform | None, clock: Clock) -> StageResult:
    """Run a stage, timed under its name."""
    with clock.stage(stage.name):
        return stage(pair, transform)
