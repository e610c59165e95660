"""Distributed training: `torchrun --nproc-per-node N -m stnreg train ...`, on one machine or several.

Every process draws the same batch and takes its shard of the pairs. Gradients are averaged by torch's
DistributedDataParallel, so a step equals that of one process. Only the first process writes files.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch
from torch import Tensor, distributed, nn

from stnreg.errors import UsageProblem

PATIENCE = timedelta(hours=6)  # timeout of the others while the first process packs scans or validates


@dataclass(frozen=True)
class Processes:
    """The rank of this process and their number.

    Attributes
    ----------
    rank, count : int
        Rank of this process, and number of processes.
    local_rank : int
        Rank on its machine: the index of its GPU.
    """

    rank: int = 0
    count: int = 1
    local_rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes files and messages."""
        return self.rank == 0

    def wait(self) -> None:
        """Wait for all processes (barrier)."""
        if self.count > 1:
            distributed.barrier()

    def wrap(self, network: nn.Module, device: torch.device) -> nn.Module:
        """Wrap the network of this process in DistributedDataParallel."""
        if self.count == 1:
            return network
        return nn.parallel.DistributedDataParallel(network, [device.index] if device.type == "cuda" else None)

    def mean(self, figures: dict[str, float], device: torch.device) -> dict[str, float]:
        """Average metrics over the processes."""
        if self.count == 1:
            return figures
        total = torch.tensor(list(figures.values()), dtype=torch.float64, device=device)
        distributed.all_reduce(total)
        return dict(zip(figures, (total / self.count).tolist(), strict=True))

    def shard(self, *batch: Tensor) -> tuple[Tensor, ...]:
        """Return the shard of this process of tensors along their first axis.

        Raises
        ------
        UsageProblem
            If they cannot be divided evenly.
        """
        for tensor in batch:
            if len(tensor) % self.count:
                raise UsageProblem(
                    f"{len(tensor)} pairs a step cannot be shared out evenly among {self.count} processes; make "
                    "`batch` of [pair] a multiple of them (of twice as many with both_ways)"
                )
        return tuple(tensor[self.rank :: self.count] for tensor in batch)


def from_environment() -> Processes:
    """Return the processes from the environment variables of torchrun; a single one without torchrun."""
    rank, count, local = (int(os.environ.get(name, alone)) for name, alone in _TOLD)
    return Processes(rank, count, local)


_TOLD = (("RANK", "0"), ("WORLD_SIZE", "1"), ("LOCAL_RANK", "0"))


def choose_device(name: str, processes: Processes | None = None) -> torch.device:
    """Return the device that `auto`, `cpu` or `cuda[:N]` means here.

    Raises
    ------
    UsageProblem
        If a GPU is requested and there is none.
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
    """Initialise the process group of torchrun inside the block.

    Parameters
    ----------
    device : str
        As `choose_device` takes it. The backend is NCCL for GPUs and Gloo for CPUs.
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
