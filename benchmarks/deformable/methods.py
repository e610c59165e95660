"""The methods of the deformable benchmark, each a process of its own on files, and what their files say."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.accuracy.methods import BrokenToolError, Figures, one_thread, run_told
from stnreg.transforms.affine import Affine
from stnreg.transforms.chain import Chain
from stnreg.transforms.displacement import DisplacementField
from stnreg.transforms.io.files import load_transform
from stnreg.transforms.io.warp import load_warp

OURS = "stnreg-deform"
PEERS = (
    "greedy-deform",
    "greedy-deform-long",
    "greedy-deform-sv",
    "ants-synquick",
    "ants-syn",
    "elastix-bspline",
    "sitk-bspline",
)
OWN = "-own"
"""After a peer's name: from its own affine instead of ours."""
METHODS = (OURS, *PEERS, *(peer + OWN for peer in PEERS))


@dataclass(frozen=True, eq=False)
class Found:
    """What a method wrote: a fixed point meets the warp, and then the affine."""

    warp: DisplacementField
    affine: np.ndarray

    @property
    def transform(self) -> Chain:
        """All of it, fixed to moving."""
        return Chain((self.warp, Affine(self.affine)))


def our_affine(fixed: Path, moving: Path, out: Path) -> None:
    """Write the affine that peers start from."""
    ended = subprocess.run(
        [*_stnreg("register"), str(fixed), str(moving), "-t", str(out), "--threads", "1", "--on-fail", "warn"],
        env=one_thread(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ended.returncode:
        raise BrokenToolError(ended.stderr[-2000:])


def run_method(method: str, fixed: Path, moving: Path, start: Path, folder: Path) -> tuple[Found | None, Figures]:
    """Run one method as a user would, with one thread; it writes the moved image, the affine and the warp.

    Parameters
    ----------
    method : str
    fixed, moving, start : Path
        The images, and our affine.
    folder : Path
        Where it writes.

    Returns
    -------
    found : Found or None
        None where the method gave up.
    figures : dict
        Seconds of the whole process, exit status, and its verdict.

    Raises
    ------
    BrokenToolError
        If what ended is stnreg with a traceback, rather than the method.
    """
    if method == OURS:
        verb = [*_stnreg("register"), "--deform"]
    else:
        verb = [*_stnreg("baseline"), "--method", method.removesuffix(OWN)]
        verb += [] if method.endswith(OWN) else ["--init", str(start)]
    affine, warp, document = (folder / f"{method}{end}" for end in (".tfm", "_warp.nii.gz", ".json"))
    command = [*verb, str(fixed), str(moving), "-o", str(folder / f"{method}.nii.gz"), "-t", str(affine)]
    command += ["--warp", str(warp), "--json", str(document), "--threads", "1"]
    told, figures = run_told(command, document, f"{method} on {fixed.parent}")
    return _read(warp, affine) if told else None, figures


def consistency(fixed: Path, moving: Path, found: Found, points: np.ndarray, folder: Path) -> Figures:
    """Register the images exchanged, by our method.

    Parameters
    ----------
    fixed, moving : Path
    found : Found
        Of the images as they are.
    points : (N, 3) float64
        Of the fixed brain, LPS mm.
    folder : Path

    Returns
    -------
    figures : dict
        `inverse_mm`, `inverse_max_mm`: how far a point comes back from itself through a warp and the inverse warp that
        was written with it. `exchange_mm`, `exchange_max_mm`: how far the map is from the exchanged one's inverse.
    """
    affine, warp, back = (folder / name for name in ("exchanged.tfm", "exchanged.nii.gz", "exchanged_back.nii.gz"))
    ended = subprocess.run(
        [*_stnreg("register"), "--deform", str(moving), str(fixed), "-t", str(affine), "--warp", str(warp),
         "--inverse-warp", str(back), "--threads", "1", "--on-fail", "warn"],
        env=one_thread(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ended.returncode:
        print(f"exchanged, on {fixed.parent}:\n{ended.stderr[-500:]}", file=sys.stderr)
        return {}
    exchanged = _read(warp, affine)
    inverse = Chain((load_warp(back).members[0], Affine(exchanged.affine).inverse()))
    there = found.transform.map_points(points)
    off = np.linalg.norm(inverse.map_points(points) - there, axis=1)
    returned = np.linalg.norm(inverse.map_points(exchanged.transform.map_points(there)) - there, axis=1)
    return {
        "inverse_mm": float(returned.mean()),
        "inverse_max_mm": float(returned.max()),
        "exchange_mm": float(off.mean()),
        "exchange_max_mm": float(off.max()),
    }


def _read(warp: Path, affine: Path) -> Found:
    (field,) = load_warp(warp).members
    assert isinstance(field, DisplacementField)
    return Found(field, load_transform(affine))


def _stnreg(verb: str) -> list[str]:
    return [sys.executable, "-m", "stnreg", verb]
