"""Progress of a training run on stderr: a bar on a terminal, otherwise plain lines."""

import sys
from types import TracebackType

from stnreg.reports.streams import progress_bar


class Progress:
    """Shows the progress of a run; a context manager. `quiet` measures time only."""

    def __init__(self, title: str, step: int, steps: int, *, quiet: bool = False) -> None:
        self.steps, self.step_s = steps, 0.0
        self._quiet = quiet
        self._bar = None
        if sys.stderr.isatty() and not quiet:
            self._bar = progress_bar()
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
        """Update the bar after a step; `step_s` is the running mean of seconds per step."""
        self.step_s = seconds if not self.step_s else 0.95 * self.step_s + 0.05 * seconds
        if self._bar:
            speed = f"loss {loss:.5f}  {1 / self.step_s:.1f} steps/s"
            self._bar.update(self._task, completed=step, description=speed)

    def log(self, step: int, figures: dict[str, float]) -> None:
        """Print metrics in one line if no bar is shown."""
        if self._bar is None and not self._quiet:
            values = "  ".join(f"{name} {value:.5g}" for name, value in figures.items())
            left_s = (self.steps - step) * self.step_s
            print(
                f"step {step}/{self.steps}  {values}  {self.step_s:.3f} s/step  {left_s / 60:.0f} min left",
                file=sys.stderr,
            )
