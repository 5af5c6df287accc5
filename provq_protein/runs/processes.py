"""How do several processes train one model, and what do they add up?"""

import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Literal

import torch
from torch import Tensor, distributed, nn

from provq_protein.errors import ConfigError
from provq_protein.quantize.distributed import summed, world_size

Device = Literal["auto", "cpu", "cuda"]

# Elements that are sent at once: 64 MiB in float32.
_BUCKET = 1 << 24


@contextmanager
def training_processes(device: Device = "auto") -> Iterator[torch.device]:
    """
    Join the other processes that ``torchrun`` started, if it did, and leave them at the end.

    Parameters
    ----------
    device : {"auto", "cpu", "cuda"}
        Where to train; "auto" is a GPU if there is one.

    Yields
    ------
    torch.device
        This process's own.

    Raises
    ------
    ConfigError
        If a GPU was asked for and there is none for this process.

    Notes
    -----
    Processes talk by NCCL where they have GPUs and by gloo on CPUs. ``torchrun`` tells each
    its place through the environment variables ``RANK``, ``LOCAL_RANK`` and ``WORLD_SIZE``.
    """
    own = _own_device(device, int(os.environ.get("LOCAL_RANK", "0")))
    several = int(os.environ.get("WORLD_SIZE", "1")) > 1
    if several:
        distributed.init_process_group("nccl" if own.type == "cuda" else "gloo")
    try:
        yield own
    finally:
        if several:
            distributed.destroy_process_group()


def _own_device(device: Device, local_rank: int) -> torch.device:
    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    if local_rank >= torch.cuda.device_count():
        msg = (
            f"--device {device}: process {local_rank} of this machine has no GPU: there are "
            f"{torch.cuda.device_count()}; start fewer processes, or use --device cpu"
        )
        raise ConfigError(msg)
    torch.cuda.set_device(local_rank)
    return torch.device("cuda", local_rank)


def rank() -> int:
    """
    Return the number of this process.

    Returns
    -------
    int
        From 0; 0 where there is one.
    """
    return distributed.get_rank() if world_size() > 1 else 0


def deadline_passed(deadline: float | None) -> bool:
    """
    Tell whether it is time to stop, by the clock of the first process.

    Parameters
    ----------
    deadline : float, optional
        By ``time.perf_counter``; None for never. The same kind in every process.

    Returns
    -------
    bool
        The same in every process: they have to stop at the same step.
    """
    if deadline is None:
        return False
    passed = rank() == 0 and time.perf_counter() >= deadline
    return bool(summed(torch.tensor(int(passed))))


@torch.no_grad()
def add_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """
    Give every process the sum of the gradients of all processes.

    Parameters
    ----------
    parameters : iterable of Parameter
        The same in every process. One without a gradient in any process has none afterwards.

    Notes
    -----
    A sum and not the average of DistributedDataParallel, because each process weighs what it
    adds to the loss by its share of the whole batch. Codes have no gradient in the warm-up and
    encoders none while settling, which that wrapper would take for a mistake.
    """
    if world_size() == 1:
        return
    every = [parameter for parameter in parameters if parameter.requires_grad]
    has_one = torch.tensor([float(p.grad is not None) for p in every], device=_device(every))
    distributed.all_reduce(has_one)
    moving = [p for p, count in zip(every, has_one.tolist(), strict=True) if count]
    for parameter in moving:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)
    for bucket in _buckets([p.grad for p in moving if p.grad is not None]):
        flat = torch.cat([gradient.flatten() for gradient in bucket])
        distributed.all_reduce(flat)
        parts = flat.split([gradient.numel() for gradient in bucket])
        for gradient, part in zip(bucket, parts, strict=True):
            gradient.copy_(part.view_as(gradient))


def _device(parameters: list[nn.Parameter]) -> torch.device:
    return parameters[0].device if parameters else torch.device("cpu")


def _buckets(tensors: list[Tensor]) -> Iterator[list[Tensor]]:
    bucket, size = [], 0
    for tensor in tensors:
        if bucket and size + tensor.numel() > _BUCKET:
            yield bucket
            bucket, size = [], 0
        bucket.append(tensor)
        size += tensor.numel()
    if bucket:
        yield bucket
