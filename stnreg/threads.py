"""How many threads to use where nobody says."""

import os


def default_threads() -> int:
    """Return OMP_NUM_THREADS, the scheduler's grant, or the cores that this process may use; never the load."""
    for variable in ("OMP_NUM_THREADS", "SLURM_CPUS_PER_TASK", "NSLOTS", "PBS_NP"):
        value = os.environ.get(variable, "").partition(",")[0]
        if value.isdigit() and int(value) > 0:
            return int(value)
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
