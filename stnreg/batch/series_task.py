"""The task of one subject: visits, settings, outputs and a fingerprint; and the row of the table of subjects."""

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stnreg import __version__
from stnreg.batch.series_naming import SeriesOutputs
from stnreg.batch.table import LOST, Row
from stnreg.datasets.subject_table import Subject
from stnreg.models.card import find
from stnreg.registration.series.options import SeriesOptions

COLUMNS = (
    *("id", "status", "reasons", "visits", "kept", "left_out", "score", "disagreement_mm", "motion_mm"),
    *("brain_change_percent", "brain_change_error_percent", "warnings", "template", "fingerprint", "tries", "total_s"),
)
MEMORY, MEMORY_PER_VISIT = 700_000_000, 250_000_000  # bytes; maximum of `series` for images of 256^3


@dataclass(frozen=True)
class SeriesTask:
    """One subject with everything that a worker needs.

    Attributes
    ----------
    subject : Subject
        With absolute paths.
    options : SeriesOptions
    outputs : SeriesOutputs
        With absolute paths.
    image : bool
        Whether the visits are written in the space of the template.
    """

    subject: Subject
    options: SeriesOptions
    outputs: SeriesOutputs
    image: bool = True

    @property
    def id(self) -> str:
        """The id of the subject."""
        return self.subject.id

    @property
    def shared(self) -> Path:
        """The first visit: nothing is shared between subjects."""
        return self.subject.images[0]

    @property
    def device(self) -> str:
        """Where the networks run; images are not read ahead."""
        return "cpu"

    @property
    def memory(self) -> int:
        """Bytes that the series needs at most."""
        return MEMORY + MEMORY_PER_VISIT * len(self.subject.images)

    @property
    def wanted(self) -> list[Path]:
        """The files of every finished subject, whatever became of single visits."""
        return [self.outputs.table, self.outputs.document]

    def fingerprint(self, digest: Callable[[Path], str]) -> str:
        """Return a digest of all that the outputs depend on: the images' content, the settings, the network, stnreg.

        Raises
        ------
        OSError
            If an input cannot be read.
        """
        images = zip(self.subject.sessions, self.subject.images, strict=True)
        model = find(self.options.model)
        known: dict[str, Any] = {
            "inputs": [[name, str(path), digest(path)] for name, path in images],
            "options": self.options.outcome | {"image": self.image},
            "model": model.identity,
            "calibration": model.card.get("calibration"),
            "stnreg": __version__,
        }
        if self.subject.excludes:
            known["exclude"] = {name: digest(path) for name, path in self.subject.excludes.items()}
        if self.options.reference not in ("unbiased", "first"):
            known["reference"] = digest(Path(self.options.reference))
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:32]

    def run(self, following: Any = None) -> Row:
        """Register the series; see `stnreg.batch.series_work.run_series`."""
        from stnreg.batch.series_work import run_series

        return run_series(self)

    def died(self, reason: str, tries: int) -> Row:
        """Return the row of a subject whose workers died."""
        return {"id": self.id, "status": LOST, "reasons": reason, "tries": tries}
