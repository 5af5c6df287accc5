"""How far is a decoded batch from the truth, in terms that add up over parts of it?"""

import dataclasses

import torch
from torch import Tensor

from provq_protein.model.growth_decoder import GrowthDecoderOutput
from provq_protein.model.growth_losses import GrowthLossConfig, counted_chains, growth_loss
from provq_protein.model.reconstruction_losses import reconstruction_loss
from provq_protein.model.transformer_decoder import TransformerDecoderOutput
from provq_protein.training.batches import Batch
from provq_protein.training.config import ReconstructionLossConfig

LossConfig = GrowthLossConfig | ReconstructionLossConfig


def loss_weights(config: LossConfig) -> dict[str, float]:
    """
    Return the weight of each term of a loss.

    Parameters
    ----------
    config : GrowthLossConfig or ReconstructionLossConfig
        The weights.

    Returns
    -------
    dict of str to float
        By the name of the term, in the order in which terms are added.
    """
    return {each.name: getattr(config, each.name) for each in dataclasses.fields(config)}


def loss_terms(
    decoded: GrowthDecoderOutput | TransformerDecoderOutput, batch: Batch, config: LossConfig
) -> dict[str, Tensor]:
    """
    Compare decoded chains with the real ones.

    Parameters
    ----------
    decoded : GrowthDecoderOutput or TransformerDecoderOutput
        From a decoder in training mode.
    batch : Batch
        The truth.
    config : GrowthLossConfig or ReconstructionLossConfig
        Of the decoder's kind.

    Returns
    -------
    dict of str to Tensor, shape=(), dtype=float32
        The terms without their weights, each a mean over what `term_counts` counts.
    """
    if isinstance(decoded, GrowthDecoderOutput) and isinstance(config, GrowthLossConfig):
        found: object = growth_loss(decoded, batch.coords, batch.resolved, config)
    elif isinstance(decoded, TransformerDecoderOutput):
        found = reconstruction_loss(
            decoded, batch.coords, batch.resolved, batch.residue_classes, present=batch.present
        )
    else:
        msg = f"a {type(decoded).__name__} cannot be compared by {type(config).__name__}"
        raise TypeError(msg)
    return {name: getattr(found, name) for name in loss_weights(config)}


def term_counts(batch: Batch, config: LossConfig) -> dict[str, Tensor]:
    """
    Return over how many entries each term of a loss is a mean.

    Parameters
    ----------
    batch : Batch
        The truth, or a part of it.
    config : GrowthLossConfig or ReconstructionLossConfig
        Which loss.

    Returns
    -------
    dict of str to Tensor, shape=(), dtype=int64
        By the name of the term: chains for the growth loss, entries or a fixed multiple of them
        for the reconstruction loss.
    """
    if isinstance(config, GrowthLossConfig):
        return counted_chains(batch.coords, batch.resolved)
    valid = batch.resolved & batch.present
    pairs = valid.sum(1).square().sum()
    inner = (valid[:, :-2] & valid[:, 1:-1] & valid[:, 2:]).sum(1).square().sum()
    typed = (valid & (batch.residue_classes >= 0)).sum()
    return {
        "distance": pairs,
        "direction": inner,
        "binned_distance": pairs,
        "binned_direction": pairs,
        "residue": typed,
    }


def term_shares(whole: Batch, part: Batch, config: LossConfig) -> dict[str, float]:
    """
    Return the weight of a part's mean in the mean of the whole batch, per term.

    Parameters
    ----------
    whole : Batch
        The batch.
    part : Batch
        A part of it.
    config : GrowthLossConfig or ReconstructionLossConfig
        Which loss.

    Returns
    -------
    dict of str to float
        In [0, 1]; exactly 1 where the part is the whole.
    """
    if part is whole:
        return dict.fromkeys(loss_weights(config), 1.0)
    of_part, of_whole = term_counts(part, config), term_counts(whole, config)
    return {name: int(count) / max(1, int(of_whole[name])) for name, count in of_part.items()}


def weighted_total(
    terms: dict[str, Tensor], shares: dict[str, float], config: LossConfig
) -> Tensor:
    """
    Return the part of the reconstruction loss that some chains of a batch contribute.

    Parameters
    ----------
    terms : dict of str to Tensor, shape=()
        From `loss_terms`.
    shares : dict of str to float
        From `term_shares`.
    config : GrowthLossConfig or ReconstructionLossConfig
        The weights.

    Returns
    -------
    Tensor, shape=(), dtype=float32
        With gradient.
    """
    weights = loss_weights(config)
    total = torch.zeros_like(next(iter(terms.values())))
    for name, term in terms.items():
        total = total + weights[name] * (shares[name] * term)
    return total
