"""The interface of simulations: a plan, and a simulated pair."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume


@dataclass(frozen=True, eq=False)
class SimulatedPair:
    """Two images, the true transform between them, and labels if available.

    Attributes
    ----------
    fixed, moving : Volume
    fixed_to_moving : (4, 4) float64
        The truth: fixed LPS points to moving LPS points, mm.
    fixed_labels, moving_labels : Volume or None
    fixed_mask : Volume or None
        The brain mask, 1 or 0.
    """

    fixed: Volume
    moving: Volume
    fixed_to_moving: Matrix
    fixed_labels: Volume | None = None
    moving_labels: Volume | None = None
    fixed_mask: Volume | None = None

    def images(self) -> dict[str, Volume]:
        """Return the volumes by their column in PAIRS.csv."""
        names = ("fixed", "moving", "fixed_labels", "moving_labels", "fixed_mask")
        return {name: volume for name in names if (volume := getattr(self, name)) is not None}


@dataclass(frozen=True)
class Plan:
    """The random choices of a pair before painting. They are cheap, so a table can be written without painting.

    Attributes
    ----------
    columns : dict
        Columns of PAIRS.csv other than files.
    choices : dict
        Arguments of the painter.
    """

    columns: dict[str, str]
    choices: dict[str, Any] = field(default_factory=dict)


class PairRecipe(Protocol):
    """One kind of simulation; frozen and picklable, since it is sent to other processes."""

    @property
    def images(self) -> tuple[str, ...]:
        """The columns of PAIRS.csv that its pairs have."""
        ...

    def plan(self, split: str, number: int, rng: np.random.Generator) -> Plan:
        """Draw the plan of pair `number` (from 0) of a split."""
        ...

    def paint(self, plan: Plan, rng: np.random.Generator) -> SimulatedPair:
        """Make the pair."""
        ...
