"""Which parameters move, how fast, and how is that state kept?"""

import math
from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from provq_protein.errors import CheckpointError
from provq_protein.training.config import OptimizerConfig


def make_optimizer(model: nn.Module, config: OptimizerConfig) -> torch.optim.AdamW:
    """
    Build AdamW with decay on weight matrices only, and codes in a group of their own.

    Parameters
    ----------
    model : nn.Module
        A model whose codebook lies at ``quantizer.codebook``.
    config : OptimizerConfig
        Settings.

    Returns
    -------
    torch.optim.AdamW
        Groups carry ``factor``, their multiple of the learning rate.
    """
    codes = []
    groups = [
        {"params": [], "weight_decay": decay, "factor": factor}
        for factor in (1.0, config.encoder_factor)
        for decay in (config.weight_decay, 0.0)
    ]
    embeddings = {
        id(module.weight) for module in model.modules() if isinstance(module, nn.Embedding)
    }
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith("quantizer.codebook."):
            codes.append(parameter)
            continue
        plain = parameter.ndim < 2 or id(parameter) in embeddings
        groups[2 * name.startswith("encoder.") + plain]["params"].append(parameter)
    groups.append({"params": codes, "weight_decay": 0.0, "factor": config.codebook_factor})
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def learning_rate(
    step: int, steps: int, config: OptimizerConfig, *, restart: int | None = None
) -> float:
    """
    Return the learning rate of a step: linear warm-up, then half a cosine.

    Parameters
    ----------
    step : int
        From 0.
    steps : int
        Length of the run.
    config : OptimizerConfig
        Settings.
    restart : int, optional
        From this step on, the rate of a run that began at it; before, that of the whole run.

    Returns
    -------
    float
        The rate of parameters other than codes.
    """
    if restart is not None and step >= restart:
        step, steps = step - restart, steps - restart
    if step < config.warmup_steps:
        return config.learning_rate * (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, steps - config.warmup_steps)
    low = config.final_fraction
    return config.learning_rate * (low + (1 - low) * 0.5 * (1 + math.cos(math.pi * done)))


def set_learning_rate(optimizer: torch.optim.Optimizer, rate: float) -> None:
    """
    Set the rate of every group, each by its factor.

    Parameters
    ----------
    optimizer : Optimizer
        From `make_optimizer`.
    rate : float
        The learning rate of this step.
    """
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]


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
