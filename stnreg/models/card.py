"""Trained networks: find them, read their sidecars, and verify their checksums."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stnreg.errors import DataError

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE / "weights", PACKAGE.parent / "weights")  # in a wheel; in a checkout

EDGES = 4, 512
"""Limits of the edges of a network's input, voxels; checked before memory is allocated."""


@dataclass(frozen=True)
class Weights:
    """A network file and its sidecar.

    Attributes
    ----------
    path : Path
        The `.onnx`.
    name : str
    kind : str
        `pair` (two images in, theta out), `pair-last` (the same, for what the passes of a pair network leave),
        `anatomy` (one image in, maps out), `velocity` (two images in, a field out) or `synthesis` (one image in, the
        same in T1 out).
    sha256 : str
        Of the `.onnx`, as the sidecar gives it; `read_checked` compares.
    size : int
        Edge of the input cube, voxels.
    spacing_mm : float
        Of the input cube.
    normalise : str
        Rule of intensity normalisation, as named by `preprocess`.
    card : dict
        The whole sidecar; also has data and terms, commit, steps, scores.
    """

    path: Path
    name: str
    kind: str
    sha256: str
    size: int
    spacing_mm: float
    normalise: str
    card: dict[str, Any]

    @property
    def pose(self) -> "Weights | None":
        """The pose network, if the sidecar names one."""
        return self._named("pose")

    @property
    def last(self) -> "Weights | None":
        """The network of the last pass, if the sidecar of a pair network names one."""
        return self._named("last")

    @property
    def synthesis(self) -> "Weights | None":
        """The synthesis network, if the sidecar of a velocity network names one."""
        return self._named("synthesis")

    def _named(self, key: str) -> "Weights | None":
        """Find a network that the sidecar names; it is in the same folder."""
        return find(str(self.path.with_name(f"{self.card[key]}.onnx"))) if key in self.card else None

    @property
    def identity(self) -> str:
        """The SHA-256 of this network and of those that belong to it: all that results depend on."""
        parts = (self, self.pose, self.last, self.synthesis)
        return "+".join(part.sha256 for part in parts if part is not None)


def folder() -> Path:
    """Return the folder of the networks that come with stnreg.

    Raises
    ------
    DataError
        If this installation has none.
    """
    for candidate in FOLDERS:
        if candidate.is_dir():
            return candidate
    raise DataError(f"{FOLDERS[0]}: no trained networks in this installation; install stnreg again")


def shipped() -> list[str]:
    """Return the names of all networks that come with stnreg, pose networks included."""
    return sorted(path.stem for path in folder().glob("*.onnx"))


def names() -> list[str]:
    """Return the names of the networks that come with stnreg and that `register` accepts as model."""
    return [name for name in shipped() if _is_model(name)]


def _is_model(name: str) -> bool:
    """Return whether a network registers pairs, by its sidecar; the network is not opened."""
    try:
        weights = find(name)
        return weights.kind == "pair" or (weights.kind == "anatomy" and weights.pose is not None)
    except DataError:
        return False


def find(model: str) -> Weights:
    """Find a network by its name, or by the path of an `.onnx` with a sidecar in the same folder.

    Parameters
    ----------
    model : str
        `affine`, `separate`, ..., or `FILE.onnx`.

    Raises
    ------
    DataError
        If there is no such network, or its sidecar is missing or incomplete.
    """
    if model.endswith(".onnx"):
        path = Path(model)
        if not path.is_file():
            raise DataError(f"{path}: no such file; give a network that `stnreg export` wrote")
    else:
        path = folder() / f"{model}.onnx"
        if not path.is_file():
            raise DataError(
                f"no network named {model!r}; there are {', '.join(names()) or 'none'}, or give a FILE.onnx"
            )
    return _with_sidecar(path)


def _with_sidecar(path: Path) -> Weights:
    sidecar = path.with_suffix(".json")
    try:
        card = json.loads(sidecar.read_text(encoding="utf-8"))
        edges = (int(card["size"]), *map(int, card.get("shape", ())))
        if not all(EDGES[0] <= edge <= EDGES[1] for edge in edges) or not 0.1 <= float(card["spacing_mm"]) <= 100:
            raise ValueError(f"a cube of {edges} voxels of {card['spacing_mm']} mm")
        return Weights(
            path=path,
            name=str(card["name"]),
            kind=str(card["kind"]),
            sha256=str(card["sha256"]),
            size=int(card["size"]),
            spacing_mm=float(card["spacing_mm"]),
            normalise=str(card["normalise"]),
            card=card,
        )
    except OSError as error:
        raise DataError(f"{sidecar}: cannot be read ({error.strerror}); it belongs beside {path.name}") from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise DataError(f"{sidecar}: not a sidecar of stnreg export ({error!r})") from error


def read_checked(weights: Weights) -> bytes:
    """Read a network, and verify the SHA-256 of its sidecar.

    Raises
    ------
    DataError
        If the file cannot be read or its SHA-256 is another.
    """
    try:
        content = weights.path.read_bytes()
    except OSError as error:
        raise DataError(f"{weights.path}: cannot be read ({error.strerror})") from error
    found = hashlib.sha256(content).hexdigest()
    if found != weights.sha256:
        raise DataError(
            f"{weights.path}: SHA-256 is {found[:16]}..., its sidecar says {weights.sha256[:16]}...: "
            "damaged or exchanged; install stnreg, or export the network, again"
        )
    return content
