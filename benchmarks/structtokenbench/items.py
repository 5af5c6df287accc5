"""What is a labelled chain, what is a chain's tokens, and what is a problem with either?"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from provq_protein.structure.backbone import Backbone


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """
    Something that a benchmark lists and that could not be used.

    Parameters
    ----------
    id : str
        Chain or item, as its source names it.
    reason : str
        What was wrong, with the offending value.
    """

    id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Item:
    """
    One labelled chain of one split of one task.

    Parameters
    ----------
    id : str
        Name of the item, as its source gives it; an item of another ligand or domain of the same
        chain may share it.
    chain : str
        Key of the chain in `TaskData.chains`.
    labels : ndarray, dtype=float32
        For a task per residue shape=(residue,), aligned with the chain's residues, *NaN* where
        there is no label. For a task per chain shape=(1,): the index of the class.
    residues : ndarray, shape=(residue,), dtype=bool
        The residues that belong to the item: all of them, or a domain's.
    """

    id: str
    chain: str
    labels: npt.NDArray[np.float32]
    residues: npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Coverage:
    """
    How much of a split is there.

    Parameters
    ----------
    listed : int
        Items that the source lists.
    used : int
        Items that could be used.
    problems : tuple of Problem
        One for each item that could not, in the order of the source.
    """

    listed: int
    used: int
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class TaskData:
    """
    Labels and chains of one task.

    Parameters
    ----------
    task : str
        Name in the registry (`tasks.TASKS`).
    splits : mapping of str to tuple of Item
        In the order of the source. Names are those of the registry, or ``"local_train"``,
        ``"local_validation"`` and ``"local_test"``.
    chains : mapping of str to Backbone
        Every chain that an item names.
    coverage : mapping of str to Coverage
        One per split.
    origin : str
        Where labels and chains came from, in a few words, for reports.
    content_hash : str
        SHA-256 of labels and coordinates, 16 hex digits.
    clusters : mapping of str to str
        Sequence cluster of a chain, where known.
    """

    task: str
    splits: Mapping[str, tuple[Item, ...]]
    chains: Mapping[str, Backbone]
    coverage: Mapping[str, Coverage]
    origin: str
    content_hash: str
    clusters: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ChainTokens:
    """
    What a tokenizer says of one chain.

    Parameters
    ----------
    ids : ndarray, shape=(residue,), dtype=int64, or None
        One id per residue of the chain; 0 where `mask` is False, which means nothing. None for a
        tokenizer without ids.
    features : ndarray, shape=(residue, dim), dtype=float32, or None
        One vector per residue, for a tokenizer without ids (or one asked for its latents).
    mask : ndarray, shape=(residue,), dtype=bool
        True where the residue has a token.
    """

    ids: npt.NDArray[np.int64] | None
    features: npt.NDArray[np.float32] | None
    mask: npt.NDArray[np.bool_]
