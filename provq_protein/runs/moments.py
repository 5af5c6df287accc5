"""What does an optimizer remember of each parameter, and how is that kept?"""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from provq_protein.errors import CheckpointError


def optimizer_tensors(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """
    Return the optimizer's state under the names of the parameters.

    Parameters
    ----------
    model : nn.Module
        The model it moves.
    optimizer : Optimizer
        Its state is read.

    Returns
    -------
    dict of str to Tensor
        ``parameter/moment`` to tensor; parameters that never had a gradient are absent.
    """
    tensors = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            tensors[f"{name}/{key}"] = torch.as_tensor(value)
    return tensors


def restore_optimizer(
    model: nn.Module, optimizer: torch.optim.Optimizer, tensors: Mapping[str, Tensor]
) -> None:
    """
    Put back what `optimizer_tensors` returned.

    Parameters
    ----------
    model : nn.Module
        The model it moves.
    optimizer : Optimizer
        Its state is replaced.
    tensors : mapping
        From `optimizer_tensors`.

    Raises
    ------
    CheckpointError
        If a tensor belongs to no parameter of the model.
    """
    parameters = dict(model.named_parameters())
    optimizer.state.clear()
    for name, value in tensors.items():
        place, _, key = name.rpartition("/")
        if place not in parameters:
            msg = f"optimizer state of {place!r}, which is no parameter of this model"
            raise CheckpointError(msg)
        parameter = parameters[place]
        optimizer.state[parameter][key] = value.to(parameter.device, copy=True)


def reset_moments(
    optimizer: torch.optim.Optimizer, parameters: Iterable[nn.Parameter], moved: Tensor
) -> None:
    """
    Forget the moments of codes that were moved by hand.

    Parameters
    ----------
    optimizer : Optimizer
        Its state is changed in place.
    parameters : iterable of Parameter
        Tables of codes, among others; only those with one row per code are touched.
    moved : Tensor, shape=(code,), dtype=bool
        True where a code was moved.
    """
    if not bool(moved.any()):
        return
    for parameter in parameters:
        if parameter.shape[:1] != moved.shape:
            continue
        for value in optimizer.state.get(parameter, {}).values():
            if torch.is_tensor(value) and value.shape == parameter.shape:
                value[moved] = 0.0
