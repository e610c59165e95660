"""The task of one pair: paths, settings, outputs, and a fingerprint of all that the outputs depend on."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from stnreg import __version__
from stnreg.batch.naming import Outputs, Scheme
from stnreg.batch.table import Row
from stnreg.datasets.pair_table import Pair
from stnreg.errors import DataError
from stnreg.models.card import find
from stnreg.registration.by_anatomy import VELOCITY_MODEL
from stnreg.registration.options import RegistrationOptions

Qc = Literal["none", "png", "svg", "html"]


class Task(Protocol):
    """A unit of work of a run: a pair, or a series of visits."""

    @property
    def id(self) -> str:
        """Unique in a run."""

    @property
    def shared(self) -> Path:
        """A file that is encoded once for consecutive tasks that share it."""

    @property
    def device(self) -> str:
        """Where the networks run."""

    @property
    def wanted(self) -> list[Path]:
        """The files of a finished task."""

    def fingerprint(self, digest: Callable[[Path], str]) -> str:
        """Return a digest of all that the outputs depend on."""

    def run(self, following: Any = None) -> Row:
        """Do the work, write the outputs and return the row of the table; errors become its reason."""

    def died(self, reason: str, tries: int) -> Row:
        """Return the row of a task whose workers died."""


@dataclass(frozen=True)
class Settings:
    """Settings of all pairs: registration options and outputs.

    Attributes
    ----------
    options : RegistrationOptions
    sampling : dict
        `interp`, `background` and `dtype` of the moved images.
    image, inverse : bool
        Whether to write MOVING on the grid of FIXED, and FIXED on that of MOVING.
    qc : {"none", "png", "svg", "html"}
        Output for quality control of each pair, besides its slices on the page of the study.
    """

    options: RegistrationOptions
    sampling: dict[str, Any] = field(default_factory=dict)
    image: bool = True
    inverse: bool = False
    qc: Qc = "none"


@dataclass(frozen=True)
class BatchTask:
    """One pair with everything that a worker needs.

    Attributes
    ----------
    pair : Pair
        With absolute paths.
    settings : Settings
    outputs : Outputs
        With absolute paths.
    """

    pair: Pair
    settings: Settings
    outputs: Outputs

    @property
    def id(self) -> str:
        """The id of the pair."""
        return self.pair.id

    @property
    def shared(self) -> Path:
        """The fixed image."""
        return self.pair.fixed

    @property
    def device(self) -> str:
        """Where the networks run."""
        return self.settings.options.device

    def run(self, following: "BatchTask | None" = None) -> Row:
        """Register the pair; see `stnreg.batch.work.run_task`."""
        from stnreg.batch.work import run_task

        return run_task(self, following)

    def died(self, reason: str, tries: int) -> Row:
        """Return the row of a pair whose workers died."""
        from stnreg.batch.work import worker_died_row

        return worker_died_row(self, reason, tries)

    @property
    def inputs(self) -> list[Path]:
        """The files that the outputs depend on."""
        pair = self.pair
        files = (pair.fixed, pair.moving, pair.fixed_mask, pair.moving_mask, pair.moving_labels)
        return [path for path in files if path is not None]

    @property
    def wanted(self) -> list[Path]:
        """The files of a finished pair."""
        out, settings = self.outputs, self.settings
        asked = {
            **({out.warp: True} if out.warp is not None else {}),
            out.transform: True,
            out.document: True,
            out.preview: True,
            out.image: settings.image,
            out.inverse: settings.inverse,
            out.labels: self.pair.moving_labels is not None,
            out.png: settings.qc == "png",
            out.svg: settings.qc == "svg",
            out.html: settings.qc == "html",
        }
        return [*(path for path, is_wanted in asked.items() if is_wanted), *self.sidecars]

    @property
    def sidecars(self) -> dict[Path, Path]:
        """The sidecars of images other than that of the pair, each with the source of its voxels."""
        out, settings, pair = self.outputs, self.settings, self.pair
        asked = (
            (out.image_document, settings.image, pair.moving),
            (out.inverse_document, settings.inverse, pair.fixed),
        )
        return {path: source for path, is_wanted, source in asked if path is not None and is_wanted}

    @property
    def shown(self) -> dict[str, Path]:
        """Files for the page of the study: `preview` is shown, the others are linked."""
        out = self.outputs
        return {
            "preview": out.preview,
            "page": out.html,
            "picture": out.png,
            "flicker": out.svg,
            "JSON": out.document,
            "transform": out.transform,
            **({"warp": out.warp} if out.warp is not None else {}),
            "image": out.image,
        }

    def fingerprint(self, digest: Callable[[Path], str]) -> str:
        """Return a digest of all that the outputs depend on: the inputs' content, the settings, the network, stnreg.

        Threads and device are not included: they change the last digits only.

        Parameters
        ----------
        digest : callable
            Returns the digest of a file's content.

        Raises
        ------
        OSError
            If an input cannot be read.
        """
        options = self.settings.options
        settings = asdict(self.settings) | {"options": options.outcome}
        model, velocity = find(options.model), find(VELOCITY_MODEL) if options.deform else None
        known: dict[str, Any] = {
            "inputs": [[str(path), digest(path)] for path in self.inputs],
            "settings": settings,
            "model": model.identity,
            "calibration": model.card.get("calibration"),
            "stnreg": __version__,
        }
        if velocity is not None:
            known["velocity"] = [velocity.sha256, velocity.card.get("calibration")]
        return hashlib.sha256(json.dumps(known, sort_keys=True).encode()).hexdigest()[:32]


def digest_file(path: Path) -> str:
    """Return the digest of a file's content; of a folder, of the names and content of the files in it."""
    if path.is_dir():
        held = [(file.name, digest_file(file)) for file in sorted(path.iterdir()) if file.is_file()]
        return hashlib.sha256(json.dumps(held).encode()).hexdigest()[:32]
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:32]


def make_tasks(pairs: Sequence[Pair], folder: Path, settings: Settings, scheme: Scheme) -> list[BatchTask]:
    """Create the tasks of a table of pairs.

    Parameters
    ----------
    pairs : sequence of Pair
    folder : Path
        Folder of the outputs.
    settings : Settings
    scheme : Scheme
        Naming scheme of the outputs.

    Raises
    ------
    DataError
        If an id is not a valid output name, or two pairs would write the same file.
    """
    tasks: list[BatchTask] = []
    taken: dict[Path, str] = {}
    for pair in pairs:
        task = BatchTask(_absolute(pair), settings, scheme(pair, folder.absolute(), settings.options.deform))
        other = taken.setdefault(task.outputs.transform, pair.id)
        if other != pair.id:
            raise DataError(f"pairs {other} and {pair.id} would both write {task.outputs.transform}")
        tasks.append(task)
    return tasks


def _absolute(pair: Pair) -> Pair:
    values = {name: getattr(pair, name) for name in pair.__dataclass_fields__}
    paths = {name: Path(os.path.abspath(value)) for name, value in values.items() if isinstance(value, Path)}
    return Pair(**(values | paths))
