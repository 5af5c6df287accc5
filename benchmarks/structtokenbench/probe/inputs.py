"""Which rows does a probe see of a labelled chain and its tokens?

A row is a residue that has a token. A residue without one is neither trained on nor scored; how
many of the labelled residues are scored is reported beside every metric. Positions count all
residues of the item, so that a missing token leaves a gap.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from structtokenbench.items import ChainTokens, Item
from structtokenbench.metrics import Metric
from structtokenbench.probe.settings import Level


class TaskLike(Protocol):
    """What a probe has to know of a task; `tasks.Task` has it."""

    @property
    def name(self) -> str:
        """
        Name in the registry.

        Returns
        -------
        str
            For instance ``"BindInt"``.
        """
        ...

    @property
    def level(self) -> Level:
        """
        What a label belongs to.

        Returns
        -------
        {"residue", "chain"}
            A residue or a whole item.
        """
        ...

    @property
    def target(self) -> Literal["binary", "regression", "classes"]:
        """
        What a label is.

        Returns
        -------
        {"binary", "regression", "classes"}
            Decides the loss.
        """
        ...

    @property
    def metric(self) -> Metric:
        """
        How predictions are scored.

        Returns
        -------
        {"auroc", "spearman", "macro_f1"}
            Decides checkpoint and learning rate as well.
        """
        ...

    @property
    def num_outputs(self) -> int:
        """
        Outputs of the head.

        Returns
        -------
        int
            1, or the number of classes.
        """
        ...

    @property
    def train(self) -> str:
        """
        Name of the training split.

        Returns
        -------
        str
            A key of the items.
        """
        ...

    @property
    def validation(self) -> str:
        """
        Name of the validation split.

        Returns
        -------
        str
            A key of the items.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProbeItem:
    """
    Tokens and labels of one item, cut to the residues that belong to it.

    Parameters
    ----------
    id : str
        Name of the item.
    protein : str
        What the bootstrap draws: the chain of the item.
    ids : ndarray, shape=(residue,), dtype=int64, or None
        Token of each residue, a row of the code table.
    features : ndarray, shape=(residue, dim), dtype=float32, or None
        Vector of each residue, for a tokenizer without codes.
    mask : ndarray, shape=(residue,), dtype=bool
        True where there is a token.
    labels : ndarray, shape=(residue,) or (1,), dtype=float32
        One label per residue, *NaN* where there is none; or the class of the item.
    """

    id: str
    protein: str
    ids: npt.NDArray[np.int64] | None
    features: npt.NDArray[np.float32] | None
    mask: npt.NDArray[np.bool_]
    labels: npt.NDArray[np.float32]


def make_item(item: Item, tokens: ChainTokens, *, level: Level) -> ProbeItem:
    """
    Join an item with the tokens of its chain.

    Parameters
    ----------
    item : Item
        Labels, and which residues of the chain they are about.
    tokens : ChainTokens
        Tokens of the whole chain.
    level : {"residue", "chain"}
        What a label belongs to.

    Returns
    -------
    ProbeItem
        Tokens and labels of the residues of the item.

    Raises
    ------
    ValueError
        If tokens or labels are not one per residue of the chain, or if there are neither ids nor
        features; the message names the item and both lengths.
    """
    size = len(item.residues)
    for name, values in (("ids", tokens.ids), ("features", tokens.features), ("mask", tokens.mask)):
        if values is not None and len(values) != size:
            msg = (
                f"item {item.id}: the tokenizer gave {len(values)} {name} for the {size} residues "
                f"of chain {item.chain}; it must give one per residue"
            )
            raise ValueError(msg)
    if tokens.ids is None and tokens.features is None:
        msg = f"item {item.id}: the tokenizer gave neither ids nor features of chain {item.chain}"
        raise ValueError(msg)
    expected = size if level == "residue" else 1
    if len(item.labels) != expected:
        msg = (
            f"item {item.id}: {len(item.labels)} labels for chain {item.chain} of {size} residues, "
            f"expected {expected}"
        )
        raise ValueError(msg)
    kept = item.residues
    return ProbeItem(
        id=item.id,
        protein=item.chain,
        ids=None if tokens.ids is None else tokens.ids[kept],
        features=None if tokens.features is None else tokens.features[kept],
        mask=tokens.mask[kept],
        labels=item.labels[kept] if level == "residue" else item.labels,
    )


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Rows:
    """
    The items of a split, laid end to end.

    Parameters
    ----------
    values : ndarray, shape=(row,), dtype=int64, or shape=(row, dim), dtype=float32
        Ids, or features.
    position : ndarray, shape=(row,), dtype=int64
        Index of the residue in its item.
    labels : ndarray, shape=(row,) or (item,), dtype=float32
        Labels, as many as rows or items by the level of the task.
    offsets : ndarray, shape=(item + 1,), dtype=int64
        Where the rows of each item begin.
    proteins : tuple of str
        Protein of each item.
    labelled : int
        Labelled residues (items, for a task per chain), with or without token.
    """

    values: npt.NDArray[np.int64] | npt.NDArray[np.float32]
    position: npt.NDArray[np.int64]
    labels: npt.NDArray[np.float32]
    offsets: npt.NDArray[np.int64]
    proteins: tuple[str, ...]
    labelled: int

    @property
    def item(self) -> npt.NDArray[np.int64]:
        """
        Item of each row.

        Returns
        -------
        ndarray, shape=(row,), dtype=int64
            From 0, not decreasing.
        """
        return np.repeat(np.arange(len(self.proteins)), np.diff(self.offsets))


def lay_out(items: Sequence[ProbeItem], *, level: Level, where: str) -> Rows:
    """
    Lay the rows of items end to end, leaving out residues without token or label.

    Parameters
    ----------
    items : sequence of ProbeItem
        Items of a split, in file order. One that loses every row keeps its place.
    level : {"residue", "chain"}
        What a label belongs to. Labels of a task per chain do not decide which residues stay.
    where : str
        The split, for messages.

    Returns
    -------
    Rows
        The rows. The label of an item per chain without row is *NaN*.

    Raises
    ------
    ValueError
        If an item has ids and another has none, or if the number of labels is wrong.
    """
    parts: list[npt.NDArray] = []
    positions, labels, counts, labelled = [], [], [], 0
    use_ids = all(item.ids is not None for item in items)
    for item in items:
        values = item.ids if use_ids else item.features
        if values is None:
            msg = f"{where}: item {item.id} has no features, though others have no ids"
            raise ValueError(msg)
        if level == "residue" and len(item.labels) != len(item.mask):
            msg = (
                f"{where}: item {item.id} has {len(item.labels)} labels for {len(item.mask)} "
                "residues, expected equal numbers"
            )
            raise ValueError(msg)
        known = np.isfinite(item.labels)
        kept = item.mask & known if level == "residue" else item.mask
        labelled += int(known.sum())
        parts.append(values[kept])
        positions.append(np.flatnonzero(kept))
        counts.append(int(kept.sum()))
        labels.append(_row_labels(item, kept, level))
    return Rows(
        values=np.concatenate(parts) if parts else np.zeros(0, np.int64),
        position=np.concatenate(positions) if parts else np.zeros(0, np.int64),
        labels=np.concatenate(labels) if parts else np.zeros(0, np.float32),
        offsets=np.cumsum([0, *counts]),
        proteins=tuple(item.protein for item in items),
        labelled=labelled,
    )


def _row_labels(
    item: ProbeItem, kept: npt.NDArray[np.bool_], level: Level
) -> npt.NDArray[np.float32]:
    if level == "residue":
        return item.labels[kept]
    return item.labels if kept.any() else np.full(1, np.nan, np.float32)
