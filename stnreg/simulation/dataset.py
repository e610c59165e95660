"""Make a data set of simulated pairs in a folder: in parallel, resumable, listed in PAIRS.csv.

The random numbers of a pair depend on the seed, its split and its number only, not on the order, the number of
processes or the sizes of other splits. The true transform is written last: a pair that has one is complete.
"""

import csv
import io
import json
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from stnreg.core.files import write_atomic
from stnreg.core.itk import itk_for
from stnreg.errors import DataError, UsageProblem
from stnreg.images.volume import save_volume
from stnreg.simulation.pair import PairRecipe, Plan
from stnreg.transforms.io.files import save_transform

SPLITS = ("train", "validation", "test")
SETTINGS, TABLE = "simulate.json", "PAIRS.csv"


def simulate(
    recipe: PairRecipe,
    folder: Path,
    counts: tuple[int, int, int],
    *,
    seed: int = 0,
    jobs: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Make the pairs of three splits.

    Parameters
    ----------
    recipe : PairRecipe
    folder : Path
        Created if missing. Complete pairs in it are kept; they must have the same recipe and seed.
    counts : (train, validation, test)
    seed : int
    jobs : int
        Number of processes. The files do not depend on it.
    progress : callable
        Called with the number of pairs so far and the total.

    Returns
    -------
    table : Path
        PAIRS.csv, columns `id,split,subject,fixed,moving,...,truth` and the recipe's own.

    Raises
    ------
    UsageProblem
        If the folder has pairs of another recipe or seed.
    DataError
        If a file cannot be read or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"{folder}: cannot be made ({error.strerror}).") from error
    _check_settings(recipe, folder, seed)
    wanted = [(split, number) for split, count in zip(SPLITS, counts, strict=True) for number in range(count)]
    missing = [(s, n) for s, n in wanted if not _is_complete(_pair_folder(folder, s, n), recipe)]
    done = len(wanted) - len(missing)
    progress(done, len(wanted))
    for _ in _made(recipe, folder, missing, seed, jobs):
        done += 1
        progress(done, len(wanted))
    rows = [_row(recipe, split, number, seed) for split, number in wanted]
    _write_table(folder / TABLE, rows)
    return folder / TABLE


def make_pair(recipe: PairRecipe, folder: Path, split: str, number: int, seed: int) -> None:
    """Plan, paint and write one pair; the true transform last."""
    pair = recipe.paint(plan_pair(recipe, split, number, seed), _generator(seed, split, number, 1))
    own = _pair_folder(folder, split, number)
    own.mkdir(parents=True, exist_ok=True)
    for name, volume in pair.images().items():
        save_volume(own / f"{name}.nii.gz", volume.array, like=volume, dtype="same")
    save_transform(own / "truth.tfm", pair.fixed_to_moving)


def plan_pair(recipe: PairRecipe, split: str, number: int, seed: int) -> Plan:
    """Return the plan of a pair."""
    return recipe.plan(split, number, _generator(seed, split, number, 0))


def _generator(seed: int, split: str, number: int, stage: int) -> np.random.Generator:
    return np.random.default_rng([seed, SPLITS.index(split), number, stage])


def _made(recipe: PairRecipe, folder: Path, missing: list[tuple[str, int]], seed: int, jobs: int) -> Iterator[None]:
    """Make missing pairs; yield after each."""
    if jobs == 1 or len(missing) < 2:
        _one_thread()
        for split, number in missing:
            make_pair(recipe, folder, split, number, seed)
            yield
        return
    # Spawned, since ITK's threads do not survive a fork.
    pool = ProcessPoolExecutor(min(jobs, len(missing)), mp_context=get_context("spawn"), initializer=_quiet_worker)
    try:
        futures = [pool.submit(make_pair, recipe, folder, split, number, seed) for split, number in missing]
        for future in as_completed(futures):
            future.result()
            yield
    finally:  # on an error or Ctrl-C: running pairs are completed, waiting ones dropped
        pool.shutdown(cancel_futures=True)


def _one_thread() -> None:
    sitk = itk_for("a simulation")

    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)


def _quiet_worker() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches every process; the main process ends the others
    _one_thread()


def _pair_folder(folder: Path, split: str, number: int) -> Path:
    return folder / split / f"{number:04d}"


def _is_complete(own: Path, recipe: PairRecipe) -> bool:
    return all((own / name).is_file() for name in ("truth.tfm", *(f"{image}.nii.gz" for image in recipe.images)))


def _check_settings(recipe: PairRecipe, folder: Path, seed: int) -> None:
    """Store the recipe with its pairs; UsageProblem if the folder has another one."""
    wanted: dict[str, Any] = {"kind": type(recipe).__name__, "seed": seed, **asdict(recipe)}  # type: ignore[call-overload]
    text = json.dumps(wanted, indent=2) + "\n"
    kept = folder / SETTINGS
    if kept.exists() and kept.read_text() != text:
        raise UsageProblem(
            f"{folder}: holds pairs that were made in another way (see {kept}). "
            "Give the same options to continue, or another folder."
        )
    if not kept.exists():
        write_atomic(kept, text.encode())


def _row(recipe: PairRecipe, split: str, number: int, seed: int) -> dict[str, str]:
    own = Path(split) / f"{number:04d}"
    files = {name: f"{own / name}.nii.gz" for name in recipe.images} | {"truth": f"{own / 'truth.tfm'}"}
    return {"id": f"{split}-{number:04d}", "split": split, **files} | plan_pair(recipe, split, number, seed).columns


def _write_table(path: Path, rows: list[dict[str, str]]) -> None:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_atomic(path, text.getvalue().encode())
