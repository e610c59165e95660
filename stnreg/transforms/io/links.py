"""Chains of transforms, as `-t` gives them: links in text, members once they are read, one matrix in the end.

A chain takes a point through worlds that meet at boundaries: the first is the reference's, the last the moving
image's. Each member takes points over one boundary to the next. Members that are linear have a `matrix`; a member that
bends space will have none, and everything but `Chain.matrix` holds for it as it does for the others.
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
"""An image at the end of a chain; None where it is not known, as for points."""


class Member(Protocol):
    """One step of a chain."""

    @property
    def matrix(self) -> Matrix | None:
        """The step as a (4, 4) of LPS points, mm; None where it bends space."""

    def apply(self, points_lps: Points) -> Points:
        """Take points (..., 3), mm, to the next world."""

    def inverted(self) -> "Member":
        """Return the step back."""


@dataclass(frozen=True, eq=False)
class Linear:
    """A member that is a matrix: (4, 4), LPS mm."""

    matrix: Matrix

    def apply(self, points_lps: Points) -> Points:
        """Take points (..., 3), mm, to the next world."""
        return apply_affine(self.matrix, points_lps)

    def inverted(self) -> "Linear":
        """Return the step back."""
        return Linear(invert(self.matrix))


@dataclass(frozen=True, eq=False)
class Chain:
    """Members in the order in which a point goes through them.

    Attributes
    ----------
    members : tuple of Member
    warnings : tuple of str
        What a user should hear about the files.
    """

    members: tuple[Member, ...]
    warnings: tuple[str, ...] = ()

    @property
    def matrix(self) -> Matrix:
        """The whole chain as one (4, 4), LPS mm; TransformError where a member bends space."""
        matrices = [member.matrix for member in self.members]
        linear = [matrix for matrix in matrices if matrix is not None]
        if len(linear) < len(matrices):
            raise TransformError("expected linear transforms; a chain with a non-linear one has no matrix")
        return compose(*reversed(linear))

    def apply(self, points_lps: Points) -> Points:
        """Take points (..., 3), LPS mm, from the first world to the last."""
        return reduce(lambda points, member: member.apply(points), self.members, points_lps)

    def inverted(self) -> "Chain":
        """Return the chain from the last world to the first."""
        return Chain(tuple(member.inverted() for member in reversed(self.members)), self.warnings)


@dataclass(frozen=True)
class Link:
    """One `-t`: `inv:` and `fsl:` or `ras:` before a file, and after a FLIRT matrix perhaps an image.

    Attributes
    ----------
    path : Path
    is_inverted : bool
    space : {"fsl", "ras", ""}
        Of a bare 4x4.
    image : Path or None
        The image between a FLIRT matrix and its neighbour in the chain.
    matrix : (4, 4) float64 or None
        Given as it is, LPS mm, where there is no file.
    """

    path: Path = Path()
    is_inverted: bool = False
    space: str = ""
    image: Path | None = None
    matrix: Matrix | None = None

    @property
    def paths(self) -> list[Path]:
        """Every file that is read."""
        return [self.path, *([self.image] if self.image else [])]


def parse_link(text: str | os.PathLike[str]) -> Link:
    """Take a link apart. A file whose own name begins like a prefix is taken for what it is, where it exists.

    Raises
    ------
    UsageProblem
        If both spaces are named, or it is written as ANTs writes it, `[FILE,1]`.
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
        A reference point goes through them in this order. `inv:FILE` is taken the other way round; `ras:FILE` is
        a bare 4x4 of numbers, fixed to moving in RAS mm; `fsl:FILE` is one that FLIRT wrote. A FLIRT matrix next
        to a transform of another kind names the image between them: `fsl:FILE,IMAGE`.
    reference, moving : Reference or Volume, optional
        The images at the two ends. FLIRT matrices need them; LTAs are checked against them.
    is_inverted : bool
        Whether the links, as they stand, lead from moving to reference.

    Returns
    -------
    chain : Chain
        From reference to moving.

    Raises
    ------
    UsageProblem
        If a FLIRT matrix stands where its images are not known.
    TransformError
        If a file cannot be used.
    """
    if is_inverted:
        return load_chain(links, moving, reference).inverted()
    parsed = [Link(matrix=check_affine(link)) if isinstance(link, np.ndarray) else parse_link(link) for link in links]
    ends: list[End] = [reference, *_between(parsed), moving]
    steps = [_member(link, ends[place], ends[place + 1]) for place, link in enumerate(parsed)]
    # A boundary between two FLIRT matrices needs no image: its space cancels, whatever it is.
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
    """Read one link: its matrix in the direction of the chain (FLIRT's in FLIRT's space), and what to say of it."""
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
