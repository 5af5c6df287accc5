"""How are proteins drawn with replacement, and what needs to be counted only once for all draws?"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draws:
    """
    Resamples of the proteins of a split.

    Parameters
    ----------
    weights : ndarray, shape=(resample, item), dtype=float64
        How often each item was drawn.
    units : ndarray, shape=(resample, protein), dtype=int64
        The proteins in the order of drawing.
    members : tuple of ndarray
        The items of each protein, in file order.
    """

    weights: Array
    units: npt.NDArray[np.int64]
    members: tuple[npt.NDArray[np.int64], ...]

    def orders(self) -> Iterator[npt.NDArray[np.int64]]:
        """
        Yield the items of each resample, in the order in which their proteins were drawn.

        Yields
        ------
        ndarray, shape=(any,), dtype=int64
            Items, repeated as often as they were drawn.
        """
        single = all(len(items) == 1 for items in self.members)
        firsts = np.array([items[0] for items in self.members], np.int64)
        for drawn in self.units:
            if single:
                yield firsts[drawn]
            else:
                yield np.concatenate([self.members[unit] for unit in drawn])


def draw(proteins: tuple[str, ...], resamples: int, seed: int) -> Draws:
    """
    Draw proteins with replacement, each with all of its items.

    Parameters
    ----------
    proteins : tuple of str
        Protein of each item.
    resamples : int
        Number of resamples.
    seed : int
        Seed of the draws.

    Returns
    -------
    Draws
        As many proteins in each resample as there are.
    """
    index = {name: position for position, name in enumerate(dict.fromkeys(proteins))}
    unit_of = np.array([index[name] for name in proteins], np.int64)
    units = np.random.default_rng(seed).integers(0, len(index), (resamples, len(index)))
    counts = np.stack([np.bincount(row, minlength=len(index)) for row in units])
    order = np.argsort(unit_of, kind="stable")
    members = np.split(order, np.searchsorted(unit_of[order], np.arange(1, len(index))))
    return Draws(weights=counts[:, unit_of].astype(np.float64), units=units, members=tuple(members))


def concordance(
    scores: npt.NDArray, labels: npt.NDArray, item: npt.NDArray[np.int64], num_items: int
) -> npt.NDArray[np.float32]:
    """
    Count residue pairs in the right order between each two items.

    Parameters
    ----------
    scores, labels : ndarray, shape=(row,)
        Scores, and labels 0 or 1.
    item : ndarray, shape=(row,), dtype=int64
        Item of each row.
    num_items : int
        Number of items.

    Returns
    -------
    ndarray, shape=(num_items, num_items), dtype=float32
        How often a positive of the first item scores above a negative of the second; ties count
        half.
    """
    ranks = np.unique(scores, return_inverse=True)[1]
    positive = labels > 0.5
    order = np.argsort(ranks, kind="stable")
    positives = order[positive[order]]
    queries, owners = ranks[positives], item[positives]
    negatives = order[~positive[order]]
    negatives = negatives[np.argsort(item[negatives], kind="stable")]
    bounds = np.searchsorted(item[negatives], np.arange(num_items + 1))
    counts = np.zeros((num_items, num_items), np.float32)
    for index in range(num_items):
        keys = ranks[negatives[bounds[index] : bounds[index + 1]]]
        if len(keys):
            doubled = np.searchsorted(keys, queries) + np.searchsorted(keys, queries, "right")
            counts[:, index] = np.bincount(owners, doubled / 2, num_items)
    return counts


class RankedRows:
    """
    Rows sorted once, so that ranks under any weights of the items cost one pass.

    Parameters
    ----------
    values : ndarray, shape=(row,)
        What is ranked.
    item : ndarray, shape=(row,), dtype=int64
        Item of each row.
    """

    def __init__(self, values: npt.NDArray, item: npt.NDArray[np.int64]) -> None:
        order = np.argsort(values, kind="stable")
        ordered = values[order]
        new = np.r_[True, ordered[1:] != ordered[:-1]]
        self._items = item[order]
        self._starts = np.flatnonzero(new)
        self._group = np.empty(len(values), np.int64)
        self._group[order] = np.cumsum(new) - 1

    def ranks(self, weights: Array) -> Array:
        """
        Rank rows where each stands for as many as its item weighs.

        Parameters
        ----------
        weights : ndarray, shape=(item,), dtype=float64
            How often each item was drawn.

        Returns
        -------
        ndarray, shape=(row,), dtype=float64
            Mean rank of the copies of each row and of those equal to it.
        """
        groups = np.add.reduceat(weights[self._items], self._starts)
        return (np.cumsum(groups) - (groups - 1) / 2)[self._group]


def weighted_pearson(x: Array, y: Array, weights: Array) -> float:
    """
    Compute Pearson's correlation of rows that count several times.

    Parameters
    ----------
    x, y : ndarray, shape=(row,), dtype=float64
        Values.
    weights : ndarray, shape=(row,), dtype=float64
        How often each row counts.

    Returns
    -------
    float
        *NaN* if either side is constant among the rows that count.
    """
    total = weights.sum()
    x, y = x - (weights @ x) / total, y - (weights @ y) / total
    scale = np.sqrt((weights @ (x * x)) * (weights @ (y * y)))
    return float((weights @ (x * y)) / scale) if scale > 0 else float("nan")
