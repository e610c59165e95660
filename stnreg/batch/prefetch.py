"""The next pair's moving image, read while a GPU is busy with this one."""

from concurrent.futures import Future, ThreadPoolExecutor

from stnreg.batch.task import Task
from stnreg.errors import StnregError
from stnreg.images.inputs import as_volume
from stnreg.images.volume import Volume
from stnreg.models.runtime import gpu_count


def is_worth_it(device: str) -> bool:
    """Tell whether reading ahead gains time: on the CPU, cores that read would be taken from pairs that wait."""
    return device.startswith("cuda") or (device == "auto" and gpu_count() > 0)


class Prefetcher:
    """One image at most: the one that is wanted next."""

    def __init__(self) -> None:
        self._reader: ThreadPoolExecutor | None = None
        self._task: Task | None = None
        self._image: Future[Volume] | None = None

    def begin(self, task: Task) -> None:
        """Start reading a task's moving image."""
        options = task.settings.options
        self._reader = self._reader or ThreadPoolExecutor(1, "read-ahead")
        self._task = task
        self._image = self._reader.submit(
            as_volume, task.pair.moving, options.header_source, series=options.volume is not None
        )

    def take(self, task: Task) -> Volume | None:
        """Return the moving image of a task if it was begun; whoever gets None reads it, and is told what is wrong."""
        image, begun = self._image, self._task
        self._image = self._task = None
        if image is None or begun != task:
            return None
        try:
            return image.result()
        except (StnregError, OSError, MemoryError):
            return None
