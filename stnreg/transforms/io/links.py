"""Chains of transforms, as given by `-t`: links are text, and a `Chain` once they have been read.

A chain maps points through a sequence of spaces, from that of the reference to that of the moving image; each link maps
points to the next space. Files of FSL are between coordinates of two images: such a link needs both images.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stnreg.errors import TransformError, UsageProblem
from stnreg.geometry.affine import compose, invert
from stnreg.geometry.matrix import Matrix
from stnreg.geometry.orientation import swap_lps_ras
from stnreg.images.readers import is_image_name
from stnreg.images.volume import Reference, Volume, load_reference
from stnreg.transforms.affine import Affine
from stnreg.transforms.base import Transform
from stnreg.transforms.chain import Chain
from stnreg.transforms.io.ants_notation import ants_hint
from stnreg.transforms.io.files import load_transform, read_content
from stnreg.transforms.io.fsl import lps_to_fsl
from stnreg.transforms.io.h5 import load_h5
from stnreg.transforms.io.itk import HDF5_HEAD
from stnreg.transforms.io.lta import is_lta, read_lta
from stnreg.transforms.io.text_matrix import read_text_matrix
from stnreg.transforms.io.warp import Space, is_fsl_warp, load_warp

PREFIXES = ("inv", "ras", "fsl")
End = Reference | Volume | None
"""The image at an end of a chain; None if not known, as for points."""


@dataclass(frozen=True)
class Link:
    """One `-t`: an optional `inv:`, an optional `fsl:` or `ras:`, a file, and after one of FSL's an optional image.

    Attributes
    ----------
    path : Path
    is_inverted : bool
    space : {"fsl", "ras", ""}
        Space of a plain 4x4, or of a displacement field.
    image : Path or None
        The image between a FLIRT matrix and its neighbour in the chain, or the moving image of FSL's field.
    transform : Transform or None
        Given instead of a file.
    """

    path: Path = Path()
    is_inverted: bool = False
    space: Space = ""
    image: Path | None = None
    transform: Transform | None = None

    @property
    def paths(self) -> list[Path]:
        """All files that are read."""
        return [self.path, *([self.image] if self.image else [])]

    @property
    def is_flirt(self) -> bool:
        """Whether it is a matrix that FLIRT wrote."""
        return self.space == "fsl" and not is_image_name(self.path)

    @property
    def is_warp(self) -> bool:
        """Whether it is an image, and so a displacement field."""
        return self.transform is None and is_image_name(self.path)

    def fsl_warp_ends(self, place: int) -> tuple[int, int] | None:
        """Return the boundaries of fixed and moving image of FSL's field at a place in the chain; None for others."""
        if not self.is_warp or not (self.space == "fsl" or (not self.space and is_fsl_warp(self.path))):
            return None
        return (place + 1, place) if self.is_inverted else (place, place + 1)


LinkLike = str | os.PathLike[str] | Matrix | Transform
"""What a chain is made of: text as it stands after `-t`, a (4, 4) in LPS mm, or an object."""


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
    space: Space = "fsl" if "fsl" in spaces else "ras" if "ras" in spaces else ""
    return Link(Path(name if comma else rest), is_inverted, space, Path(image) if comma else None)


def load_chain(
    links: Sequence[LinkLike], reference: End = None, moving: End = None, *, is_inverted: bool = False
) -> Chain:
    """Read a chain of transform files.

    Parameters
    ----------
    links : sequence of str, of (4, 4) in LPS mm, or of Transform
        In the order in which they act on a reference point, which is that of `-t` in ANTs. A file is a linear
        transform, a displacement field in an image, or a composite of both in .h5. `inv:FILE` is inverted. `ras:FILE`
        is a plain 4x4, fixed to moving, or a field, both in RAS mm; `fsl:FILE` is a FLIRT matrix, or a field of FSL. A
        FLIRT matrix next to a transform of another tool names the image between them: `fsl:FILE,IMAGE`. A field of FSL
        that does not stand last names its moving image.
    reference, moving : Reference or Volume, optional
        The images at the two ends. What FSL wrote needs them; LTAs are checked against them.
    is_inverted : bool
        Whether the links, in their order, map moving to reference.

    Returns
    -------
    chain : Chain
        From reference to moving. Its `matrix` is None where a link is not linear.

    Raises
    ------
    UsageProblem
        If the images of a FLIRT matrix or of a field of FSL are not known.
    TransformError
        If a file cannot be used, or a displacement field that folds is to be inverted.
    """
    parsed = [_parsed(link) for link in links]
    ends = _ends(parsed, *((moving, reference) if is_inverted else (reference, moving)))
    steps = [_step(place, parsed, ends) for place in range(len(parsed))]
    if is_inverted:
        steps = [_inverse(step, link) for step, link in zip(reversed(steps), reversed(parsed), strict=True)]
    return Chain(tuple(steps))


def _parsed(link: LinkLike) -> Link:
    if isinstance(link, Transform):
        return Link(transform=link)
    return Link(transform=Affine(link)) if isinstance(link, np.ndarray) else parse_link(link)


def _ends(links: list[Link], reference: End, moving: End) -> list[End]:
    """Return the image of each space, if it is known or named by a link."""
    ends: list[End] = [reference, *[None] * (len(links) - 1), moving]
    fields = [link.fsl_warp_ends(place) for place, link in enumerate(links)]
    last = len(links)
    for place, (link, field) in enumerate(zip(links, fields, strict=True)):
        if link.image is None:
            continue
        inner = [boundary for boundary in (place, place + 1) if 0 < boundary < last]
        if field is not None:
            inner = [field[1]]
        if len(inner) != 1:
            raise UsageProblem(
                f"{link.path},{link.image}: an image after the comma is the one between a FLIRT matrix that stands "
                "first or last in a chain and its neighbour, or the moving image of a displacement field of FSL"
            )
        ends[inner[0]] = load_reference(link.image)
    for link, field in zip(links, fields, strict=True):
        if field is not None and ends[field[0]] is None:
            ends[field[0]] = load_reference(link.path)  # a field lies on the grid of its fixed image
    for link, field in zip(links, fields, strict=True):
        # Next to a FLIRT matrix the space of the moving image of the field cancels.
        if field is not None and ends[field[1]] is None and _meets_flirt(links, field[1]):
            ends[field[1]] = load_reference(link.path)
    return ends


def _meets_flirt(links: list[Link], boundary: int) -> bool:
    return any(link.is_flirt for link in links[max(boundary - 1, 0) : boundary + 1])


def _step(place: int, links: list[Link], ends: list[End]) -> Transform:
    """Read one link: the transform in the direction of the chain, with warnings."""
    link, before, after = links[place], ends[place], ends[place + 1]
    if link.transform is not None:
        return link.transform
    if link.is_warp:
        found = load_warp(link.path, link.space, moving=before if link.is_inverted else after)
    elif link.is_flirt:
        return _flirt(place, links, ends)
    else:
        found = _of_content(link, *((after, before) if link.is_inverted else (before, after)))
    return _inverse(found, link) if link.is_inverted else found


def _of_content(link: Link, fixed: End, moving: End) -> Chain:
    """Read `ras:FILE`, or a file whose format is detected by content, without inverting it."""
    content = read_content(link.path)
    if link.space == "ras":
        return Chain((Affine(swap_lps_ras(read_text_matrix(content, link.path))),))
    if is_lta(content):
        lta = read_lta(content, link.path)
        found = lta.mismatches(*(end.grid if end is not None else None for end in (fixed, moving)))
        return Chain((Affine(lta.fixed_to_moving),), tuple(f"{link.path}: {text}" for text in found))
    return load_h5(link.path) if content.startswith(HDF5_HEAD) else Chain((Affine(load_transform(link.path)),))


def _flirt(place: int, links: list[Link], ends: list[End]) -> Affine:
    """Read a FLIRT matrix, converted from FSL coordinates to LPS mm."""
    link = links[place]
    moving_to_fixed = read_text_matrix(read_content(link.path), link.path)
    matrix = moving_to_fixed if link.is_inverted else invert(moving_to_fixed)
    # Between two FLIRT matrices no image is needed: its space cancels.
    before = _to_fsl(link, ends[place], place > 0 and links[place - 1].is_flirt)
    after = _to_fsl(link, ends[place + 1], place + 1 < len(links) and links[place + 1].is_flirt)
    return Affine(compose(invert(after), matrix, before))


def _inverse(transform: Transform, link: Link) -> Transform:
    try:
        return transform.inverse()
    except TransformError as error:
        raise TransformError(f"{link.path}: {error}") from error


def _to_fsl(link: Link, image: End, cancels: bool) -> Matrix:
    if image is not None:
        return lps_to_fsl(image)
    if cancels:
        return np.eye(4)
    raise UsageProblem(
        f"{link.path}: a FLIRT matrix is valid only with both its images. It stands first or last in a chain, and "
        "names the image between it and its neighbour: fsl:FILE,IMAGE."
    )
