"""Read the moving image of the next pair while the GPU is busy."""

from concurrent.futures import Future, ThreadPoolExecutor

from stnreg.batch.task import BatchTask
from stnreg.errors import StnregError
from stnreg.images.inputs import as_volume
from stnreg.images.volume import Volume
from stnreg.models.runtime import gpu_count


def is_worth_it(device: str) -> bool:
    """Return whether prefetching saves time: on the CPU it would take cores from other pairs."""
    return device.startswith("cuda") or (device == "auto" and gpu_count() > 0)


class Prefetcher:
    """Prefetches one image: the next one."""

    def __init__(self) -> None:
        self._reader: ThreadPoolExecutor | None = None
        self._task: BatchTask | None = None
        self._image: Future[Volume] | None = None

    def begin(self, task: BatchTask) -> None:
        """Start to read the moving image of a task."""
        options = task.settings.options
        self._reader = self._reader or ThreadPoolExecutor(1, "read-ahead")
        self._task = task
        self._image = self._reader.submit(
            as_volume, task.pair.moving, options.header_source, series=options.volume is not None
        )

    def take(self, task: BatchTask) -> Volume | None:
        """Return the prefetched moving image of a task. None: the caller has to read it, and gets the error if any."""
        image, begun = self._image, self._task
        self._image = self._task = None
        if image is None or begun != task:
            return None
        try:
            return image.result()
        except (StnregError, OSError, MemoryError):
            return None
