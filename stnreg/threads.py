"""How many threads to use where nobody says."""

import os
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


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Keep numpy's matrix products on the thread that asks for them, for as long as this lasts.

    They are small here. BLAS threads that wait for the next one do so busily, and take the cores from the networks and
    from refinement's own threads; and a sum that is split by the cores of a machine has other bits on the next.
    """
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1, user_api="blas"):
        yield
