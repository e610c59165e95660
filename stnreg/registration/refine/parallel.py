"""Process both images of a pair in parallel, if there is a second thread."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from stnreg.geometry.grid import ArrayOnGrid
from stnreg.registration.refine.region import Region

Built = TypeVar("Built")
Image = TypeVar("Image")
Side = tuple[ArrayOnGrid, Region]


def on_both(
    build: Callable[[Image, Region], Built],
    sides: tuple[tuple[Image, Region], tuple[Image, Region]],
    pool: Executor | None,
) -> list[Built]:
    """Apply `build` to both images, in parallel with a pool."""
    if pool is None:
        return [build(*side) for side in sides]
    waiting = pool.submit(build, *sides[0])
    second = build(*sides[1])
    return [waiting.result(), second]


@contextmanager
def second_worker(threads: int) -> Iterator[Executor | None]:
    """Provide a second thread for the other image; None if only one thread may be used."""
    if threads < 2:
        yield None
        return
    with ThreadPoolExecutor(1) as pool:
        yield pool
