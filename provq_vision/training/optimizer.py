"""Which parameters of autoencoder and discriminator move, and how fast?"""

import torch
from torch import nn

from provq_vision.training.config import ImageOptimizerConfig

_CODES = "quantizer.codebook."


def make_optimizer(model: nn.Module, config: ImageOptimizerConfig) -> torch.optim.AdamW:
    """
    Build the optimizer of an autoencoder, with the codes in a group of their own.

    Parameters
    ----------
    model : nn.Module
        Its codebook lies at ``quantizer.codebook``.
    config : ImageOptimizerConfig
        Settings.

    Returns
    -------
    torch.optim.AdamW
        Adam where `weight_decay` is 0. Groups carry ``factor``, their multiple of the rate.
    """
    matrices, plain, codes = [], [], []
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        if name.startswith(_CODES):
            codes.append(parameter)
        else:
            (plain if parameter.ndim < 2 else matrices).append(parameter)
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay, "factor": 1.0},
        {"params": plain, "weight_decay": 0.0, "factor": 1.0},
        {"params": codes, "weight_decay": 0.0, "factor": config.codebook_factor},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def make_discriminator_optimizer(
    discriminator: nn.Module, config: ImageOptimizerConfig
) -> torch.optim.AdamW:
    """
    Build the optimizer of a discriminator.

    Parameters
    ----------
    discriminator : nn.Module
        All its parameters move.
    config : ImageOptimizerConfig
        Settings.

    Returns
    -------
    torch.optim.AdamW
        Its group carries ``factor``.
    """
    matrices = [each for each in discriminator.parameters() if each.ndim >= 2]
    plain = [each for each in discriminator.parameters() if each.ndim < 2]
    factor = config.discriminator_factor
    groups = [
        {"params": matrices, "weight_decay": config.weight_decay, "factor": factor},
        {"params": plain, "weight_decay": 0.0, "factor": factor},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def set_learning_rate(
    optimizer: torch.optim.Optimizer, config: ImageOptimizerConfig, *, step: int
) -> float:
    """
    Set the rate of every group, each by its factor.

    Parameters
    ----------
    optimizer : Optimizer
        From this module.
    config : ImageOptimizerConfig
        Settings.
    step : int
        Optimizer steps done so far.

    Returns
    -------
    float
        The rate of what has a factor of 1.
    """
    rise = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    rate = config.learning_rate * rise
    for group in optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    return rate
