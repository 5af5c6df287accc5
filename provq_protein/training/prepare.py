"""How do structure files or packed arrays become one chain store?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from provq_protein.structure.backbone import Backbone

# Below this many resolved residues a chain says little about chains.
MIN_RESOLVED = 16


@dataclass(frozen=True)
class Prepared:
    """
    Chains fit for training, and why others are not.

    Parameters
    ----------
    backbones : list of Backbone
        Kept chains.
    groups : list of int
        The homology group of each.
    rejected : list of tuple of (str, str)
        Name of each rejected chain and the reason.
    """

    backbones: list[Backbone]
    groups: list[int]
    rejected: list[tuple[str, str]]


def select_chains(
    backbones: Sequence[Backbone], groups: Sequence[int], *, min_resolved: int = MIN_RESOLVED
) -> Prepared:
    """
    Keep chains with enough resolved residues.

    Parameters
    ----------
    backbones : sequence of Backbone
        Chains.
    groups : sequence of int
        The homology group of each: chains of one group never end up in different splits.
    min_resolved : int
        Fewer resolved residues than this are not enough.

    Returns
    -------
    Prepared
        Kept chains and reasons for the others.
    """
    kept, kept_groups, rejected = [], [], []
    for backbone, group in zip(backbones, groups, strict=True):
        resolved = int(backbone.resolved.sum())
        if resolved < min_resolved:
            name = f"{backbone.source}:{backbone.chain_id}"
            rejected.append((name, f"{resolved} resolved residues, fewer than {min_resolved}"))
        else:
            kept.append(backbone)
            kept_groups.append(group)
    return Prepared(kept, kept_groups, rejected)


def split_by_group(groups: Sequence[int], *, fraction: float, seed: int) -> list[str]:
    """
    Put whole homology groups into the validation split.

    Parameters
    ----------
    groups : sequence of int
        The group of each chain.
    fraction : float
        Share of groups to hold out, in [0, 1).
    seed : int
        Decides which.

    Returns
    -------
    list of str
        "train" or "validation" for each chain.

    Examples
    --------
    >>> split_by_group([1, 1, 2, 3, 4], fraction=0.25, seed=0).count("validation")
    1
    """
    names = np.unique(np.asarray(groups))
    held = round(fraction * len(names))
    chosen = set(np.random.default_rng(seed).permutation(names)[:held].tolist())
    return ["validation" if group in chosen else "train" for group in groups]
