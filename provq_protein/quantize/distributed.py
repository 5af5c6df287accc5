"""How do the processes of one training see the same batch?"""

from collections.abc import Callable

import torch
from torch import Tensor, distributed, nn


def is_first() -> bool:
    """
    Return whether this process has rank 0.

    Returns
    -------
    bool
        True as well where no process group exists.
    """
    return not _in_group() or distributed.get_rank() == 0


def world_size() -> int:
    """
    Return the number of processes.

    Returns
    -------
    int
        1 where no process group exists.
    """
    return distributed.get_world_size() if _in_group() else 1


@torch.no_grad()
def summed(values: Tensor) -> Tensor:
    """
    Return the sum over all processes.

    Parameters
    ----------
    values : Tensor
        Numbers, of the same shape and dtype in every process. Integers are summed exactly;
        float32 counts are exact up to 2**24.

    Returns
    -------
    Tensor
        A new tensor, the same in every process, on the device of `values`.
    """
    if world_size() == 1 or not values.numel():
        return values.detach().clone()
    # Contiguous, and never the tensor itself, which would be summed in place.
    total = values.detach().to(_carrier(values), copy=True).contiguous()
    distributed.all_reduce(total)
    return total.to(values.device)


@torch.no_grad()
def gathered(rows: Tensor) -> Tensor:
    """
    Return the rows of all processes, in the order of their ranks.

    Parameters
    ----------
    rows : Tensor, shape=(row, ...)
        The number of rows may differ between processes, and be zero; the rest of the shape and
        the dtype may not.

    Returns
    -------
    Tensor, shape=(all rows, ...)
        Detached, the same in every process, on the device of `rows`.
    """
    if world_size() == 1:
        return rows.detach()
    count = torch.tensor([rows.shape[0]], device=_carrier(rows))
    counts = [torch.zeros_like(count) for _ in range(world_size())]
    distributed.all_gather(counts, count)
    sizes = [int(each) for each in counts]
    padded = rows.new_zeros((max(sizes), *rows.shape[1:]))
    if not padded.numel():
        return rows.new_zeros((sum(sizes), *rows.shape[1:]))
    padded[: rows.shape[0]] = rows.detach()
    shared = _sendable(padded)
    parts = [torch.empty_like(shared) for _ in sizes]
    distributed.all_gather(parts, shared)
    valid = [part[:size] for part, size in zip(parts, sizes, strict=True)]
    return torch.cat(valid).to(rows.device)


@torch.no_grad()
def copy_from_first(module: nn.Module) -> None:
    """
    Give every process the parameters and buffers that rank 0 has.

    Parameters
    ----------
    module : nn.Module
        Changed in place, with the same shapes and dtypes in every process.
    """
    if world_size() == 1:
        return
    for value in (*module.parameters(), *module.buffers()):
        if value.numel():
            shared = _sendable(value.detach())
            distributed.broadcast(shared, src=0)
            value.copy_(shared)


def copy_generator_from_first(generator: torch.Generator) -> None:
    """
    Let every process draw from here on what rank 0 draws.

    Parameters
    ----------
    generator : torch.Generator
        Its state is replaced; on the same kind of device in every process.
    """
    if world_size() == 1:
        return
    shared = _sendable(generator.get_state())
    distributed.broadcast(shared, src=0)
    generator.set_state(shared.cpu())


def on_first(action: Callable[[], None]) -> None:
    """
    Do something in rank 0 alone, and let no process wait for a rank 0 that failed.

    Parameters
    ----------
    action : callable
        Without arguments or result; no process may communicate in it.

    Raises
    ------
    Exception
        In rank 0, what `action` raised.
    RuntimeError
        In the other processes, if `action` raised in rank 0.
    """
    failure: Exception | None = None
    if is_first():
        try:
            action()
        except Exception as error:  # noqa: BLE001 - raised again below, when all know
            failure = error
    failed = bool(summed(torch.tensor(int(failure is not None))))
    if failure is not None:
        raise failure
    if failed:
        msg = "the process of rank 0 failed in a step that the others depend on; see its error"
        raise RuntimeError(msg)


def _in_group() -> bool:
    return distributed.is_available() and distributed.is_initialized()


def _backend() -> str:
    return distributed.get_backend() if _in_group() else ""


def _carrier(values: Tensor) -> torch.device:
    """Return the device from which the backend can send these values."""
    if _backend() == "nccl" and not values.is_cuda:
        return torch.device("cuda", torch.cuda.current_device())
    if _backend() == "gloo":
        return torch.device("cpu")
    return values.device


def _sendable(values: Tensor) -> Tensor:
    """Return the values as the backend can send them; they themselves where it can."""
    return values.to(_carrier(values)).contiguous()
