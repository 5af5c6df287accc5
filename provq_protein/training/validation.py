"""How well does the model in training reconstruct chains that it never sees?"""

from collections.abc import Sequence
from statistics import median

import numpy as np
import torch

from provq_protein.geometry.similarity import lddt_ca, rmsd
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.quantize import CodeUsage
from provq_protein.structure.backbone import Backbone


@torch.no_grad()
def validate(
    model: StructureAutoencoder, backbones: Sequence[Backbone], *, continuous: bool
) -> dict[str, float]:
    """
    Reconstruct chains one by one.

    Parameters
    ----------
    model : StructureAutoencoder
        In eval mode.
    backbones : sequence of Backbone
        Chains of the validation split.
    continuous : bool
        Decode the latents themselves: before the codebook is seeded, codes mean nothing.

    Returns
    -------
    dict of str to float
        Median ``rmsd`` (Angstrom) and ``lddt_ca`` over chains; ``utilization`` and
        ``perplexity`` of the codes, pooled over chains.
    """
    usage = CodeUsage(model.codebook_size)
    device = next(model.parameters()).device
    errors, scores = [], []
    for backbone in backbones:
        known = backbone.resolved
        coords = np.where(known[:, None, None], backbone.coords, 0.0).astype(np.float32)
        resolved = torch.from_numpy(known.copy())[None].to(device)
        numbers = torch.from_numpy(backbone.author_numbers.astype(np.int64))[None].to(device)
        present = torch.ones_like(resolved)
        truth = torch.from_numpy(coords)[None].to(device)
        latents = model.embed(truth, resolved, numbers, present)
        indices = model.assign(latents, truth, resolved)
        usage.add(indices, mask=resolved)
        if continuous:
            decoded = model.decode_latents(latents, resolved, numbers, present)[0].cpu().numpy()
        else:
            decoded = model.decode(indices, resolved, numbers, present)[0].cpu().numpy()
        errors.append(rmsd(decoded[known], coords[known]))
        scores.append(lddt_ca(decoded[known, 1], coords[known, 1]))
    if not errors:
        return {}
    return {
        "rmsd": median(errors),
        "lddt_ca": median(scores),
        "utilization": usage.utilization,
        "perplexity": usage.perplexity,
    }
