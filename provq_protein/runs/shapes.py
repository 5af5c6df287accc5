"""Which tensors would a module hold, before memory is spent on them?"""

from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Size, Tensor, nn
from torch.overrides import TorchFunctionMode

_Module = TypeVar("_Module", bound=nn.Module)

_FILLING = {Tensor.normal_, Tensor.uniform_, Tensor.zero_, Tensor.fill_}
_DRAWING = {torch.randn, torch.rand}


class _WithoutValues(TorchFunctionMode):
    """
    Leave out what only fills tensors.

    Random numbers without memory make torch import its compiler, which takes seconds.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401 - whatever the function returns
        kwargs = kwargs or {}
        if func in _FILLING or getattr(func, "__module__", "") == nn.init.__name__:
            return args[0] if args else kwargs["tensor"]
        if func is torch.eye and "out" in kwargs:
            return kwargs["out"]
        if func in _DRAWING:
            kwargs.pop("generator", None)
            func = torch.empty
        elif func is torch.eye:
            func, args = torch.empty, (args[0], args[-1])
        return func(*args, **kwargs)


def shapes_of(build: Callable[[], nn.Module]) -> dict[str, Size]:
    """
    Return the shapes of a module's state without allocating it.

    Parameters
    ----------
    build : callable
        Makes the module.

    Returns
    -------
    dict of str to torch.Size
        Of its state dict.

    Examples
    --------
    >>> shapes_of(lambda: nn.Linear(1_000_000, 1_000_000))["bias"]
    torch.Size([1000000])
    """
    return {name: value.shape for name, value in without_memory(build).state_dict().items()}


def without_memory(build: Callable[[], _Module]) -> _Module:
    """
    Build a module whose tensors have shapes and no values.

    Parameters
    ----------
    build : callable
        Makes the module.

    Returns
    -------
    Module
        On the device ``meta``: it computes nothing until tensors are assigned to it, with
        ``load_state_dict(tensors, assign=True)``.

    Examples
    --------
    >>> empty = without_memory(lambda: nn.Linear(2, 1))
    >>> _ = empty.load_state_dict({"weight": torch.ones(1, 2), "bias": torch.zeros(1)}, assign=True)
    >>> empty(torch.tensor([1.0, 2.0])).item()
    3.0
    """
    with torch.device("meta"), _WithoutValues():
        return build()
