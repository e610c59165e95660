"""Damaged files for every reader: out of them only stnreg's own errors may come, soon, and without much memory.

Small images, transforms and tables are damaged in memory, in ways that real files are damaged or as somebody with bad
intentions would. `python -m benchmarks.robustness.fuzz` reads them by the thousands.
"""

import faulthandler
import gzip
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
import SimpleITK as sitk

from stnreg.datasets.pair_table import load_pairs
from stnreg.errors import StnregError
from stnreg.geometry.grid import Grid
from stnreg.images.header_only import save_in_place
from stnreg.images.volume import Reference, load_reference, load_volume, save_volume
from stnreg.models.onnx_file import inspect
from stnreg.resampling.apply import move
from stnreg.transforms.io.files import save_transform, written_by_stnreg
from stnreg.transforms.io.links import load_chain
from stnreg.transforms.io.points import load_points

LIMIT_S = 20.0
"""A case that takes longer ends the run: it counts as a hang."""
AFFINE = np.array([[-1.2, -1.6, 0, 9], [-1.6, 1.2, 0, -8], [0, 0, 2.5, -7], [0, 0, 0, 1]])
GRID = Grid.cube((0, 0, 0), 6, 3.0)
ENDS = (Reference(GRID, None, False, "fixed.nii"), Reference(GRID, None, False, "moving.nii"))
NASTY_WORDS = (b"nan", b"inf", b"-inf", b"1e999", b"-1", b"0", b"99999999999999999999", b"1e-320", b"", b"x", b"1_0",
               b"0x10", b"\xff\xfe", b"=", b"\0", b"1 2", b"#", b"\n")  # fmt: skip
NASTY_NUMBERS = (0, 1, -1, 2, 7, 8, 127, 255, 32767, -32768, 65535, 2**31 - 1, -(2**31), 2**32 - 1, 2**63 - 1)


@dataclass(frozen=True)
class Kind:
    """One kind of file: its suffix, a sound example, how it is read, and whether it is text or packed."""

    suffix: str
    content: bytes
    read: Callable[[Path], object]
    is_text: bool = False
    is_packed: bool = False


def kinds(folder: Path) -> dict[str, Kind]:
    """Make a sound example of every kind of file that is read."""
    found = {}
    array = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)
    for name, image in {
        "nifti1": nibabel.Nifti1Image(array, AFFINE),
        "nifti1 big-endian": nibabel.Nifti1Image(array, AFFINE, nibabel.Nifti1Header(endianness=">")),
        "nifti2": nibabel.Nifti2Image(array.astype(np.float32), AFFINE),
        "nifti1 series": nibabel.Nifti1Image(array.reshape(6, 7, 4, 2), AFFINE),
    }.items():
        found[name] = Kind(".nii", image.to_bytes(), read_image)
    found["nifti1 packed"] = Kind(".nii.gz", found["nifti1"].content, read_image, is_packed=True)
    mgh = nibabel.MGHImage(array.astype(np.float32), AFFINE).to_bytes()
    found["mgh"], found["mgz"] = Kind(".mgh", mgh, read_image), Kind(".mgz", mgh, read_image, is_packed=True)
    for suffix, is_compressed in ((".nrrd", False), (".nrrd", True), (".mha", False), (".mha", True)):
        path = folder / f"example{suffix}"
        sitk.WriteImage(sitk.GetImageFromArray(array), str(path), is_compressed)
        found[f"{suffix[1:]}{' packed' if is_compressed else ''}"] = Kind(suffix, path.read_bytes(), read_image)
    return found | transform_kinds(folder) | table_kinds()


def transform_kinds(folder: Path) -> dict[str, Kind]:
    """Make a sound example of every kind of transform file."""
    found = {}
    matrix = np.eye(4)
    matrix[:3] += np.random.default_rng(0).normal(0, 0.1, (3, 4))
    for suffix in (".tfm", ".mat", ".lta", ".fslmat"):
        path = folder / f"example{suffix}"
        save_transform(path, matrix, fixed=ENDS[0], moving=ENDS[1])
        found[suffix[1:]] = Kind(suffix, path.read_bytes(), read_transform, is_text=suffix != ".mat")
    found["bare ras"] = Kind(".ras", found["fslmat"].content, read_transform, is_text=True)
    euler = sitk.Euler3DTransform((1, 2, 3), 0.1, 0.2, 0.3, (4, 5, 6))
    rarer = {"tfm euler": euler, "tfm composite": sitk.CompositeTransform([sitk.AffineTransform(3), euler])}
    for name, transform in rarer.items():
        sitk.WriteTransform(transform, str(folder / "example.tfm"))
        found[name] = Kind(".tfm", (folder / "example.tfm").read_bytes(), read_transform, is_text=True)
    return found


def table_kinds() -> dict[str, Kind]:
    """Make sound examples of tables, and of the one thing that is read of a network before onnxruntime sees it."""
    points = b"x,y,z,name\n1,2,3,a\n-4.5,5e1,6,b\n"
    pairs = b"id,fixed,moving,subject\n1,a.nii,b.nii,s\n2,c d.nii,e.nii,t\n"
    network = b"\x08\x07\x12\x04test\x3a\x10\x0a\x06\x0a\x01x\x12\x01y\x2a\x06\x08\x01\x10\x01\x42\x00"
    return {
        "points": Kind(".csv", points, load_points, is_text=True),
        "pairs": Kind(".csv", pairs, load_pairs, is_text=True),
        "onnx": Kind(".onnx", network, read_network),
    }


def read_image(path: Path) -> None:
    """Read an image in every way there is, and use it."""
    load_reference(path)
    volume = load_volume(path, series=True, constant=True)
    if volume.array.shape[-3:] != volume.grid.shape or not np.isfinite(volume.grid.corners_lps()).all():
        raise AssertionError("an image that does not fit its grid")
    moved = move(volume, ENDS[0], np.eye(4), dtype="same", threads=1)
    out = path.with_name("out.nii")
    save_volume(out, moved, like=volume if moved.shape == volume.array.shape else ENDS[0], dtype="same")
    save_volume(out, volume.array, like=volume)
    save_in_place(out, path, np.eye(4))


def read_transform(path: Path) -> None:
    """Read a transform as a link, and as a file that may be overwritten."""
    prefix = {".fslmat": "fsl:", ".ras": "ras:"}.get(path.suffix, "")
    written_by_stnreg(path)
    if not np.isfinite(load_chain([f"inv:{prefix}{path}"], *ENDS).matrix).all():
        raise AssertionError("a matrix that is not finite")


def read_network(path: Path) -> None:
    """Look into a network as is done before onnxruntime sees it."""
    content = path.read_bytes()
    inspect(content)


def damaged(kind: Kind, rng: np.random.Generator) -> bytes:
    """Return the example, damaged in one to four places; a packed one inside or outside."""
    content = kind.content
    inside = kind.is_packed and rng.random() < 0.7
    if kind.is_packed and not inside:
        content = gzip.compress(content, 1)
    for _ in range(min(int(rng.geometric(0.5)), 4)):
        harm = rng.choice(TEXT_HARMS if kind.is_text and rng.random() < 0.7 else HARMS)
        content = harm(content, rng)
    return gzip.compress(content, 1) if inside else content


def _place(content: bytes, rng: np.random.Generator) -> int:
    """Choose a place, more often than not in the header."""
    reach = len(content) if rng.random() < 0.4 else min(len(content), 400)
    return int(rng.integers(0, max(reach, 1)))


def _flip(content: bytes, rng: np.random.Generator) -> bytes:
    spoiled, place = bytearray(content), _place(content, rng)
    spoiled[place : place + 1] = bytes(byte ^ 1 << int(rng.integers(8)) for byte in spoiled[place : place + 1])
    return bytes(spoiled)


def _number(content: bytes, rng: np.random.Generator) -> bytes:
    place = _place(content, rng) // 2 * 2
    value = int(rng.choice(np.array(NASTY_NUMBERS, dtype=object)))
    kind = rng.choice(("<i2", ">i2", "<i4", ">i4", "<f4", "<i8", "<f8"))
    new = np.array(value if "f" in kind else value % 2**15, dtype=kind).tobytes()
    if rng.random() < 0.2:
        new = np.array(rng.choice((np.nan, np.inf, -np.inf, 1e38, -1e-40)), dtype="<f4").tobytes()
    if rng.random() < 0.2:
        new = rng.bytes(len(new))
    return content[:place] + new + content[place + len(new) :]


def _cut(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: _place(content, rng)]


def _remove(content: bytes, rng: np.random.Generator) -> bytes:
    place = _place(content, rng)
    return content[:place] + content[place + int(rng.integers(1, 64)) :]


def _repeat(content: bytes, rng: np.random.Generator) -> bytes:
    place = _place(content, rng)
    again = content[place : place + int(rng.integers(1, 64))] * int(rng.integers(2, 9))
    return content[:place] + again + content[place:]


def _noise(content: bytes, rng: np.random.Generator) -> bytes:
    place = _place(content, rng)
    return content[:place] + rng.bytes(int(rng.integers(1, 200))) + content[place:]


def _word(content: bytes, rng: np.random.Generator) -> bytes:
    words = content.split(b" ")
    words[int(rng.integers(len(words)))] = NASTY_WORDS[int(rng.integers(len(NASTY_WORDS)))]
    return b" ".join(words)


def _line(content: bytes, rng: np.random.Generator) -> bytes:
    lines = content.split(b"\n")
    one, other = rng.integers(len(lines), size=2)
    lines[one] = lines[other]
    return b"\n".join(lines)


HARMS = (_flip, _number, _number, _number, _cut, _remove, _repeat, _noise)
TEXT_HARMS = (_word, _word, _word, _line, _cut, _remove)


@dataclass(frozen=True)
class Finding:
    """A case out of which something else came than stnreg's own errors."""

    kind: str
    seed: int
    error: str


def run(cases: int, folder: Path, start: int = 0, only: str | None = None) -> tuple[Counter, list[Finding], float]:
    """Read damaged files.

    Parameters
    ----------
    cases : int
        How many, over all kinds in turn.
    folder : Path
        For the files.
    start : int
        Seed of the first case; the others follow.
    only : str, optional
        One kind.

    Returns
    -------
    counts : Counter
        By (kind, "read" or "refused").
    findings : list of Finding
    slowest_s : float
    """
    examples = kinds(folder)
    names = [only] if only else list(examples)
    counts: Counter = Counter()
    findings, slowest_s = [], 0.0
    for seed in range(start, start + cases):
        name = names[seed % len(names)]
        path = folder / f"case{examples[name].suffix}"
        path.write_bytes(damaged(examples[name], np.random.default_rng(seed)))
        faulthandler.dump_traceback_later(LIMIT_S, exit=True)
        began = time.perf_counter()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                examples[name].read(path)
            counts[name, "read"] += 1
        except StnregError:
            counts[name, "refused"] += 1
        except Exception as error:
            findings.append(Finding(name, seed, f"{type(error).__name__}: {error}"))
        faulthandler.cancel_dump_traceback_later()
        slowest_s = max(slowest_s, time.perf_counter() - began)
    return counts, findings, slowest_s
