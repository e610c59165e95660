"""Limits of a verdict as a calibration measured them: beside those in the sidecar, in a table, and written to it."""

import json
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.core.files import write_atomic
from stnreg.models.card import Weights
from stnreg.training.anatomy.thresholds import Threshold

Line = tuple[str, float, float | str, str]
"""Of a table: name, measured, in the sidecar, rule."""
TOLERANCE = 0.01  # of a limit, beside the one in the sidecar


@dataclass(frozen=True)
class Measured(ABC):
    """What a calibration found.

    Attributes
    ----------
    weights : Weights
        The network, with the sidecar as it was.
    outcomes : sequence
        Of registrations or deformations, each with `is_right`.
    limits : dict of Threshold
        By the names that the sidecar has for them.
    """

    weights: Weights
    outcomes: Sequence[Any]
    limits: dict[str, Threshold]

    @property
    @abstractmethod
    def pairs(self) -> int:
        """How many pairs were measured on."""

    @property
    def agrees(self) -> bool:
        """Whether every limit in the sidecar is what was measured, to `TOLERANCE`."""
        block = self.weights.card.get("calibration", {})
        return all(abs(float(block.get(n, np.inf)) - one.value) <= TOLERANCE for n, one in self.limits.items())

    def write(self) -> Path:
        """Write the limits into the sidecar, whole or not at all, and return its path."""
        card = {**self.weights.card}
        card["calibration"] = {name: one.value for name, one in self.limits.items()}
        card["calibrated"] = {"pairs": self.pairs, "how": {name: one.how for name, one in self.limits.items()}}
        path = self.weights.path.with_suffix(".json")
        write_atomic(path, (json.dumps(card, indent=2) + "\n").encode())
        return path

    def spread_of(self, names: Sequence[str]) -> Iterator[Line]:
        """Yield the median of each figure of right and of failed outcomes, with its 5th and 95th percentile."""
        for wanted, kind in ((True, "right"), (False, "failed")):
            of = [one for one in self.outcomes if one.is_right is wanted]
            for name in names if of else ():
                low, middle, high = np.percentile([getattr(one, name) for one in of], (5, 50, 95))
                rule = f"median of {len(of)}; 5th to 95th percentile {low:.3f} to {high:.3f}"
                yield f"{name}, {kind}", round(float(middle), 3), "", rule

    def limits_beside(self) -> Iterator[Line]:
        """Yield every limit beside the one in the sidecar."""
        block = self.weights.card.get("calibration", {})
        for name, one in self.limits.items():
            yield name, one.value, block.get(name, ""), one.how
