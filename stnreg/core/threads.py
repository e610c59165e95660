"""The default number of threads, and a limit of one BLAS thread."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def default_threads() -> int:
    """Return OMP_NUM_THREADS, the allocation of the scheduler, or the number of cores of this process."""
    for variable in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "NSLOTS", "PBS_NP"):
        value = os.environ.get(variable, "").partition(",")[0]
        if value.isdigit() and int(value) > 0:
            return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Hold:
    """Number of active `one_blas_thread` blocks, and the limit to undo."""

    def __init__(self) -> None:
        self.lock, self.count, self.give_back = threading.Lock(), 0, lambda: None


_HOLD = _Hold()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside the block.

    Matrix products are small here. Idle BLAS threads spin, and take cores from the networks and from the threads of the
    refinement. Sums that are split over threads also depend on the number of cores. The limit applies to the whole
    process: the first block sets it, the last one restores it.
    """
    from threadpoolctl import threadpool_limits

    with _HOLD.lock:
        if _HOLD.count == 0:
            _HOLD.give_back = threadpool_limits(1, user_api="blas").restore_original_limits
        _HOLD.count += 1
    try:
        yield
    finally:
        with _HOLD.lock:
            _HOLD.count -= 1
            if _HOLD.count == 0:
                _HOLD.give_back()
