"""How does a language model read several chains at once, with a chain break between them?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.sequence import TokenSequence
from provq_protein.vocabulary.chain_ids import NO_RESIDUE, ChainCodes, ChainIds
from provq_protein.vocabulary.vocabulary import Vocabulary

# The chain of an id that belongs to none: bos, eos and chain breaks.
NO_CHAIN = -1
_BREAK = "chainbreak"


@dataclass(frozen=True, eq=False, kw_only=True)
class ComplexIds(ChainIds):
    """
    Several chains in the ids of a vocabulary.

    Parameters
    ----------
    ids, resolved, positions : ndarray, shape=(id,)
        As of `ChainIds`; positions count along each chain.
    chains : ndarray, shape=(id,), dtype=int64
        Which chain each id belongs to, from 0 in the given order; -1 for bos, eos and the breaks
        between chains.
    """

    chains: NDArray[np.int64]


def join_chains(
    vocabulary: Vocabulary,
    chains: Sequence[TokenSequence],
    *,
    special: bool = True,
    unresolved: str = "mask",
) -> ComplexIds:
    """
    Return the ids of several chains, with the vocabulary's chain break between them.

    Parameters
    ----------
    vocabulary : Vocabulary
        With a token for chain breaks: ``"esm3"``, or ``"offset:N"`` from N = 5 on.
    chains : sequence of TokenSequence
        At least one, in the order in which they are to be read.
    special : bool, optional
        Whether bos is put before the first, and eos after the last.
    unresolved : str, optional
        As of `Vocabulary.to_ids`. A chain of which that leaves no residue is refused.

    Returns
    -------
    ComplexIds
        Ids, the mask that tells which of them stand for a code, and their residues and chains.

    Raises
    ------
    TokenFormatError
        If the vocabulary has no token for chain breaks, there is no chain, or one of them cannot
        be said in the vocabulary; if fingerprints differ; or if breaks are to stand for residues.

    Examples
    --------
    >>> def chain(name, ids):
    ...     return TokenSequence(
    ...         ids=ids,
    ...         resolved=[id >= 0 for id in ids],
    ...         sequence="M" * len(ids),
    ...         residue_names=["MET"] * len(ids),
    ...         author_numbers=range(len(ids)),
    ...         insertion_codes=[""] * len(ids),
    ...         label_numbers=range(len(ids)),
    ...         chain_id=name,
    ...         label_chain_id=name,
    ...         source="",
    ...         model=1,
    ...         fingerprint="f",
    ...         codebook_size=8,
    ...     )
    >>> vocabulary = Vocabulary.named("esm3", codebook_size=8)
    >>> joined = join_chains(vocabulary, [chain("A", [7, -1]), chain("B", [5])])
    >>> joined.ids.tolist(), joined.chains.tolist()
    ([10, 7, 8, 12, 5, 9], [-1, 0, 0, -1, 1, -1])
    >>> [part.codes.tolist() for part in split_chains(vocabulary, joined.ids)]
    [[7, -1], [5]]
    """
    mark = _chain_break(vocabulary)
    if unresolved == f"token:{_BREAK}":
        msg = f"unresolved={unresolved!r}: chain breaks stand between chains; use 'mask' or 'drop'"
        raise TokenFormatError(msg)
    _check(chains)
    pieces = []
    for number, chain in enumerate(chains):
        found = vocabulary.to_ids(chain, special=False, unresolved=unresolved)
        if not len(found.ids):
            msg = (
                f"{' '.join(chain.source.split()) or 'tokens'}: chain {chain.chain_id}: no residue "
                "of it is left to be read; leave the chain out"
            )
            raise TokenFormatError(msg)
        pieces += [_mark(mark)] if number else []
        pieces.append((found.ids, found.resolved, found.positions, np.full(len(found.ids), number)))
    if special:
        bos, eos = (_mark(vocabulary.special[name]) for name in ("bos", "eos"))
        pieces = [bos, *pieces, eos]
    ids, resolved, positions, of = (np.concatenate(part) for part in zip(*pieces, strict=True))
    return ComplexIds(ids=ids, resolved=resolved, positions=positions, chains=of)


def split_chains(
    vocabulary: Vocabulary, ids: ArrayLike, *, special: bool = True
) -> list[ChainCodes]:
    """
    Return the codes of each chain that ids stand for: the inverse of `join_chains`.

    Parameters
    ----------
    vocabulary : Vocabulary
        With a token for chain breaks.
    ids : array_like, shape=(id,)
        Integers.
    special : bool, optional
        Whether bos comes first and eos last, but for padding.

    Returns
    -------
    list of ChainCodes
        One per chain, in order; one more than there are breaks.

    Raises
    ------
    TokenFormatError
        If the vocabulary has no token for chain breaks, or as from `Vocabulary.from_ids`.
    """
    mark = _chain_break(vocabulary)
    whole = vocabulary.from_ids(ids, special=special)
    # Only padding comes after what `from_ids` returns.
    first = int(special)
    body = np.asarray(ids)[first : first + len(whole.codes)]
    breaks = np.flatnonzero(body == mark).tolist()
    spans = zip([0, *(place + 1 for place in breaks)], [*breaks, len(body)], strict=True)
    return [
        ChainCodes(
            codes=whole.codes[start:stop],
            resolved=whole.resolved[start:stop],
            sequence=None if whole.sequence is None else whole.sequence[start:stop],
        )
        for start, stop in spans
    ]


def _chain_break(vocabulary: Vocabulary) -> int:
    if _BREAK not in vocabulary.special:
        msg = (
            f"vocabulary {vocabulary.name!r} has no token for chain breaks, so chains that are "
            "joined in it could not be told apart; use 'esm3', or 'offset:N' from N = 5 on, or "
            "give the chains one by one"
        )
        raise TokenFormatError(msg)
    return vocabulary.special[_BREAK]


def _check(chains: Sequence[TokenSequence]) -> None:
    if isinstance(chains, TokenSequence) or not len(chains):
        msg = "chains must be a list of at least one chain"
        raise TokenFormatError(msg)
    first = chains[0]
    for chain in chains[1:]:
        if chain.fingerprint != first.fingerprint:
            msg = (
                f"chain {first.chain_id} was encoded by the model with fingerprint "
                f"{first.fingerprint}, and chain {chain.chain_id} by that with "
                f"{chain.fingerprint}: their ids mean different things; encode them with one model"
            )
            raise TokenFormatError(msg)


def _mark(
    id: int,
) -> tuple[NDArray[np.int64], NDArray[np.bool_], NDArray[np.int64], NDArray[np.int64]]:
    """One id that stands for no residue, as a piece between chains."""
    none = np.array([NO_RESIDUE])
    return np.array([id]), np.array([False]), none, np.array([NO_CHAIN])
