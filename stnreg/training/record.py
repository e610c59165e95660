"""The record of a training run: metrics.csv, curves.png, and TensorBoard events."""

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

COLUMNS = ("step", "split", "name", "value")
METRICS, CURVES, BOARD = "metrics.csv", "curves.png", "tensorboard"


class Figure(NamedTuple):
    """One metric at one step; `split` is `train` or `validation`."""

    step: int
    split: str
    name: str
    value: float


class Record:
    """The metrics of a run, appended to metrics.csv with columns `step,split,name,value`.

    Parameters
    ----------
    run : Path
        Folder of the run.
    resume_step : int, optional
        Rows after this step are dropped: the resumed run repeats these steps. By default a new file is started.
    """

    def __init__(self, run: Path, resume_step: int | None) -> None:
        self.run, self.path = run, run / METRICS
        figures: list[Figure] = []
        if resume_step is not None and self.path.exists():
            figures = [figure for figure in read_metrics(self.path) if figure.step <= resume_step]
        run.mkdir(parents=True, exist_ok=True)
        with self.path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *(_row(figure) for figure in figures)])
        self._board = _board(run / BOARD, resume_step)

    def add(self, step: int, split: str, figures: dict[str, float]) -> None:
        """Append the metrics of one step."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows(_row(Figure(step, split, name, value)) for name, value in figures.items())
        if self._board:
            for name, value in figures.items():
                self._board.add_scalar(f"{name}/{split}", value, step)

    def draw(self) -> None:
        """Draw all metrics so far as curves.png."""
        from stnreg.training.curves import write_curves

        write_curves(self.run / CURVES, read_metrics(self.path))

    def close(self) -> None:
        """Close TensorBoard's file."""
        if self._board:
            self._board.close()


def read_metrics(path: Path) -> list[Figure]:
    """Read a metrics.csv; a truncated last row is ignored."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if len(row) == len(COLUMNS) and row[0].isdigit()]
    return [Figure(int(step), split, name, float(value)) for step, split, name, value in rows if value]


def _row(figure: Figure) -> tuple[int, str, str, str]:
    return figure.step, figure.split, figure.name, f"{figure.value:.6g}"


def _board(folder: Path, resume_step: int | None) -> Any:
    """Return TensorBoard's writer if TensorBoard is installed, else None."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=None if resume_step is None else resume_step + 1)
