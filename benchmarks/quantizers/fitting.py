"""How is a quantizer trained on fixed latents, with nothing around it?"""

import math

import torch
from torch import Tensor

from provq_protein.quantize import (
    Preset,
    ProgressiveQuantizer,
    ProgressiveSchedule,
    make_quantizer,
)

# Shares of the steps.
WARMUP, TRANSITION = 0.2, 0.3


def train(
    name: str, latents: Tensor, *, size: int, steps: int, batch: int, rate: float, seed: int
) -> ProgressiveQuantizer:
    """
    Train a preset to reproduce latents.

    Parameters
    ----------
    name : str
        The preset.
    latents : Tensor, shape=(latent, dim), dtype=float32
        To be reproduced.
    size, steps, batch : int
        As in `compare`.
    rate : float
        Peak learning rate of Adam; it falls to 0 along half a cosine.
    seed : int
        Decides codes, batches and seeding.

    Returns
    -------
    ProgressiveQuantizer
        In eval mode.
    """
    schedule = ProgressiveSchedule(
        warmup_steps=int(WARMUP * steps),
        transition_steps=int(TRANSITION * steps),
        shape="cosine",
        initial_coupling=1.0,
    )
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    quantizer = make_quantizer(name, size=size, dim=latents.shape[1], schedule=schedule).train()
    moving = list(quantizer.parameters())
    optimizer = torch.optim.Adam(moving, lr=rate) if moving else None
    for step in range(steps):
        if Preset(name).curriculum.seeded and step == quantizer.schedule.warmup_steps:
            quantizer.seed(latents, torch.Generator().manual_seed(seed))
            if optimizer is not None:
                optimizer.state.clear()
        batched = latents[torch.randint(len(latents), (batch,), generator=generator)]
        result = quantizer(batched, step=step)
        loss = (result.latents - batched).square().mean() + quantizer.vq_loss(result)
        if optimizer is not None and loss.requires_grad:
            for group in optimizer.param_groups:
                group["lr"] = rate * 0.5 * (1.0 + math.cos(math.pi * step / steps))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        quantizer.update(result, generator=generator)
    return quantizer.eval()
