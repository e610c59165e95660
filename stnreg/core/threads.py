"""How many threads to use where nobody says, and how to keep numpy to one."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def default_threads() -> int:
    """Return OMP_NUM_THREADS, the scheduler's grant, or the cores that this process may use; never the load."""
    for variable in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "NSLOTS", "PBS_NP"):
        value = os.environ.get(variable, "").partition(",")[0]
        if value.isdigit() and int(value) > 0:
            return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


class _Hold:
    """How many ask for one BLAS thread at this moment, and what gives the others back."""

    def __init__(self) -> None:
        self.lock, self.count, self.give_back = threading.Lock(), 0, lambda: None


_HOLD = _Hold()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep numpy's matrix products on the thread that asks for them, for as long as this lasts.

    They are small here. BLAS threads that wait for the next one do so busily, and take the cores from the networks and
    from refinement's own threads; and a sum that is split by the cores of a machine has other bits on the next. It is
    a setting of the process: the first to enter makes it, and the last to leave takes it back.
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
