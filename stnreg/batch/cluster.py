"""Run a batch on an existing Dask cluster."""

from collections.abc import Iterator, Sequence
from uuid import uuid4

from stnreg.batch.table import Row
from stnreg.batch.task import Task
from stnreg.errors import DataError, UsageProblem

TIMEOUT_S = 20


def run_on_dask(tasks: Sequence[Task], address: str) -> Iterator[Row]:
    """Register pairs on the workers of a scheduler; yield each row when it is done.

    The workers need stnreg, and the files under the same paths. If a worker dies, the scheduler retries the pair on
    another, up to its `allowed-failures`. Then the pair is recorded as lost.

    Parameters
    ----------
    tasks : sequence of Task
    address : str
        Address of the scheduler, `tcp://HOST:PORT`.

    Raises
    ------
    UsageProblem
        If Dask is not installed.
    DataError
        If the scheduler cannot be reached.
    """
    try:
        from distributed import Client, as_completed
        from distributed.scheduler import KilledWorker
    except ImportError as error:
        raise UsageProblem("a Dask cluster needs the package distributed: pip install 'stnreg[dask]'") from error
    try:
        client = Client(address, timeout=TIMEOUT_S, set_as_default=False)
    except (OSError, ValueError) as error:
        raise DataError(f"Dask {address}: no scheduler answers there ({error})") from error
    # Consecutive pairs share a fixed image, so that workers rarely have to encode another.
    ordered = sorted(tasks, key=lambda task: str(task.shared))
    by_key = {f"stnreg-{task.id}-{uuid4().hex}": task for task in ordered}
    with client:
        futures = [
            client.submit(_run, task, key=key, pure=False, priority=-k) for k, (key, task) in enumerate(by_key.items())
        ]
        for future in as_completed(futures, loop=client.loop):
            trouble, task = future.exception(), by_key[future.key]
            if trouble is None:
                yield future.result()
            elif isinstance(trouble, KilledWorker):
                died = trouble.allowed_failures + 1
                yield task.died("its Dask workers died, one after the other; have they enough memory?", died)
            else:
                yield task.died(f"the Dask worker failed: {type(trouble).__name__}: {trouble}", 1)
            future.release()


def _run(task: Task) -> Row:
    return task.run()
