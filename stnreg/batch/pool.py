"""Local workers: processes that register one pair at a time. If one dies, the batch continues."""

import multiprocessing
import os
import signal
import sys
from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stnreg.batch.table import Row
    from stnreg.batch.task import Task

MEMORY_PER_WORKER = 900_000_000
"""Bytes; maximum memory of `register` for two images of 256^3."""

TRIES = 2


def default_jobs(threads: int, memory: int = MEMORY_PER_WORKER) -> int:
    """Return as many workers as cores and free memory allow, one at least.

    Parameters
    ----------
    threads : int
        Of each worker.
    memory : int
        Bytes that each needs at most.
    """
    from stnreg.core.threads import default_threads

    free = free_memory()
    by_memory = default_threads() if free is None else free // memory
    return max(1, min(default_threads() // threads, by_memory))


def free_memory() -> int | None:
    """Return the bytes that are free for new processes; None if the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None


def run_local(tasks: Sequence["Task"], jobs: int, threads: int, *, read_ahead: bool | None = None) -> Iterator["Row"]:
    """Register pairs in worker processes; yield each row when it is done.

    If a worker dies, its pair is retried once in a new one, and then recorded as lost.

    Parameters
    ----------
    tasks : sequence of BatchTask
    jobs : int
        Maximum number of workers.
    threads : int
        Of each worker.
    read_ahead : bool, optional
        Whether workers get their next pair early, to read it in the background; by default with a GPU only.
    """
    from stnreg.batch.prefetch import is_worth_it

    if read_ahead is None:
        read_ahead = bool(tasks) and is_worth_it(tasks[0].device)
    waiting, tries = _Queue(tasks), Counter[str]()
    workers: list[_Worker] = []
    try:
        workers.extend(_Worker(threads) for _ in range(min(jobs, len(tasks))))
        while True:
            for worker in workers:
                if worker.task is None and (task := worker.following or waiting.take(worker.fixed)) is not None:
                    worker.give(task, waiting.take(task.shared) if read_ahead else None)
            busy = [worker for worker in workers if worker.task is not None]
            if not busy:
                return
            wait([source for worker in busy for source in (worker.connection, worker.process.sentinel)])
            for worker in busy:
                task, row = worker.task, worker.take()
                if row is not None:
                    yield row | {"tries": tries[row["id"]] + 1} if "tries" in row else row
                elif task is not None and not worker.process.is_alive():
                    if worker.following is not None:
                        waiting.put_back(worker.following)
                    tries[task.id] += 1
                    if tries[task.id] < TRIES:
                        waiting.put_back(task)
                    else:
                        yield task.died(worker.exit_reason(), TRIES)
                    workers[workers.index(worker)] = _Worker(threads)
    finally:
        for worker in workers:
            worker.process.terminate()
        for worker in workers:
            worker.close()


class _Queue:
    """Tasks grouped by fixed image, so that a worker continues with the one that it has encoded."""

    def __init__(self, tasks: Sequence["Task"]) -> None:
        self.groups: dict[Path, deque[Task]] = defaultdict(deque)
        for task in tasks:
            self.groups[task.shared].append(task)
        self.begun: set[Path] = set()

    def take(self, fixed: Path | None) -> "Task | None":
        """Return a task with that fixed image, or from a group without a worker, or from the largest group."""
        left = [path for path, group in self.groups.items() if group]
        if not left:
            return None
        if fixed not in left:
            untouched = [path for path in left if path not in self.begun]
            fixed = untouched[0] if untouched else max(left, key=lambda path: len(self.groups[path]))
        self.begun.add(fixed)
        return self.groups[fixed].popleft()

    def put_back(self, task: "Task") -> None:
        self.groups[task.shared].appendleft(task)


class _Worker:
    """A worker process, its pipe, and its current task."""

    def __init__(self, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(theirs, threads), daemon=True)
        self.process.start()
        theirs.close()
        self.task: Task | None = None
        self.following: Task | None = None
        self.fixed: Path | None = None

    def give(self, task: "Task", following: "Task | None" = None) -> None:
        self.task, self.following, self.fixed = task, following, task.shared
        with suppress(OSError):  # it may have died; `take` detects that
            self.connection.send((task, following))

    def take(self) -> "Row | None":
        """Return the finished row, if any."""
        try:
            row = self.connection.recv() if self.connection.poll() else None
        except (EOFError, OSError):
            self.process.join()
            return None
        if row is not None:
            self.task = None
        return row

    def exit_reason(self) -> str:
        """Return how the process ended."""
        code = self.process.exitcode or 0
        how = f"was killed by signal {-code}" if code < 0 else f"ended with status {code}"
        return f"the worker {how}, twice; is there enough memory? Run fewer jobs at once."

    def close(self) -> None:
        """Wait for the process to exit."""
        self.connection.close()
        self.process.join(5)
        if self.process.is_alive():
            self.process.kill()
            self.process.join()


def _serve(connection: Connection, threads: int) -> None:
    """Register the tasks from the pipe until it is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent receives it too, and ends its workers
    signal.signal(signal.SIGTERM, _leave)  # an exception, so that partial files are removed
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(threads)
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = str(threads)
    while True:
        try:
            task, following = connection.recv()
        except (EOFError, OSError):
            return
        connection.send(task.run(following))


def _leave(number: int, frame: Any) -> None:
    sys.exit(128 + number)
