"""Which parameters move, and how fast?"""

import math

import torch
from torch import nn

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
