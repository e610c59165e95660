"""What stays of a training run for people: metrics.csv, a picture of the curves, and TensorBoard's file."""

import csv
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

COLUMNS = ("step", "split", "name", "value")
METRICS, CURVES, BOARD = "metrics.csv", "curves.png", "tensorboard"


class Figure(NamedTuple):
    """One figure of one step; `split` is `train` or `validation`."""

    step: int
    split: str
    name: str
    value: float


class Record:
    """The figures of a run: one a row of metrics.csv, `step,split,name,value`, appended.

    Parameters
    ----------
    run : Path
        Folder of the run.
    resume_step : int, optional
        Rows after this step are dropped: they come from steps that the resumed run takes again. A new
        file is begun when left out.
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
        """Append the figures of one step."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows(_row(Figure(step, split, name, value)) for name, value in figures.items())
        if self._board:
            for name, value in figures.items():
                self._board.add_scalar(f"{name}/{split}", value, step)

    def draw(self) -> None:
        """Draw all figures so far as curves.png."""
        from stnreg.training.curves import write_curves

        write_curves(self.run / CURVES, read_metrics(self.path))

    def close(self) -> None:
        """Let go of TensorBoard's file."""
        if self._board:
            self._board.close()


def read_metrics(path: Path) -> list[Figure]:
    """Read a metrics.csv; a last row that was cut off is left out."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.reader(file) if len(row) == len(COLUMNS) and row[0].isdigit()]
    return [Figure(int(step), split, name, float(value)) for step, split, name, value in rows if value]


def _row(figure: Figure) -> tuple[int, str, str, str]:
    return figure.step, figure.split, figure.name, f"{figure.value:.6g}"


def _board(folder: Path, resume_step: int | None) -> Any:
    """Return TensorBoard's writer where TensorBoard is installed, else None."""
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=None if resume_step is None else resume_step + 1)
