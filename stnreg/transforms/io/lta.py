"""FreeSurfer's .lta: moving to fixed, RAS mm, with the geometries of both images.

`src` is the moving image and `dst` the fixed one, as in FreeSurfer. nitransforms exchanges the two (not the matrix);
its files are recognised by their first line.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stnreg.errors import DataError, TransformError
from stnreg.geometry.affine import compose, invert
from stnreg.geometry.grid import Grid
from stnreg.geometry.matrix import Matrix
from stnreg.geometry.orientation import lps_from_ras, swap_lps_ras
from stnreg.transforms.io.itk import check_invertible, digits

VOXEL_TO_VOXEL, RAS_TO_RAS = 0, 1
SAME_PLACE_MM = 0.5
"""Tolerance between a geometry and an image, mm: older writers store few digits."""

OURS = b"# LTA written by stnreg: takes RAS points of src, the moving image, to RAS points of dst, the fixed one"
"""First line of files that stnreg writes."""


@dataclass(frozen=True)
class Geometry:
    """An image as an LTA describes it: `grid`, or None if it is marked as not valid; and its file's name."""

    grid: Grid | None
    name: str = ""


@dataclass(frozen=True)
class Lta:
    """One LTA.

    Attributes
    ----------
    moving_to_fixed_ras : (4, 4) float64
        Maps moving RAS points to fixed RAS points, mm.
    moving, fixed : Geometry
        `src` and `dst`.
    """

    moving_to_fixed_ras: Matrix
    moving: Geometry
    fixed: Geometry

    @property
    def fixed_to_moving(self) -> Matrix:
        """(4, 4): fixed LPS points to moving LPS points, mm."""
        return invert(swap_lps_ras(self.moving_to_fixed_ras))

    def mismatches(self, fixed: Grid | None, moving: Grid | None) -> Iterator[str]:
        """Yield warnings if the geometries are not those of the images, or if they are exchanged.

        The matrix is in millimetres, so another grid in the same world space is not an error.
        """
        for known, own, role in ((fixed, self.fixed, "fixed (dst)"), (moving, self.moving, "moving (src)")):
            if known is not None and own.grid is not None and not known.is_close(own.grid, SAME_PLACE_MM):
                turned = self.moving if own is self.fixed else self.fixed
                if turned.grid is not None and known.is_close(turned.grid, SAME_PLACE_MM):
                    yield f"its other image is the {role} one here: is it the wrong way round? (inv:FILE turns it.)"
                else:
                    yield f"it was made for another {role} image ({own.name or 'of another grid'})."


def lta_bytes(moving_to_fixed_ras: Matrix, moving: Geometry, fixed: Geometry) -> bytes:
    """Return the file of a transform, with all digits; the same transform gives the same bytes."""
    rows = [" ".join(map(digits, row)) for row in (moving_to_fixed_ras + 0.0).tolist()]
    lines = [OURS.decode(), "type      = 1", "nxforms   = 1", "mean      = 0 0 0", "sigma     = 1", "1 4 4", *rows]
    lines += ["src volume info", *_geometry_lines(moving), "dst volume info", *_geometry_lines(fixed), ""]
    return "\n".join(lines).encode("utf-8", "surrogateescape")


def is_lta(content: bytes) -> bool:
    """Return whether text is the start of an LTA: a `type`, after comments."""
    return re.match(rb"(?:\s*(?:#[^\n]*)?\n)*\s*type\s*=\s*\d", content[:4096]) is not None


def read_lta(content: bytes, path: Path) -> Lta:
    """Parse an LTA of one linear transform, between RAS points or between voxels.

    Raises
    ------
    TransformError
        If it is damaged, has several transforms, or its type needs FreeSurfer.
    """
    lines = _Lines(content.decode("utf-8", "surrogateescape"), path)
    kind, count = (lines.numbers(key, 1)[0] for key in ("type", "nxforms"))
    if kind not in (VOXEL_TO_VOXEL, RAS_TO_RAS):
        raise TransformError(f"{path}: is an LTA of type {kind:g}; convert it with `lta_convert --ltatype 1`.")
    if count != 1:
        raise TransformError(f"{path}: holds {count:g} transforms; one was expected.")
    lines.numbers("mean", 3)
    lines.numbers("sigma", 1)
    lines.expect("1 4 4")
    matrix = np.array([lines.row(4) for _ in range(4)])
    lines.expect("src volume info")
    moving = _read_geometry(lines, path)
    lines.expect("dst volume info")
    fixed = _read_geometry(lines, path)
    if kind == RAS_TO_RAS and re.match(rb"# LTA(-array)? file created by NiTransforms", content):
        moving, fixed = fixed, moving
    check_invertible(matrix, path)
    if kind == VOXEL_TO_VOXEL:
        if moving.grid is None or fixed.grid is None:
            raise TransformError(f"{path}: goes from voxels to voxels, of images that it does not describe.")
        lps = compose(fixed.grid.index_to_lps, matrix, moving.grid.lps_to_index)
        matrix = check_invertible(swap_lps_ras(lps), path)
    return Lta(matrix, moving, fixed)


class _Lines:
    """The lines of an LTA, one after the other, without comments and blanks."""

    def __init__(self, text: str, path: Path) -> None:
        lines = (line.strip() for line in text.splitlines())
        self._left = iter([line for line in lines if line and not line.startswith("#")])
        self._path = path

    def next(self) -> str:
        line = next(self._left, None)
        if line is None:
            raise TransformError(f"{self._path}: the LTA is cut short.")
        return line

    def expect(self, text: str) -> None:
        if (line := self.next()).split() != text.split():
            raise TransformError(f"{self._path}: expected {text!r}, got {line[:60]!r}; the LTA is damaged.")

    def text(self, key: str) -> str:
        found, _, value = self.next().partition("=")
        if found.strip() != key:
            raise TransformError(f"{self._path}: expected {key!r}, got {found.strip()[:60]!r}; the LTA is damaged.")
        return value.strip()

    def numbers(self, key: str, count: int) -> list[float]:
        return self._parse(self.text(key), count)

    def row(self, count: int) -> list[float]:
        return self._parse(self.next(), count)

    def _parse(self, text: str, count: int) -> list[float]:
        try:
            values = [float(number) for number in text.partition("#")[0].split()]
        except ValueError as error:
            raise TransformError(f"{self._path}: {error}; the LTA is damaged.") from error
        if len(values) != count or not np.isfinite(values).all():
            raise TransformError(f"{self._path}: expected {count} finite numbers, got {text[:60]!r}.")
        return values


def _read_geometry(lines: _Lines, path: Path) -> Geometry:
    is_valid = lines.numbers("valid", 1)[0] == 1
    name = lines.text("filename")
    size, spacing, x, y, z, center = (
        np.array(lines.numbers(key, 3)) for key in ("volume", "voxelsize", "xras", "yras", "zras", "cras")
    )
    if not is_valid:
        return Geometry(None, name)
    index_to_ras = np.eye(4)
    index_to_ras[:3, :3] = np.stack([x, y, z], axis=1) * spacing
    index_to_ras[:3, 3] = center - index_to_ras[:3, :3] @ (size / 2)  # cras is where index size / 2 lies
    nx, ny, nz = (int(count) for count in size)
    try:
        return Geometry(Grid((nx, ny, nz), lps_from_ras(index_to_ras)), name)
    except DataError as error:
        raise TransformError(f"{path}: describes an image that cannot be ({error}).") from error


def _geometry_lines(image: Geometry) -> list[str]:
    grid = image.grid
    if grid is None:
        return ["valid = 0", "filename = ", *(f"{key} = 1 1 1" for key in ("volume", "voxelsize")),
                "xras   = 1 0 0", "yras   = 0 1 0", "zras   = 0 0 1", "cras   = 0 0 0"]  # fmt: skip
    index_to_ras = lps_from_ras(grid.index_to_lps)
    axes = index_to_ras[:3, :3] / grid.spacing
    center = index_to_ras[:3, :3] @ (np.array(grid.size) / 2) + index_to_ras[:3, 3]
    values: dict[str, Iterable[float]] = {"volume": grid.size, "voxelsize": grid.spacing}
    values |= {"xras  ": axes[:, 0], "yras  ": axes[:, 1], "zras  ": axes[:, 2], "cras  ": center}
    # Readers split names at spaces, and end them at #.
    name = re.sub(r"[\s#]", "_", image.name)
    rows = (f"{key} = {' '.join(digits(float(v) + 0.0) for v in row)}" for key, row in values.items())
    return ["valid = 1", f"filename = {name}", *rows]
