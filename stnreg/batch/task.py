"""One pair as a worker gets it: paths, settings, where its outputs go, and a fingerprint of what they depend on."""

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from stnreg import __version__
from stnreg.batch.naming import Outputs, Scheme
from stnreg.datasets.pair_table import Pair
from stnreg.errors import DataError
from stnreg.models.card import find
from stnreg.registration.by_anatomy import VELOCITY_MODEL
from stnreg.registration.options import RegistrationOptions

Qc = Literal["none", "png", "html"]


@dataclass(frozen=True)
class Settings:
    """What is the same for every pair: how it is registered, and what is written.

    Attributes
    ----------
    options : RegistrationOptions
    sampling : dict
        `interp`, `background` and `dtype` of the moved images.
    image, inverse : bool
        Whether to write MOVING on FIXED, and FIXED on MOVING.
    qc : {"none", "png", "html"}
        What to draw for each pair, beside its picture on the page of the study.
    """

    options: RegistrationOptions
    sampling: dict[str, Any] = field(default_factory=dict)
    image: bool = True
    inverse: bool = False
    qc: Qc = "none"


@dataclass(frozen=True)
class Task:
    """One pair and all that is needed to align it, wherever that happens.

    Attributes
    ----------
    pair : Pair
        With absolute paths.
    settings : Settings
    outputs : Outputs
        Absolute paths too.
    """

    pair: Pair
    settings: Settings
    outputs: Outputs

    @property
    def inputs(self) -> list[Path]:
        """The files that the outputs depend on."""
        pair = self.pair
        files = (pair.fixed, pair.moving, pair.fixed_mask, pair.moving_mask, pair.moving_labels)
        return [path for path in files if path is not None]

    @property
    def wanted(self) -> list[Path]:
        """The files that are there when the pair is done."""
        out, settings = self.outputs, self.settings
        asked = {
            **({out.warp: True} if out.warp is not None else {}),
            out.transform: True,
            out.document: True,
            out.thumbnail: True,
            out.image: settings.image,
            out.inverse: settings.inverse,
            out.labels: self.pair.moving_labels is not None,
            out.png: settings.qc == "png",
            out.html: settings.qc == "html",
        }
        return [*(path for path, is_wanted in asked.items() if is_wanted), *self.sidecars]

    @property
    def sidecars(self) -> dict[Path, Path]:
        """The documents that images have beside that of the pair, each with the image whose voxels it speaks of."""
        out, settings, pair = self.outputs, self.settings, self.pair
        asked = (
            (out.image_document, settings.image, pair.moving),
            (out.inverse_document, settings.inverse, pair.fixed),
        )
        return {path: source for path, is_wanted, source in asked if path is not None and is_wanted}

    @property
    def shown(self) -> dict[str, Path]:
        """What the page of the study draws (`thumbnail`) and links to, where it is there."""
        out = self.outputs
        return {
            "thumbnail": out.thumbnail,
            "page": out.html,
            "picture": out.png,
            "JSON": out.document,
            "transform": out.transform,
            **({"warp": out.warp} if out.warp is not None else {}),
            "image": out.image,
        }

    def fingerprint(self, digest: Callable[[Path], str]) -> str:
        """Return what changes whenever the outputs could: the inputs' content, the settings, the network, stnreg.

        Threads and device are left out: they change the last digits alone.

        Parameters
        ----------
        digest : callable
            From a file to the digest of its content.

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
    """Return the digest of a file's content."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()[:32]


def make_tasks(pairs: Sequence[Pair], folder: Path, settings: Settings, scheme: Scheme) -> list[Task]:
    """Lay out the work of a table of pairs.

    Parameters
    ----------
    pairs : sequence of Pair
    folder : Path
        Where the outputs go.
    settings : Settings
    scheme : Scheme
        How outputs are named.

    Raises
    ------
    DataError
        If an id is not a name for outputs, or two pairs would write the same file.
    """
    tasks: list[Task] = []
    taken: dict[Path, str] = {}
    for pair in pairs:
        task = Task(_absolute(pair), settings, scheme(pair, folder.absolute(), settings.options.deform))
        other = taken.setdefault(task.outputs.transform, pair.id)
        if other != pair.id:
            raise DataError(f"pairs {other} and {pair.id} would both write {task.outputs.transform}")
        tasks.append(task)
    return tasks


def _absolute(pair: Pair) -> Pair:
    values = {name: getattr(pair, name) for name in pair.__dataclass_fields__}
    paths = {name: Path(os.path.abspath(value)) for name, value in values.items() if isinstance(value, Path)}
    return Pair(**(values | paths))
