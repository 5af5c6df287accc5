"""What noise does the decoder get while latents are continuous?"""

import torch
from torch import Tensor

from provq_protein.training.batches import Batch
from provq_protein.training.config import TrainingConfig


def latent_noise(config: TrainingConfig, batch: Batch, *, step: int) -> Tensor | None:
    """
    Return noise on the latents of a batch: a function of seed and step.

    Parameters
    ----------
    config : TrainingConfig
        The run, whose ``data.latent_noise`` grows from 0 over ``data.latent_noise_ramp`` steps.
    batch : Batch
        The whole batch.
    step : int
        From 0.

    Returns
    -------
    Tensor, shape=(batch, residue, latent_dim), dtype=float32, or None
        None where noise is off. The model adds it in proportion to the share of the continuous
        latents, so that there is none once quantization is hard.

    Notes
    -----
    With latents of mean square 1, noise limits how many bits a latent can carry, as a codebook
    does later: an encoder that has met it keeps what matters in differences larger than it.
    """
    data = config.data
    if data.latent_noise == 0.0:
        return None
    grown = min(1.0, step / max(1, data.latent_noise_ramp))
    generator = torch.Generator().manual_seed((config.seed << 32) + step)
    shape = (*batch.resolved.shape, config.model.encoder.latent_dim)
    return grown * data.latent_noise * torch.randn(shape, generator=generator)
