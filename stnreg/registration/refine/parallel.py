"""The same work on both images of a pair, at once where there is a second thread."""

from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

from stnreg.registration.refine.region import Image, Region

Built = TypeVar("Built")
Side = tuple[Image, Region]


def on_both(build: Callable[[Image, Region], Built], sides: tuple[Side, Side], pool: Executor | None) -> list[Built]:
    """Do the same for both images, at once where there is a pool."""
    if pool is None:
        return [build(*side) for side in sides]
    waiting = pool.submit(build, *sides[0])
    second = build(*sides[1])
    return [waiting.result(), second]


@contextmanager
def second_worker(threads: int) -> Iterator[Executor | None]:
    """Give a second thread to work on the other image; None where there is only one."""
    if threads < 2:
        yield None
        return
    with ThreadPoolExecutor(1) as pool:
        yield pool
