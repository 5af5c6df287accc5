"""What goes into the encoding of a chain, and what does its token sequence take over from it?"""

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from provq_protein.structure.backbone import Backbone
from provq_protein.tokens.sequence import UNRESOLVED_ID, TokenSequence


def centered(chain: Backbone) -> NDArray[np.float32]:
    """
    Return coordinates relative to the mean CA, where float32 is most exact.

    Parameters
    ----------
    chain : Backbone
        With at least one resolved residue.

    Returns
    -------
    ndarray, shape=(residue, 3, 3), dtype=float32
        N, CA and C, in Angstrom; zero at unresolved residues.
    """
    coords = chain.coords.astype(np.float64)
    center = coords[chain.resolved, 1].mean(axis=0)
    return np.where(chain.resolved[:, None, None], coords - center, 0.0).astype(np.float32)


def tokens_of(
    chain: Backbone,
    ids: ArrayLike,
    *,
    fingerprint: str,
    codebook_size: int,
    context: str = "chain",
) -> TokenSequence:
    """
    Return the ids of a chain with everything that is known of its residues.

    Parameters
    ----------
    chain : Backbone
        What was encoded.
    ids : array_like, shape=(residue,)
        One per residue; any value where the residue is unresolved.
    fingerprint : str
        Of the model.
    codebook_size : int
        Of the model.
    context : {"chain", "complex"}
        What was seen of the structure.

    Returns
    -------
    TokenSequence
        With ``-1`` at unresolved residues.

    Examples
    --------
    >>> chain = Backbone.from_arrays([[[0, 0, 0]] * 3, [[np.nan] * 3] * 3], sequence="MK")
    >>> tokens_of(chain, [5, 5], fingerprint="f", codebook_size=8).ids.tolist()
    [5, -1]
    """
    return TokenSequence(
        ids=np.where(chain.resolved, ids, UNRESOLVED_ID),
        resolved=chain.resolved,
        sequence=chain.sequence,
        residue_names=chain.residue_names,
        author_numbers=chain.author_numbers,
        insertion_codes=chain.insertion_codes,
        label_numbers=chain.label_numbers,
        chain_id=chain.chain_id,
        label_chain_id=chain.label_chain_id,
        source=chain.source,
        model=chain.model,
        fingerprint=fingerprint,
        codebook_size=codebook_size,
        mean_plddt=mean_plddt(chain),
        context=context,
    )


def mean_plddt(chain: Backbone) -> float | None:
    """
    Return the mean pLDDT of the resolved residues.

    Parameters
    ----------
    chain : Backbone
        The chain.

    Returns
    -------
    float or None
        To two decimals; None if the chain has none.
    """
    values = chain.b_factors[chain.resolved]
    values = values[np.isfinite(values)]
    if chain.confidence != "plddt" or not values.size or values.min() < 0 or values.max() > 100:
        return None
    return round(math.fsum(values.tolist()) / values.size, 2)
