"""How do SCOPe domains become a fold task with family, superfamily and fold holdouts?"""

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from structtokenbench.errors import SourceError
from structtokenbench.items import TaskData
from structtokenbench.sources.archive import ChainArchive
from structtokenbench.sources.arrays import LABELS, add_domain, columns, read_arrays
from structtokenbench.sources.assembly import TaskAssembly
from structtokenbench.tasks import TASKS, Task

NAME = "HomoSCOPe"

_FIELDS = ("scop_rec", "scop_start", "scop_end", "scop_class")
_LEVELS = ("class", "fold", "superfamily", "family")
_HELD_SHARE = 0.25
_TEST_SHARE = 0.15
_VALIDATION_SHARE = 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScopeTask:
    """
    Fold classification of SCOPe domains.

    Parameters
    ----------
    task : Task
        Like the benchmark's homology task, with the classes of these data. It is not one of the
        12, and its scores do not belong beside theirs.
    data : TaskData
        Items and chains.
    folds : tuple of str
        SCOPe fold of each class, such as ``"b.1"``.
    """

    task: Task
    data: TaskData
    folds: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Domain:
    record: int
    start: int
    end: int
    family: str
    cluster: str

    def at(self, level: str) -> str:
        """Return the classification down to a level, such as b.1 for the fold of b.1.18.2."""
        return ".".join(self.family.split(".")[: _LEVELS.index(level) + 1])


def load_scope(
    folder: Path,
    *,
    seed: int = 0,
    minimum: int = 10,
    archive: ChainArchive | None = None,
) -> ScopeTask:
    """
    Return the fold task of the SCOPe domains in ``labels.npz``.

    Parameters
    ----------
    folder : Path
        The folder of ``labels.npz`` and ``backbones.npz``.
    seed : int
        Of what is held out.
    minimum : int
        Training domains that a fold must have to be a class.
    archive : ChainArchive, optional
        The opened ``backbones.npz``.

    Returns
    -------
    ScopeTask
        Task, data and the names of the classes.

    Raises
    ------
    SourceError
        If a file is missing or malformed, or if no fold has enough training domains.

    Notes
    -----
    Of each family one domain per 95 % cluster is taken. A quarter of the superfamilies of a fold,
    and of the families of a superfamily, are held out; a chain's 40 % cluster goes to the tests as
    a whole if one of its domains is, and clusters without any are dealt out at random. So no
    cluster is in two kinds of split. What a test domain tests follows from the training domains:
    its family is among them (family holdout), or only its superfamily (superfamily holdout), or
    only its fold (fold holdout). Domains of other folds are not part of the task.
    """
    chains = archive or ChainArchive(folder)
    domains = _domains(folder / LABELS, chains)
    groups = _groups(domains, seed)
    counts = Counter(one.at("fold") for one in domains if groups[one.cluster] == "train")
    folds = tuple(sorted(fold for fold, count in counts.items() if count >= minimum))
    if len(folds) < 2:
        msg = f"{folder / LABELS}: {len(folds)} folds have {minimum} training domains, expected 2"
        raise SourceError(msg)
    task = replace(
        TASKS["Homo"],
        name=NAME,
        num_outputs=len(folds),
        source="SCOPe",
        dataset="",
        table="",
        sizes=MappingProxyType({}),
    )
    assembly = TaskAssembly(task, task.splits)
    known = {
        level: {one.at(level) for one in domains if groups[one.cluster] == "train"}
        for level in ("superfamily", "family")
    }
    for one in domains:
        if one.at("fold") not in folds:
            continue
        group = groups[one.cluster]
        split = _holdout(one, known) if group == "test" else group
        add_domain(
            assembly,
            chains,
            split,
            record=one.record,
            span=(one.start, one.end),
            label=folds.index(one.at("fold")),
        )
    data = assembly.finish(
        f"SCOPe domains of {LABELS}, seed {seed}, {len(folds)} folds of at least {minimum} "
        f"training domains; chains of {chains.description}"
    )
    return ScopeTask(task=task, data=data, folds=folds)


def _domains(path: Path, chains: ChainArchive) -> list[_Domain]:
    fields = columns(read_arrays(path), _FIELDS)
    found: dict[tuple[str, str], _Domain] = {}
    for record, start, end, name in zip(*(field.tolist() for field in fields), strict=True):
        if len(name.split(".")) != len(_LEVELS) or not 0 <= record < len(chains):
            msg = f"{path}: SCOPe class {name!r} of record {record} is not of the form 'b.1.18.2'"
            raise SourceError(msg)
        key = (name, chains.cluster_of(record, level="c95"))
        domain = _Domain(
            record=record, start=start, end=end, family=name, cluster=chains.cluster_of(record)
        )
        found.setdefault(key, domain)
    return list(found.values())


def _groups(domains: list[_Domain], seed: int) -> dict[str, str]:
    """Return train, validation or test for each cluster."""
    rng = np.random.default_rng(seed)
    held = _held_out(domains, "fold", "superfamily", rng)
    rest = [one for one in domains if one.at("superfamily") not in held]
    held |= _held_out(rest, "superfamily", "family", rng)
    tested = {
        one.cluster for one in domains if one.at("superfamily") in held or one.at("family") in held
    }
    groups = {}
    for cluster in sorted({one.cluster for one in domains}):
        draw = rng.random()
        if cluster in tested or draw < _TEST_SHARE:
            groups[cluster] = "test"
        else:
            held_for_choice = draw < _TEST_SHARE + _VALIDATION_SHARE
            groups[cluster] = "validation" if held_for_choice else "train"
    return groups


def _held_out(
    domains: list[_Domain], parent: str, child: str, rng: np.random.Generator
) -> set[str]:
    """Choose children of each parent until they have the wanted share of its domains."""
    sizes: dict[str, Counter[str]] = defaultdict(Counter)
    for one in domains:
        sizes[one.at(parent)][one.at(child)] += 1
    held: set[str] = set()
    for name in sorted(sizes):
        left = _HELD_SHARE * sizes[name].total()
        for one in rng.permutation(sorted(sizes[name])).tolist():
            if sizes[name][one] <= left:
                held.add(one)
                left -= sizes[name][one]
    return held


def _holdout(domain: _Domain, known: dict[str, set[str]]) -> str:
    if domain.at("family") in known["family"]:
        return "test_family_holdout"
    if domain.at("superfamily") in known["superfamily"]:
        return "test_superfamily_holdout"
    return "test_fold_holdout"
