"""Chains of transforms, as given by `-t`: links are text, members are transforms that have been read.

A chain maps points through a sequence of spaces, from that of the reference to that of the moving image; each member
maps points to the next space. Linear members have a `matrix`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Protocol

import numpy as np

from stnreg.errors import TransformError, UsageProblem
from stnreg.geometry.affine import apply_affine, compose, invert
from stnreg.geometry.matrix import Matrix, Points, check_affine
from stnreg.geometry.orientation import swap_lps_ras
from stnreg.images.volume import Reference, Volume, load_reference
from stnreg.transforms.io.ants_notation import ants_hint
from stnreg.transforms.io.files import load_transform, read_content
from stnreg.transforms.io.fsl import lps_to_fsl
from stnreg.transforms.io.lta import is_lta, read_lta
from stnreg.transforms.io.text_matrix import read_text_matrix

PREFIXES = ("inv", "ras", "fsl")
End = Reference | Volume | None
"""The image at an end of a chain; None if not known, as for points."""


class Member(Protocol):
    """One transform of a chain."""

    @property
    def matrix(self) -> Matrix | None:
        """The (4, 4) map of LPS points, mm; None if the member is non-linear."""

    def apply(self, points_lps: Points) -> Points:
        """Map points (..., 3), mm, to the next space."""

    def inverted(self) -> "Member":
        """Return the inverse."""


@dataclass(frozen=True, eq=False)
class Linear:
    """A linear member: a (4, 4) matrix, LPS mm."""

    matrix: Matrix

    def apply(self, points_lps: Points) -> Points:
        """Map points (..., 3), mm, to the next space."""
        return apply_affine(self.matrix, points_lps)

    def inverted(self) -> "Linear":
        """Return the inverse."""
        return Linear(invert(self.matrix))


@dataclass(frozen=True, eq=False)
class Chain:
    """Members in the order in which they act on a point.

    Attributes
    ----------
    members : tuple of Member
    warnings : tuple of str
        Warnings about the files.
    """

    members: tuple[Member, ...]
    warnings: tuple[str, ...] = ()

    @property
    def matrix(self) -> Matrix:
        """The whole chain as one (4, 4), LPS mm; TransformError if a member is non-linear."""
        matrices = [member.matrix for member in self.members]
        linear = [matrix for matrix in matrices if matrix is not None]
        if len(linear) < len(matrices):
            raise TransformError("expected linear transforms; a chain that bends space is no matrix")
        return compose(*reversed(linear))

    def apply(self, points_lps: Points) -> Points:
        """Map points (..., 3), LPS mm, from the first space to the last."""
        return reduce(lambda points, member: member.apply(points), self.members, points_lps)

    def inverted(self) -> "Chain":
        """Return the inverse chain."""
        return Chain(tuple(member.inverted() for member in reversed(self.members)), self.warnings)


@dataclass(frozen=True)
class Link:
    """One `-t`: an optional `inv:`, an optional `fsl:` or `ras:`, a file, and after a FLIRT matrix an optional image.

    Attributes
    ----------
    path : Path
    is_inverted : bool
    space : {"fsl", "ras", ""}
        Space of a plain 4x4.
    image : Path or None
        The image between a FLIRT matrix and its neighbour in the chain.
    matrix : (4, 4) float64 or None
        Given instead of a file, LPS mm.
    """

    path: Path = Path()
    is_inverted: bool = False
    space: str = ""
    image: Path | None = None
    matrix: Matrix | None = None

    @property
    def paths(self) -> list[Path]:
        """All files that are read."""
        return [self.path, *([self.image] if self.image else [])]


def parse_link(text: str | os.PathLike[str]) -> Link:
    """Parse a link. If a file of that name exists, its prefix is part of the name.

    Raises
    ------
    UsageProblem
        If both spaces are named, or it is in the notation of ANTs, `[FILE,1]`.
    """
    rest, prefixes = str(text), []
    hint = ants_hint(rest)
    if hint is not None and not Path(rest).exists():
        raise UsageProblem(hint)
    while (prefix := rest.partition(":")[0]) in PREFIXES and ":" in rest and not Path(rest).exists():
        prefixes.append(prefix)
        rest = rest.removeprefix(f"{prefix}:")
    spaces = {*prefixes} - {"inv"}
    if len(spaces) > 1:
        raise UsageProblem(f"{text}: expected fsl: or ras:, not both")
    name, comma, image = rest.rpartition(",") if "fsl" in spaces and not Path(rest).exists() else (rest, "", "")
    is_inverted = prefixes.count("inv") % 2 == 1
    return Link(Path(name if comma else rest), is_inverted, "".join(spaces), Path(image) if comma else None)


def load_chain(
    links: Sequence[str | os.PathLike[str] | Matrix],
    reference: End = None,
    moving: End = None,
    *,
    is_inverted: bool = False,
) -> Chain:
    """Read a chain of transform files.

    Parameters
    ----------
    links : sequence of str, or of (4, 4) in LPS mm
        In the order in which they act on a reference point. `inv:FILE` is inverted; `ras:FILE` is a plain 4x4, fixed
        to moving in RAS mm; `fsl:FILE` is a FLIRT matrix. A FLIRT matrix next to a transform of another kind names
        the image between them: `fsl:FILE,IMAGE`.
    reference, moving : Reference or Volume, optional
        The images at the two ends. FLIRT matrices need them; LTAs are checked against them.
    is_inverted : bool
        Whether the links, in their order, map moving to reference.

    Returns
    -------
    chain : Chain
        From reference to moving.

    Raises
    ------
    UsageProblem
        If the images of a FLIRT matrix are not known.
    TransformError
        If a file cannot be used.
    """
    if is_inverted:
        return load_chain(links, moving, reference).inverted()
    parsed = [Link(matrix=check_affine(link)) if isinstance(link, np.ndarray) else parse_link(link) for link in links]
    ends: list[End] = [reference, *_between(parsed), moving]
    steps = [_member(link, ends[place], ends[place + 1]) for place, link in enumerate(parsed)]
    # Between two FLIRT matrices no image is needed: its space cancels.
    fsl = [link.space == "fsl" for link in parsed]
    members: list[Member] = []
    for place, (link, (matrix, _)) in enumerate(zip(parsed, steps, strict=True)):
        if fsl[place]:
            before = _to_fsl(link, ends[place], place > 0 and fsl[place - 1])
            after = _to_fsl(link, ends[place + 1], place + 1 < len(fsl) and fsl[place + 1])
            matrix = compose(invert(after), matrix, before)
        members.append(Linear(matrix))
    return Chain(tuple(members), tuple(warning for _, warnings in steps for warning in warnings))


def _between(links: list[Link]) -> list[End]:
    """Return the images at the inner boundaries, where links name them."""
    named: list[End] = [None] * (len(links) - 1)
    for place, link in enumerate(links):
        if link.image is None:
            continue
        inner = [boundary for boundary in (place - 1, place) if 0 <= boundary < len(named)]
        if len(inner) != 1:
            raise UsageProblem(
                f"{link.path},{link.image}: an image after the comma is the one between a FLIRT matrix that stands "
                "first or last in a chain and its neighbour"
            )
        named[inner[0]] = load_reference(link.image)
    return named


def _member(link: Link, before: End, after: End) -> tuple[Matrix, list[str]]:
    """Read one link: its matrix in the direction of the chain (FLIRT's in FLIRT's space), and warnings."""
    if link.matrix is not None:
        return link.matrix, []
    if link.space == "fsl":
        moving_to_fixed = read_text_matrix(read_content(link.path), link.path)
        return (moving_to_fixed if link.is_inverted else invert(moving_to_fixed)), []
    warnings: list[str] = []
    content = read_content(link.path)
    if link.space == "ras":
        matrix = swap_lps_ras(read_text_matrix(content, link.path))
    elif is_lta(content):
        lta = read_lta(content, link.path)
        matrix = lta.fixed_to_moving
        fixed, moving = (after, before) if link.is_inverted else (before, after)
        found = lta.mismatches(*(end.grid if end is not None else None for end in (fixed, moving)))
        warnings = [f"{link.path}: {text}" for text in found]
    else:
        matrix = load_transform(link.path)
    return (invert(matrix) if link.is_inverted else matrix), warnings


def _to_fsl(link: Link, image: End, cancels: bool) -> Matrix:
    if image is not None:
        return lps_to_fsl(image)
    if cancels:
        return np.eye(4)
    raise UsageProblem(
        f"{link.path}: a FLIRT matrix says nothing without both its images. It stands first or last in a chain, and "
        "names the image between it and its neighbour: fsl:FILE,IMAGE."
    )
