"""What would a reconstruction score if the tokens, the decoder or the quantization were missing?"""

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.structure.backbone import Backbone
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.tokens.sequence import TokenSequence


def most_frequent_id(tokens: Sequence[TokenSequence]) -> int:
    """
    Return the id that most residues of all chains have.

    Parameters
    ----------
    tokens : sequence of TokenSequence
        At least one resolved residue in all.

    Returns
    -------
    int
        The smallest of the most frequent ids.
    """
    ids = np.concatenate([chain.ids[chain.resolved] for chain in tokens])
    return int(np.bincount(ids).argmax())


def constant_tokens(tokens: TokenSequence, code: int) -> TokenSequence:
    """
    Replace all ids of a chain by one: only length and gaps remain.

    Parameters
    ----------
    tokens : TokenSequence
        A chain.
    code : int
        The id, for instance the `most_frequent_id` of the set.

    Returns
    -------
    TokenSequence
        The chain with `code` at each resolved residue.
    """
    return dataclasses.replace(tokens, ids=np.where(tokens.resolved, code, tokens.ids))


def shuffled_tokens(tokens: TokenSequence, *, seed: int | Sequence[int]) -> TokenSequence:
    """
    Permute the ids within a chain: composition remains, order is lost.

    Parameters
    ----------
    tokens : TokenSequence
        A chain.
    seed : int or sequence of int
        Decides the permutation.

    Returns
    -------
    TokenSequence
        The chain with the ids of its resolved residues permuted.
    """
    ids = tokens.ids.copy()
    ids[tokens.resolved] = np.random.default_rng(seed).permutation(ids[tokens.resolved])
    return dataclasses.replace(tokens, ids=ids)


def untrained_twin(tokenizer: StructureTokenizer, seed: int) -> StructureTokenizer:
    """
    Return a tokenizer with the same encoder and codes that has not learned to read them.

    Its decoder has fresh weights and so has, in a model that grows chains by the steps that
    codes mean, the reader of these steps. It reads the same tokens: what it lacks is what
    training gave to the way back.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        A trained tokenizer; it is not changed.
    seed : int
        Decides the fresh weights.

    Returns
    -------
    StructureTokenizer
        A tokenizer with the same fingerprint.
    """
    trained = tokenizer.model
    fresh = StructureAutoencoder.build(trained.config, seed=seed)
    fresh.encoder.load_state_dict(trained.encoder.state_dict())
    fresh.quantizer.load_state_dict(trained.quantizer.state_dict())
    if fresh.breaks is not None and trained.breaks is not None:
        fresh.breaks.load_state_dict(trained.breaks.state_dict())
    fresh.to(next(trained.parameters()).device)
    twin = StructureTokenizer(fresh, name=f"{tokenizer.name}, untrained decoder")
    # It accepts tokens of the other one, although their steps mean nothing to it.
    twin.fingerprint = tokenizer.fingerprint
    return twin


def continuous_roundtrip(tokenizer: StructureTokenizer, backbone: Backbone) -> Backbone:
    """
    Reconstruct a chain from its latents, without quantization.

    Its distance from the reconstruction by tokens is what quantization costs. A decoder
    that was trained on codes last sees latents that it is no longer used to, so this is no
    upper bound.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        A trained tokenizer.
    backbone : Backbone
        A chain with at least one resolved residue.

    Returns
    -------
    Backbone
        The same residues with coordinates from the decoder; *NaN* where unresolved.
    """
    device = next(tokenizer.model.parameters()).device
    latents = np.nan_to_num(tokenizer.embed([backbone])[0], nan=0.0)
    resolved = torch.tensor(backbone.resolved, device=device)[None]
    numbers = torch.tensor(backbone.author_numbers, dtype=torch.int64, device=device)[None]
    with torch.inference_mode():
        coords = tokenizer.model.decode_latents(
            torch.tensor(latents, device=device)[None],
            resolved,
            numbers,
            torch.ones_like(resolved),
        )
    decoded = coords[0].float().cpu().numpy()
    return dataclasses.replace(
        backbone, coords=np.where(backbone.resolved[:, None, None], decoded, np.float32(np.nan))
    )
