"""Which items say more than they should: relatives in other splits, duplicates, known errors?"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from provq_protein.errors import ConfigError
from structtokenbench.items import Coverage, Item, Problem, TaskData
from structtokenbench.sources.assembly import content_hash
from structtokenbench.strict_tables import check_keys, read_tables
from structtokenbench.tasks import TASKS, Task, task_named

LOCAL_SPLITS = ("local_train", "local_validation", "local_test")

_LOCAL_SHARES = (0.6, 0.2, 0.2)


@dataclass(frozen=True, slots=True, kw_only=True)
class Exclusion:
    """
    An item that is left out on purpose.

    Parameters
    ----------
    task : str
        Name of the task.
    id : str
        The item, as its source names it.
    reason : str
        What is wrong with it.
    """

    task: str
    id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Leak:
    """
    An item whose chain has a relative, or itself, in another split.

    Parameters
    ----------
    split : str
        The item's split.
    id : str
        The item.
    cluster : str
        The cluster that it shares.
    others : tuple of str
        The other splits that the cluster occurs in.
    """

    split: str
    id: str
    cluster: str
    others: tuple[str, ...]


def read_exclusions(source: str | Path = "exclusions.toml") -> tuple[Exclusion, ...]:
    """
    Return the exclusions of a file.

    Parameters
    ----------
    source : str or Path
        The package's own file, or the path of another.

    Returns
    -------
    tuple of Exclusion
        In the order of the file.

    Raises
    ------
    ConfigError
        If a key is unknown or missing, a task unknown or a reason empty.
    """
    content = read_tables(source)
    check_keys(content, {"exclusion": list}, str(source))
    found = []
    for at, entry in enumerate(content["exclusion"], 1):
        where = f"{source}: exclusion {at}"
        check_keys(entry, {"task": str, "id": str, "reason": str}, where)
        if entry["task"] not in TASKS or not entry["reason"].strip():
            msg = f"{where}: needs the name of a task and a reason, got {entry}"
            raise ConfigError(msg)
        found.append(Exclusion(**entry))
    return tuple(found)


def exclude(data: TaskData, exclusions: Sequence[Exclusion]) -> TaskData:
    """
    Leave out the items that a list names.

    Parameters
    ----------
    data : TaskData
        A task.
    exclusions : sequence of Exclusion
        Those of other tasks are ignored.

    Returns
    -------
    TaskData
        Each item left out is a problem of its split.
    """
    reasons = {one.id: one.reason for one in exclusions if one.task == data.task}
    return _filtered(
        data, lambda _, item: f"excluded: {reasons[item.id]}" if item.id in reasons else None
    )


def cluster_of(data: TaskData, chain: str) -> str:
    """
    Return the cluster of a chain.

    Parameters
    ----------
    data : TaskData
        A task.
    chain : str
        Key of a chain.

    Returns
    -------
    str
        Its cluster; where the source knows none, one of its own.
    """
    return data.clusters.get(chain, f"chain:{chain}")


def find_leaks(data: TaskData) -> tuple[Leak, ...]:
    """
    Return the items whose cluster occurs in another split.

    Parameters
    ----------
    data : TaskData
        A task. Chains without a known cluster have relatives only in themselves.

    Returns
    -------
    tuple of Leak
        In the order of the splits and their items.
    """
    places = _splits_of_clusters(data)
    leaks = []
    for split, items in data.splits.items():
        for item in items:
            cluster = cluster_of(data, item.chain)
            others = tuple(name for name in places[cluster] if name != split)
            if others:
                leaks.append(Leak(split=split, id=item.id, cluster=cluster, others=others))
    return tuple(leaks)


def drop_leaks(data: TaskData, *, validation: bool = True) -> TaskData:
    """
    Leave out of training what has a relative in validation or a test split.

    Parameters
    ----------
    data : TaskData
        A task.
    validation : bool
        Whether validation items with a relative in a test split are left out as well. A relative
        in validation that is left out itself does not cost a training item.

    Returns
    -------
    TaskData
        Each item left out is a problem of its split. Test splits are as they were, and so may
        share clusters with each other.
    """
    names = list(data.splits)
    train = _named(names, "train")
    held = _named(names, "validation")
    tests = [name for name in names if name not in (train, held)]
    if validation and held is not None:
        data = _drop(data, held, tests)
    return data if train is None else _drop(data, train, [name for name in names if name != train])


def merge_duplicates(data: TaskData) -> TaskData:
    """
    Make one item of those that label the same residues of the same chain in one split.

    Parameters
    ----------
    data : TaskData
        A task with binary labels per residue.

    Returns
    -------
    TaskData
        A residue is positive where one of the merged items says so, negative where one does and
        none says otherwise, else unlabelled. Coverage still counts the items of the source: a
        merged item is used.

    Raises
    ------
    ConfigError
        If labels of the task are not binary.
    """
    task = task_named(data.task)
    if task.target != "binary":
        msg = f"task {task.name}: only binary labels can be merged, these are {task.target}"
        raise ConfigError(msg)
    merged = {split: _merged(items) for split, items in data.splits.items()}
    return replace(data, splits=merged, content_hash=_digest(merged, data))


def local_splits(
    data: TaskData, *, seed: int = 0, shares: tuple[float, float, float] = _LOCAL_SHARES
) -> TaskData:
    """
    Split all items of a task anew, so that no cluster is in two splits.

    Parameters
    ----------
    data : TaskData
        A task, for instance one whose published training split is not at hand.
    seed : int
        Of the order in which clusters are dealt out.
    shares : tuple of float
        Wanted shares of the items in training, validation and test; their sum is 1.

    Returns
    -------
    TaskData
        Splits ``local_train``, ``local_validation`` and ``local_test``. An item that several
        published splits list alike is one item. Problems of the source are listed with
        ``local_train``, each with the split that it was found in.

    Raises
    ------
    ConfigError
        If shares are impossible or there are fewer than three clusters.
    """
    if min(shares) <= 0 or not np.isclose(sum(shares), 1.0):
        msg = f"shares must be positive and sum to 1, got {shares}"
        raise ConfigError(msg)
    families: dict[str, list[Item]] = defaultdict(list)
    seen: set[tuple[str, bytes, bytes]] = set()
    for items in data.splits.values():
        for item in items:
            content = (item.chain, item.labels.tobytes(), item.residues.tobytes())
            if content not in seen:
                seen.add(content)
                families[cluster_of(data, item.chain)].append(item)
    if len(families) < len(LOCAL_SPLITS):
        msg = f"task {data.task}: {len(families)} clusters, too few to split three ways"
        raise ConfigError(msg)
    splits = _dealt(families, seed, shares, len(seen))
    problems = tuple(
        Problem(id=one.id, reason=f"{split}: {one.reason}")
        for split, coverage in data.coverage.items()
        for one in coverage.problems
    )
    coverage = {
        split: Coverage(listed=len(items), used=len(items)) for split, items in splits.items()
    }
    used = len(splits["local_train"])
    coverage["local_train"] = Coverage(listed=used + len(problems), used=used, problems=problems)
    return replace(
        data,
        splits=splits,
        coverage=coverage,
        origin=f"{data.origin}; split anew by sequence cluster, seed {seed}",
        content_hash=_digest(splits, data),
    )


def local_task(task: Task) -> Task:
    """
    Return a task whose splits are the local ones.

    Parameters
    ----------
    task : Task
        A task of the registry.

    Returns
    -------
    Task
        The same but for the names of its splits; its test split is labelled ``"Local"``.
    """
    test_type = type(task.tests[0])
    train, validation, test = LOCAL_SPLITS
    return replace(
        task, train=train, validation=validation, tests=(test_type(test, "Local"),), sizes={}
    )


def _dealt(
    families: Mapping[str, list[Item]], seed: int, shares: tuple[float, ...], total: int
) -> dict[str, tuple[Item, ...]]:
    """Give each cluster, in random order but big ones first, to the split that lacks most."""
    order = np.random.default_rng(seed).permutation(sorted(families)).tolist()
    order.sort(key=lambda cluster: -len(families[cluster]))
    dealt: list[list[Item]] = [[] for _ in shares]
    for cluster in order:
        lacks = [share * total - len(have) for share, have in zip(shares, dealt, strict=True)]
        dealt[int(np.argmax(lacks))] += families[cluster]
    return {split: tuple(items) for split, items in zip(LOCAL_SPLITS, dealt, strict=True)}


def _named(names: Sequence[str], kind: str) -> str | None:
    return next((name for name in names if name in (kind, f"local_{kind}")), None)


def _splits_of_clusters(data: TaskData) -> dict[str, list[str]]:
    places: dict[str, list[str]] = defaultdict(list)
    for split, items in data.splits.items():
        for cluster in dict.fromkeys(cluster_of(data, item.chain) for item in items):
            places[cluster].append(split)
    return places


def _drop(data: TaskData, split: str, others: Sequence[str]) -> TaskData:
    places = _splits_of_clusters(data)

    def reason(name: str, item: Item) -> str | None:
        cluster = cluster_of(data, item.chain)
        shared = [other for other in places[cluster] if other in others]
        if name != split or not shared:
            return None
        return f"left out: its cluster {cluster} is also in {', '.join(shared)}"

    return _filtered(data, reason)


def _filtered(data: TaskData, reason: Callable[[str, Item], str | None]) -> TaskData:
    splits: dict[str, tuple[Item, ...]] = {}
    coverage: dict[str, Coverage] = {}
    for split, items in data.splits.items():
        verdicts = [(item, reason(split, item)) for item in items]
        splits[split] = tuple(item for item, why in verdicts if why is None)
        dropped = tuple(Problem(id=item.id, reason=why) for item, why in verdicts if why)
        before = data.coverage[split]
        coverage[split] = Coverage(
            listed=before.listed,
            used=before.used - len(dropped),
            problems=before.problems + dropped,
        )
    kept = {item.chain for items in splits.values() for item in items}
    slimmer = replace(
        data,
        splits=splits,
        coverage=coverage,
        chains={key: chain for key, chain in data.chains.items() if key in kept},
    )
    return replace(slimmer, content_hash=_digest(splits, slimmer))


def _merged(items: Sequence[Item]) -> tuple[Item, ...]:
    groups: dict[tuple[str, bytes], list[Item]] = defaultdict(list)
    for item in items:
        groups[item.chain, item.residues.tobytes()].append(item)
    # fmax takes the number where the other is NaN.
    return tuple(
        replace(group[0], labels=np.fmax.reduce([item.labels for item in group]))
        for group in groups.values()
    )


def _digest(splits: Mapping[str, tuple[Item, ...]], data: TaskData) -> str:
    return content_hash(splits.items(), dict(data.chains))
