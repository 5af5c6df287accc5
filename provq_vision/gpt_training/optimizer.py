"""Which weights of an autoregressive model decay, and how fast does it learn?"""

import torch
from torch import nn

from provq_vision.gpt_training.config import GptOptimizerConfig


def make_optimizer(model: nn.Module, config: GptOptimizerConfig) -> torch.optim.AdamW:
    """
    Build the optimizer of an autoregressive model.

    Parameters
    ----------
    model : nn.Module
        All its parameters move.
    config : GptOptimizerConfig
        Settings.

    Returns
    -------
    torch.optim.AdamW
        Matrices and embeddings decay, scales of normalizations do not.
    """
    parameters = list(model.parameters())
    groups = [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": config.weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=config.learning_rate, betas=config.betas, fused=True)


def set_learning_rate(
    optimizer: torch.optim.Optimizer, config: GptOptimizerConfig, *, step: int
) -> float:
    """
    Set the rate of a step.

    Parameters
    ----------
    optimizer : Optimizer
        From `make_optimizer`.
    config : GptOptimizerConfig
        Settings.
    step : int
        Optimizer steps done so far.

    Returns
    -------
    float
        The rate.
    """
    rise = min(1.0, (step + 1) / config.warmup_steps) if config.warmup_steps else 1.0
    rate = config.learning_rate * rise
    for group in optimizer.param_groups:
        group["lr"] = rate
    return rate
