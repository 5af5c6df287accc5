"""What is known about each id of a chain, and what do ids say about it?"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# The position of an id that is about no residue.
NO_RESIDUE = -1


@dataclass(frozen=True, eq=False, kw_only=True)
class ChainIds:
    """
    A chain in the ids of a vocabulary.

    Parameters
    ----------
    ids : ndarray, shape=(id,), dtype=int64
        What a language model reads.
    resolved : ndarray, shape=(id,), dtype=bool
        True where the id stands for a code; False for special tokens and residues without one.
    positions : ndarray, shape=(id,), dtype=int64
        Position along the chain of the residue that the id is about, from 0; -1 for special
        tokens that are about none.
    """

    ids: NDArray[np.int64]
    resolved: NDArray[np.bool_]
    positions: NDArray[np.int64]


@dataclass(frozen=True, eq=False, kw_only=True)
class ChainCodes:
    """
    What the ids of a vocabulary say about a chain.

    Parameters
    ----------
    codes : ndarray, shape=(residue,), dtype=int32
        Codes; -1 where `resolved` is False.
    resolved : ndarray, shape=(residue,), dtype=bool
        True where there is a code.
    sequence : str or None
        One letter per residue, ``X`` where it is not known; None if ids say nothing about amino
        acids.
    """

    codes: NDArray[np.int32]
    resolved: NDArray[np.bool_]
    sequence: str | None
