"""The two images of a registration, with their masks."""

from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property, partial

import numpy as np

from stnreg.errors import TransformError
from stnreg.geometry.grid import ArrayOnGrid
from stnreg.geometry.matrix import Matrix
from stnreg.images.inputs import Image, as_volume, take_volume
from stnreg.images.volume import HeaderSource, Volume
from stnreg.preprocessing.conditioning import conditioned
from stnreg.preprocessing.initial_transform import center_geometry, center_moments
from stnreg.preprocessing.masks import load_masks
from stnreg.registration.anatomy.encoded import EncodedImage
from stnreg.registration.options import RegistrationOptions
from stnreg.resampling.block_mean import BlockMeans
from stnreg.transforms.io.links import load_chain


@dataclass(frozen=True, eq=False)
class ImagePair:
    """Two images to register.

    Attributes
    ----------
    fixed, moving : Volume
        3-D. Of a series, the volume that is registered.
    masks : mapping
        `fixed_mask`, `moving_mask`, `fixed_exclude`, `moving_exclude` as (array, Grid), those that were given.
    fixed_encoded, moving_encoded : EncodedImage or None
        The encoding of an image, if there is one already.
    fixed_series, moving_series : Volume or None
        All volumes of an image that is 4-D.
    mask_warnings : tuple of str
        Warnings about the files of the masks.
    """

    fixed: Volume
    moving: Volume
    masks: Mapping[str, ArrayOnGrid] = field(default_factory=dict)
    fixed_encoded: EncodedImage | None = None
    moving_encoded: EncodedImage | None = None
    fixed_series: Volume | None = None
    moving_series: Volume | None = None
    mask_warnings: tuple[str, ...] = ()

    @property
    def images_as_read(self) -> tuple[ArrayOnGrid, ArrayOnGrid]:
        """Fixed and moving as (array, Grid), with the intensities of their files."""
        return (self.fixed.array, self.fixed.grid), (self.moving.array, self.moving.grid)

    @cached_property
    def images(self) -> tuple[ArrayOnGrid, ArrayOnGrid]:
        """Heads: fixed and moving as (array, Grid), as networks and refinement take them; see `conditioned`."""
        fixed, moving = self.images_as_read
        return conditioned(fixed), conditioned(moving)

    @cached_property
    def means(self) -> tuple[BlockMeans, BlockMeans]:
        """Block means of `images`, which the networks and the refinement share."""
        fixed, moving = self.images
        return BlockMeans(*fixed), BlockMeans(*moving)


@contextmanager
def reading(
    fixed: Image | EncodedImage,
    moving: Image | EncodedImage,
    masks: Mapping[str, Image | None],
    options: RegistrationOptions,
    *,
    threads: int,
) -> Iterator[Callable[[], ImagePair]]:
    """Read both images in background threads, if there are at least two threads.

    Yields
    ------
    pair : callable
        Waits for the images, and returns the pair.

    Raises
    ------
    DataError
        If an image or a mask cannot be used. Raised by `pair`, for the fixed image first.
    """
    given = (fixed, moving)
    read = partial(_read, header_source=options.header_source, series=options.volume is not None)

    def pair(waiting: list[Callable[[], Volume]]) -> ImagePair:
        wholes = [each() for each in waiting]
        a, b = (take_volume(whole, options.volume) for whole in wholes)
        fixed_encoded, moving_encoded = (image if isinstance(image, EncodedImage) else None for image in given)
        fixed_series, moving_series = (whole if whole.array.ndim == 4 else None for whole in wholes)
        loaded = load_masks(masks, a, b, options.header_source)
        encoded = fixed_encoded, moving_encoded
        return ImagePair(a, b, loaded.on_grids, *encoded, fixed_series, moving_series, loaded.warnings)

    if threads < 2:
        yield partial(pair, [partial(read, image) for image in given])
        return
    with ThreadPoolExecutor(len(given)) as pool:
        yield partial(pair, [pool.submit(read, image).result for image in given])


def _read(image: Image | EncodedImage, header_source: HeaderSource, series: bool) -> Volume:
    return image.whole if isinstance(image, EncodedImage) else as_volume(image, header_source, series=series)


def initial_transform(init: str, pair: ImagePair) -> tuple[Matrix | None, tuple[str, ...]]:
    """Return the initial `fixed_to_moving` that `init` names, LPS mm; None for `auto`. Also warnings about its file."""
    if init == "auto":
        return None, ()
    if init == "header":
        return np.eye(4), ()
    if init == "geometry":
        return center_geometry(pair.fixed.grid, pair.moving.grid), ()
    if init == "moments":
        return center_moments(pair.fixed, pair.moving), ()
    chain = load_chain([init], pair.fixed, pair.moving)
    if chain.matrix is None:
        raise TransformError(
            f"{init}: is non-linear, and a registration starts from a linear transform. Give the affine alone."
        )
    if float(np.linalg.det(chain.matrix[:3, :3])) <= 0:
        raise TransformError(
            f"{init}: exchanges left and right (its determinant is not positive), and so would what starts from it. "
            "Give a transform without a reflection. If an image is stored mirrored, correct its header first."
        )
    return chain.matrix, chain.warnings
