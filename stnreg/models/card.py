"""Trained networks: where they lie, what is known of them, and whether the file is the one that was tested."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stnreg.errors import DataError

PACKAGE = Path(__file__).parents[1]
FOLDERS = (PACKAGE / "weights", PACKAGE.parent / "weights")  # in a wheel; in a checkout

EDGES = 4, 512
"""Voxels along the edges of what a network may ask for, before anything is allocated for it."""


@dataclass(frozen=True)
class Weights:
    """A network file and its sidecar.

    Attributes
    ----------
    path : Path
        The `.onnx`.
    name : str
    kind : str
        `pair` (two images in, theta out), `anatomy` (one image in, maps out) or `velocity` (two images in, a
        field out).
    sha256 : str
        Of the `.onnx`, as the sidecar gives it; `read_checked` compares.
    size : int
        Edge of the input cube, voxels.
    spacing_mm : float
        Of the input cube.
    normalise : str
        Rule for intensities, as `preprocess` names it.
    card : dict
        The whole sidecar: also data and terms, commit, steps, scores.
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
        """The network that finds the head first, where the sidecar names one; it lies beside this one."""
        return find(str(self.path.with_name(f"{self.card['pose']}.onnx"))) if "pose" in self.card else None

    @property
    def identity(self) -> str:
        """What changes whenever a result could: the SHA-256 of this network, and of its pose network."""
        pose = self.pose
        return self.sha256 if pose is None else f"{self.sha256}+{pose.sha256}"


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
    """Name all networks that come with stnreg: whole or not, and those too that only help another."""
    return sorted(path.stem for path in folder().glob("*.onnx"))


def names() -> list[str]:
    """Name the networks that come with stnreg and that `register` takes as its model."""
    return [name for name in shipped() if _is_model(name)]


def _is_model(name: str) -> bool:
    """Tell whether a network aligns pairs, by what its sidecar says; the network itself is not opened."""
    try:
        weights = find(name)
        return weights.kind == "pair" or (weights.kind == "anatomy" and weights.pose is not None)
    except DataError:
        return False


def find(model: str) -> Weights:
    """Find a network by its name, or by the path of an `.onnx` with its sidecar beside it.

    Parameters
    ----------
    model : str
        `affine`, `separate`, ..., or `FILE.onnx`.

    Raises
    ------
    DataError
        If there is no such network, or its sidecar is missing or lacks something.
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
    """Return the bytes of the network, once they are known to be those that the sidecar was written for.

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
