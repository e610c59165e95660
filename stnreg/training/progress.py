"""What a training run says while it runs: a bar on a terminal, plain lines elsewhere, and metrics.csv."""

import csv
import sys
import time
from pathlib import Path
from types import TracebackType

COLUMNS = ("step", "split", "name", "value")


class MetricsFile:
    """metrics.csv of a run: one figure a row, `step,split,name,value`, appended.

    Parameters
    ----------
    path : Path
    resume_step : int, optional
        Rows after this step are dropped: they come from steps that the resumed run takes again. A new
        file is begun when left out.
    """

    def __init__(self, path: Path, resume_step: int | None) -> None:
        self.path = path
        rows: list[list[str]] = []
        if resume_step is not None and path.exists():
            with path.open(newline="", encoding="utf-8") as file:
                rows = [row for row in csv.reader(file) if row and row[0].isdigit() and int(row[0]) <= resume_step]
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("w", newline="", encoding="utf-8") as file:
            csv.writer(file, lineterminator="\n").writerows([COLUMNS, *rows])

    def add(self, step: int, split: str, figures: dict[str, float]) -> None:
        """Append the figures of one step."""
        with self.path.open("a", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerows((step, split, name, f"{value:.6g}") for name, value in figures.items())


class Progress:
    """Tells on stderr how far a run is; a context manager."""

    def __init__(self, title: str, step: int, steps: int) -> None:
        self.steps, self.step_s = steps, 0.0
        self._began, self._bar = time.perf_counter(), None
        if sys.stderr.isatty():
            from rich.console import Console
            from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
            from rich.progress import Progress as Bar

            columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
            self._bar = Bar(*columns, console=Console(stderr=True))
            self._task = self._bar.add_task(title, total=steps, completed=step)

    def __enter__(self) -> "Progress":
        if self._bar:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar:
            self._bar.stop()

    def step(self, step: int, loss: float, seconds: float) -> None:
        """Note one step done; `step_s` becomes the running mean of its seconds."""
        self.step_s = seconds if not self.step_s else 0.95 * self.step_s + 0.05 * seconds
        if self._bar:
            speed = f"loss {loss:.5f}  {1 / self.step_s:.1f} steps/s"
            self._bar.update(self._task, completed=step, description=speed)

    def log(self, step: int, figures: dict[str, float]) -> None:
        """Print figures as one line where no bar is shown."""
        if self._bar is None:
            told = "  ".join(f"{name} {value:.5g}" for name, value in figures.items())
            left_s = (self.steps - step) * self.step_s
            print(
                f"step {step}/{self.steps}  {told}  {self.step_s:.3f} s/step  {left_s / 60:.0f} min left",
                file=sys.stderr,
            )
