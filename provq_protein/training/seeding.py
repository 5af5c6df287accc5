"""Which latents are the codes seeded from?"""

import numpy as np
import torch
from torch import Tensor

from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.quantize.distributed import world_size
from provq_protein.runs.processes import rank
from provq_protein.training.batches import BatchPlan


@torch.no_grad()
def sample_latents(
    model: StructureAutoencoder, plan: BatchPlan, *, first: int, wanted: int, low_precision: bool
) -> Tensor:
    """
    Return this process's share of a sample of latents.

    Parameters
    ----------
    model : StructureAutoencoder
        Left in eval mode.
    plan : BatchPlan
        Training chains.
    first : int
        The step whose batch is the first of the sample. Beyond the end of a run batches are as
        reproducible, and no step trains on them.
    wanted : int
        Valid latents in all.
    low_precision : bool
        Compute in bfloat16.

    Returns
    -------
    Tensor, shape=(latent, latent_dim), dtype=float32
        The shares of all processes, in the order of their ranks, are what one process takes.
    """
    model.eval()
    device = next(model.parameters()).device
    batches, missing = [], wanted
    while missing > 0:
        batch = plan.batch(first + len(batches))
        batches.append((batch, min(missing, batch.num_residues)))
        missing -= batch.num_residues
    found = [torch.zeros(0, model.quantizer.latent_dim, device=device)]
    for number in np.array_split(np.arange(len(batches)), world_size())[rank()]:
        batch, count = batches[number]
        here = batch.to(device)
        with torch.autocast(device.type, dtype=torch.bfloat16, enabled=low_precision):
            latents = model.embed(*here.inputs)[here.resolved]
        found.append(latents[:count].float())
    return torch.cat(found)
