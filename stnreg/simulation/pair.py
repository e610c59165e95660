"""What every kind of simulation makes: a planned pair, and the pair itself."""

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from stnreg.geometry.matrix import Matrix
from stnreg.images.volume import Volume


@dataclass(frozen=True, eq=False)
class SimulatedPair:
    """Two images, the true map between them, and labels where there are some.

    Attributes
    ----------
    fixed, moving : Volume
    fixed_to_moving : (4, 4) float64
        The truth: fixed LPS points to moving LPS points, mm.
    fixed_labels, moving_labels : Volume or None
    fixed_mask : Volume or None
        The brain, 1 or 0.
    """

    fixed: Volume
    moving: Volume
    fixed_to_moving: Matrix
    fixed_labels: Volume | None = None
    moving_labels: Volume | None = None
    fixed_mask: Volume | None = None

    def images(self) -> dict[str, Volume]:
        """Return what there is, by its column in PAIRS.csv."""
        names = ("fixed", "moving", "fixed_labels", "moving_labels", "fixed_mask")
        return {name: volume for name in names if (volume := getattr(self, name)) is not None}


@dataclass(frozen=True)
class Plan:
    """What is decided before anything is painted; cheap, so a table can be written without painting.

    Attributes
    ----------
    columns : dict
        For PAIRS.csv, beside the files.
    choices : dict
        For the painter.
    """

    columns: dict[str, str]
    choices: dict[str, Any] = field(default_factory=dict)


class PairRecipe(Protocol):
    """One kind of simulation; small, frozen and picklable, for it travels to other processes."""

    @property
    def images(self) -> tuple[str, ...]:
        """The columns of PAIRS.csv that its pairs have."""
        ...

    def plan(self, split: str, number: int, rng: np.random.Generator) -> Plan:
        """Decide on pair `number` (from 0) of a split."""
        ...

    def paint(self, plan: Plan, rng: np.random.Generator) -> SimulatedPair:
        """Make the pair."""
        ...
