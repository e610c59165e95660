"""The default number of threads, work divided among threads, and a limit of one BLAS thread."""

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from threadpoolctl import LibController

Result = TypeVar("Result")


def default_threads() -> int:
    """Return OMP_NUM_THREADS, the allocation of the scheduler, or the number of cores of this process."""
    for variable in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "NSLOTS", "PBS_NP"):
        value = os.environ.get(variable, "").partition(",")[0]
        if value.isdigit() and int(value) > 0:
            return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def map_threads(function: Callable[..., Result], *items: Sequence[Any], threads: int) -> list[Result]:
    """Return what `function` returns of each item, in order, as `map` does; the items are divided among threads.

    Parameters
    ----------
    function : callable
        Must not call `map_threads` itself: it would wait for threads that wait for it.
    *items : sequences of one length
        One for each argument of the function.
    threads : int
        With 1 no other thread is used.
    """
    if min(threads, len(items[0])) < 2:
        return list(map(function, *items))
    return list(_pool(threads).map(function, *items))


@cache
def _pool(threads: int) -> ThreadPoolExecutor:
    """Keep threads alive: a new one would allocate the memory of the networks again."""
    return ThreadPoolExecutor(threads, thread_name_prefix="stnreg-map")


if hasattr(os, "register_at_fork"):  # threads do not survive a fork
    os.register_at_fork(after_in_child=_pool.cache_clear)


class _Hold:
    """How many `one_blas_thread` blocks there are, and how many threads each library had before the first."""

    def __init__(self) -> None:
        self.lock, self.count = threading.Lock(), 0
        self.before: dict[str, int] = {}

    def enter(self) -> None:
        """Limit each library that is loaded now, those too that were not when the first block began."""
        with self.lock:
            for library in _libraries():
                self.before.setdefault(library.filepath, library.num_threads)
                library.set_num_threads(1)
            self.count += 1

    def leave(self) -> None:
        """Undo the limits behind the last block."""
        with self.lock:
            self.count -= 1
            if self.count == 0:
                for library in _libraries():
                    library.set_num_threads(self.before.get(library.filepath, library.num_threads))
                self.before.clear()
                _release()


_HOLD = _Hold()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside the block.

    Matrix products are small here. Idle BLAS threads spin, and take cores from the networks and from the threads of the
    refinement. Sums that are split over threads also depend on the number of cores. The limit applies to the whole
    process, whichever threads begin and end the blocks: the first block sets it, the last one restores it.
    """
    _HOLD.enter()
    try:
        yield
    finally:
        _HOLD.leave()


def _libraries() -> "list[LibController]":
    """Return the BLAS libraries that are loaded, for this thread to set."""
    from threadpoolctl import ThreadpoolController

    _release()
    return [one for one in ThreadpoolController().lib_controllers if one.user_api == "blas"]


def _release() -> None:
    """Let any thread set OpenBLAS: from threadpoolctl 3.8 on, the first one to do so locks out all others, silently."""
    from threadpoolctl import OpenBLASController

    clear = getattr(OpenBLASController, "clear_controlling_thread", None)
    if clear is not None:
        clear(force=True)
