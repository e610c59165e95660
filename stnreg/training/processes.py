"""One run on several processes: `torchrun --nproc-per-node N -m stnreg train ...`, on one machine or on many.

Every process draws the same batch and takes its own share of the pairs; gradients are averaged by torch's
DistributedDataParallel, so a step is the same step that one process would take. The first process alone writes.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from stnreg.errors import UsageProblem

PATIENCE = timedelta(hours=6)  # how long the others wait while the first prepares scans, or validates


@dataclass(frozen=True)
class Processes:
    """Which process this is.

    Attributes
    ----------
    rank, count : int
        This process among all of the run.
    local_rank : int
        This process among those of its machine: the GPU it takes.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes and talks."""
        return self.rank == 0

    def wait(self) -> None:
        """Go on when every process has come here."""
        if self.count > 1:
            distributed.barrier()

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Return what computes the gradients of all processes, out of the network of this one."""
        if self.count == 1:
            return network
        return nn.parallel.DistributedDataParallel(network, [device.index] if device.type == "cuda" else None)

    def mean(self, figures: dict[str, float], device: torch.device) -> dict[str, float]:
        """Average figures over the processes."""
        if self.count == 1:
            return figures
        total = torch.tensor(list(figures.values()), dtype=torch.float64, device=device)
        distributed.all_reduce(total)
        return dict(zip(figures, (total / self.count).tolist(), strict=True))

    def share(self, *batch: Tensor) -> tuple[Tensor, ...]:
        """Return this process' share of tensors along their first axis.

        Raises
        ------
        UsageProblem
            If they cannot be shared out evenly.
        """
        for tensor in batch:
            if len(tensor) % self.count:
                raise UsageProblem(
                    f"{len(tensor)} pairs a step cannot be shared out evenly among {self.count} processes; make "
                    "`batch` of [pair] a multiple of them (of twice as many with both_ways)"
                )
        return tuple(tensor[self.rank :: self.count] for tensor in batch)


def from_environment() -> Processes:
    """Return what torchrun says this process is; the only one without torchrun."""
    rank, count, local = (int(os.environ.get(name, alone)) for name, alone in _TOLD)
    return Processes(rank, count, local)


_TOLD = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))


def choose_device(name: str, processes: Processes | None = None) -> torch.device:
    """Return the device that `auto`, `cpu` or `cuda[:N]` means here.

    Raises
    ------
    UsageProblem
        If a GPU is asked for and there is none.
    """
    local_rank = processes.local_rank if processes and processes.count > 1 else None
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageProblem(f"device {name}: torch finds no GPU; use the device cpu")
    if device.type == "cuda" and local_rank is not None:
        device = torch.device("cuda", local_rank)
        torch.cuda.set_device(device)
    return device


@contextmanager
def joined(device: str = "auto") -> Iterator[Processes]:
    """Join the processes that torchrun started, for as long as the block lasts.

    Parameters
    ----------
    device : str
        As `choose_device` takes it: processes speak NCCL between GPUs and Gloo between CPUs.
    """
    processes = from_environment()
    if processes.count == 1:
        yield processes
        return
    kind = choose_device(device, processes).type
    distributed.init_process_group("nccl" if kind == "cuda" else "gloo", timeout=PATIENCE)
    try:
        yield processes
    finally:
        distributed.destroy_process_group()
