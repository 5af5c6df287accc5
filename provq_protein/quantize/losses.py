"""How far apart are latents and their codes, over all that is valid?"""

import torch
from torch import Tensor

from provq_protein.quantize.distributed import summed, world_size


def one_over_valid(latents: Tensor, mask: Tensor | None, *, together: bool) -> Tensor:
    """
    Return one over the number of valid latents.

    Parameters
    ----------
    latents : Tensor, shape=(..., dim), dtype=float32
        Latents of this process.
    mask : Tensor, shape=(...), dtype=bool, optional
        True where a latent is valid.
    together : bool
        Count the latents of all processes, of which each gets its share: gradients averaged over
        processes are then those of one process with the whole batch.

    Returns
    -------
    Tensor, shape=(), dtype=float32
        0 where no latent is valid.
    """
    valid = latents[..., 0].numel() if mask is None else mask.sum()
    count = torch.as_tensor(valid, dtype=torch.float32, device=latents.device)
    if together and torch.is_grad_enabled():
        # Gradients are averaged over processes, so each counts its share of all latents.
        count = summed(count) / world_size()
    return torch.where(count > 0, 1.0 / count, 0.0)


def mean_over_levels(
    pairs: list[tuple[Tensor, Tensor]], mask: Tensor | None, scale: Tensor
) -> Tensor:
    """
    Return the mean, over levels and valid latents, of mean squared differences.

    Parameters
    ----------
    pairs : list of tuple of Tensor, each shape=(..., dim)
        What is compared, level by level.
    mask : Tensor, shape=(...), dtype=bool, optional
        True where a latent is valid.
    scale : Tensor, shape=()
        From `one_over_valid`.

    Returns
    -------
    Tensor, shape=(), dtype=float32
        The mean.
    """
    squared = [(values - targets).square().mean(dim=-1) for values, targets in pairs]
    if mask is not None:
        squared = [torch.where(mask, each, 0.0) for each in squared]
    return torch.stack([each.sum() for each in squared]).mean() * scale
