"""How do labels and chains, as a source yields them, become the data of a task?"""

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from provq_protein.structure.backbone import Backbone
from structtokenbench.items import Coverage, Item, Problem, TaskData
from structtokenbench.tasks import Task

ALL = "all"
"""The one split of a source that has none; `leakage.local_splits` or `cath` make others of it."""

_HASH_DIGITS = 16


class TaskAssembly:
    """
    Collects the items of one task, and what was wrong with those that cannot be used.

    Parameters
    ----------
    task : Task
        The task; it decides what a label may be.
    splits : sequence of str
        Names of the splits, in the order of the result.
    """

    def __init__(self, task: Task, splits: Sequence[str]) -> None:
        self._task = task
        self._items: dict[str, list[Item]] = {split: [] for split in splits}
        self._problems: dict[str, list[Problem]] = {split: [] for split in splits}
        self._chains: dict[str, Backbone] = {}
        self._clusters: dict[str, str] = {}

    def add(
        self,
        split: str,
        item: Item,
        chain: Backbone,
        *,
        cluster: str | None = None,
    ) -> None:
        """
        Take an item, or note why it cannot be used.

        Parameters
        ----------
        split : str
            One of the splits.
        item : Item
            The labelled chain.
        chain : Backbone
            The chain that the item names.
        cluster : str, optional
            Sequence cluster of the chain.
        """
        reason = label_problem(self._task, item, len(chain))
        if reason is None and not np.any(chain.resolved & item.residues):
            reason = f"none of its {int(item.residues.sum())} residues has N, CA and C"
        if reason is not None:
            self.reject(split, item.id, reason)
            return
        self._items[split].append(item)
        self._chains.setdefault(item.chain, chain)
        if cluster is not None:
            self._clusters[item.chain] = cluster

    def reject(self, split: str, identifier: str, reason: str) -> None:
        """
        Note an item that cannot be used.

        Parameters
        ----------
        split : str
            One of the splits.
        identifier : str
            The item, as its source names it.
        reason : str
            What was wrong with it.
        """
        self._problems[split].append(Problem(id=identifier, reason=reason))

    def finish(self, origin: str) -> TaskData:
        """
        Return what has been collected.

        Parameters
        ----------
        origin : str
            Where labels and chains came from, for reports.

        Returns
        -------
        TaskData
            All splits, also those without an item.
        """
        splits = {split: tuple(items) for split, items in self._items.items()}
        coverage = {
            split: Coverage(
                listed=len(items) + len(self._problems[split]),
                used=len(items),
                problems=tuple(self._problems[split]),
            )
            for split, items in splits.items()
        }
        return TaskData(
            task=self._task.name,
            splits=splits,
            chains=self._chains,
            coverage=coverage,
            origin=origin,
            content_hash=content_hash(splits.items(), self._chains),
            clusters=self._clusters,
        )


def label_problem(task: Task, item: Item, length: int) -> str | None:
    """
    Return what is wrong with the labels of an item.

    Parameters
    ----------
    task : Task
        The task that the item is of.
    item : Item
        The labelled chain.
    length : int
        Residues of the chain.

    Returns
    -------
    str or None
        The reason for not using the item, or None.
    """
    expected = length if task.level == "residue" else 1
    if item.labels.shape != (expected,) or item.residues.shape != (length,):
        return (
            f"{item.labels.size} labels for {item.residues.size} residues, "
            f"expected {expected} for the chain's {length}"
        )
    if not item.residues.any():
        return "no residue of the chain belongs to it"
    values = item.labels[item.residues] if task.level == "residue" else item.labels
    known = values[~np.isnan(values)]
    if not known.size:
        return "no residue has a label"
    if task.target == "regression":
        return None if np.all(np.isfinite(known)) else "a label is infinite"
    classes = 2 if task.target == "binary" else task.num_outputs
    wrong = known[(known != np.floor(known)) | (known < 0) | (known >= classes)]
    if wrong.size:
        return f"label {wrong[0]:g} is none of the classes 0 to {classes - 1}"
    return None


def content_hash(splits: Iterable[tuple[str, Sequence[Item]]], chains: dict[str, Backbone]) -> str:
    """
    Return a digest of labels and coordinates.

    Parameters
    ----------
    splits : iterable of (str, sequence of Item)
        The items, by split.
    chains : dict of str to Backbone
        The chains that they name.

    Returns
    -------
    str
        16 hex digits of SHA-256.
    """
    digest = hashlib.sha256()
    for split, items in splits:
        digest.update(f"split {split}\n".encode())
        for item in items:
            digest.update(f"item {item.id} {item.chain} {item.residues.size}\n".encode())
            digest.update(np.ascontiguousarray(item.labels, dtype="<f4").tobytes())
            digest.update(np.packbits(item.residues).tobytes())
    for key in sorted(chains):
        chain = chains[key]
        digest.update(f"chain {key} {chain.sequence}\n".encode())
        digest.update(np.ascontiguousarray(chain.coords, dtype="<f4").tobytes())
        digest.update(" ".join(chain.residue_ids).encode())
    return digest.hexdigest()[:_HASH_DIGITS]


def every_residue(chain: Backbone) -> npt.NDArray[np.bool_]:
    """
    Return the mask of an item that is a whole chain.

    Parameters
    ----------
    chain : Backbone
        The chain.

    Returns
    -------
    ndarray, shape=(residue,), dtype=bool
        True throughout.
    """
    return np.ones(len(chain), dtype=np.bool_)


def first_of_each_split(first: TaskData, *others: TaskData) -> TaskData:
    """
    Return the splits of several sources of one task, each from the first that lists it.

    Parameters
    ----------
    first : TaskData
        The preferred source.
    *others : TaskData
        Sources of the same task, and of chains named alike.

    Returns
    -------
    TaskData
        Splits are never mixed: a split is one source's, whole.

    Raises
    ------
    ValueError
        If the sources are of different tasks.
    """
    sources = (first, *others)
    if len({source.task for source in sources}) > 1:
        msg = f"sources of different tasks: {', '.join(source.task for source in sources)}"
        raise ValueError(msg)
    chosen: dict[str, TaskData] = {}
    for split in dict.fromkeys(name for source in sources for name in source.splits):
        holders = [source for source in sources if split in source.splits]
        listing = [source for source in holders if source.coverage[split].listed]
        chosen[split] = (listing or holders)[0]
    splits = {split: source.splits[split] for split, source in chosen.items()}
    chains: dict[str, Backbone] = {}
    clusters: dict[str, str] = {}
    for split, source in chosen.items():
        for item in splits[split]:
            chains.setdefault(item.chain, source.chains[item.chain])
            if item.chain in source.clusters:
                clusters.setdefault(item.chain, source.clusters[item.chain])
    used = [source for source in sources if source in chosen.values()]
    return TaskData(
        task=first.task,
        splits=splits,
        chains=chains,
        coverage={split: source.coverage[split] for split, source in chosen.items()},
        origin="; ".join(dict.fromkeys(source.origin for source in used)),
        content_hash=content_hash(splits.items(), chains),
        clusters=clusters,
    )
