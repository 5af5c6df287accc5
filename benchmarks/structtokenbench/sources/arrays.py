"""How do labels that refer to records of a chain archive become a task?"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from provq_protein.structure.backbone import Backbone
from structtokenbench.errors import SourceError
from structtokenbench.items import Item, TaskData
from structtokenbench.joining import starts_elsewhere
from structtokenbench.sources.archive import ChainArchive
from structtokenbench.sources.assembly import TaskAssembly, every_residue
from structtokenbench.tasks import Task, task_named

LABELS = "labels.npz"

_UNION_SUFFIXES = ("", "_transfer", "_uniprot")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Entry:
    """One labelled record: its split, position in the archive and values."""

    split: str
    record: int
    values: npt.NDArray[np.float32]
    exact: bool


def load_task(
    folder: Path,
    task: str,
    *,
    union: bool = False,
    archive: ChainArchive | None = None,
) -> TaskData:
    """
    Return a task from ``labels.npz`` and ``backbones.npz``.

    Parameters
    ----------
    folder : Path
        The folder that has both files.
    task : str
        Name of one of the 12 tasks.
    union : bool
        Whether labels that were moved from a nearly identical chain, or by UniProt numbering, are
        taken as well, for chains that have no label of their own in this task.
    archive : ChainArchive, optional
        The opened ``backbones.npz``, so that several tasks read it once.

    Returns
    -------
    TaskData
        Items are called by entry and chain. A record that the file labels twice alike in one
        split is one item; with different labels it is two, as in the benchmark's own files.

    Raises
    ------
    ConfigError
        If there is no such task.
    SourceError
        If a file is missing or its arrays contradict each other.

    Notes
    -----
    Labels are those of the benchmark's files, scaled as `Task.label_scale` says. Moved labels keep
    the split of the chain that they come from: drop the chains with relatives in another split
    (`leakage.drop_leaks`) before training on a union.

    Labels of ATLAS that were placed by author number although ATLAS counts residues from 1 are
    problems where that is evident.

    Homology labels name folds 0 to 44. An item whose fold no training chain here has is a problem
    and not an item: no tokenizer could get it right, so it would measure the size of the data.
    """
    chosen = task_named(task)
    chains = archive or ChainArchive(folder)
    arrays = read_arrays(folder / LABELS)
    assembly = TaskAssembly(chosen, chosen.splits)
    if chosen.target == "classes":
        _add_homology(assembly, arrays, chains)
    else:
        for entry in _entries(arrays, chosen, union):
            _add_labels(assembly, entry, chains, renumbered=chosen.renumbered)
    kind = "exact and moved labels" if union and chosen.target != "classes" else "exact labels"
    return assembly.finish(f"{LABELS}, {kind}; chains of {chains.description}")


def read_arrays(path: Path) -> dict[str, npt.NDArray[Any]]:
    """
    Return the arrays of a label file.

    Parameters
    ----------
    path : Path
        A ``labels.npz`` file.

    Returns
    -------
    dict of str to ndarray
        All arrays by name.

    Raises
    ------
    SourceError
        If the file is missing, or no archive of arrays.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, TypeError) as error:
        msg = f"{path}: cannot be read as an archive of label arrays: {error}"
        raise SourceError(msg) from error


def columns(arrays: dict[str, npt.NDArray[Any]], names: tuple[str, ...]) -> list[npt.NDArray[Any]]:
    """
    Return arrays of one length, or say which is missing or differs.

    Parameters
    ----------
    arrays : dict of str to ndarray
        The arrays of a file.
    names : tuple of str
        The ones to return.

    Returns
    -------
    list of ndarray
        In the order of `names`.

    Raises
    ------
    SourceError
        If one is missing or has another length than the first.
    """
    missing = [name for name in names if name not in arrays]
    if missing:
        msg = f"{LABELS}: no array {', '.join(missing)}; it has {', '.join(arrays)}"
        raise SourceError(msg)
    lengths = {name: len(arrays[name]) for name in names}
    if len(set(lengths.values())) > 1:
        msg = f"{LABELS}: lengths differ: {lengths}"
        raise SourceError(msg)
    return [arrays[name] for name in names]


def _entries(arrays: dict[str, npt.NDArray[Any]], task: Task, union: bool) -> list[_Entry]:
    names, splits, records = columns(arrays, ("task", "split", "rec"))
    values, offsets = arrays["values"], arrays["offsets"]
    if len(offsets) != len(names) + 1:
        msg = f"{LABELS}: {len(offsets)} offsets for {len(names)} entries; expected one more"
        raise SourceError(msg)
    found: dict[tuple[str, int, bytes], _Entry] = {}
    own: set[int] = set()
    for suffix in _UNION_SUFFIXES if union else ("",):
        for at in np.flatnonzero(names == task.name + suffix):
            entry = _Entry(
                split=task.split_name(str(splits[at])),
                record=int(records[at]),
                values=values[offsets[at] : offsets[at + 1]].astype(np.float32),
                exact=not suffix,
            )
            if entry.exact:
                own.add(entry.record)
            elif entry.record in own:
                continue
            found.setdefault((entry.split, entry.record, entry.values.tobytes()), entry)
    return list(found.values())


def _add_labels(
    assembly: TaskAssembly, entry: _Entry, chains: ChainArchive, *, renumbered: bool
) -> None:
    if not 0 <= entry.record < len(chains):
        reason = f"no record {entry.record} in {chains.description}"
        assembly.reject(entry.split, f"record_{entry.record}", reason)
        return
    name, length = chains.name(entry.record), chains.length(entry.record)
    if len(entry.values) != length:
        reason = f"{len(entry.values)} labels for a chain of {length} residues"
        assembly.reject(entry.split, name, reason)
        return
    chain = chains.backbone(entry.record)
    if renumbered and entry.exact and _is_shifted(chain, entry.values):
        numbers = chain.author_numbers
        reason = (
            f"its {length} labels count residues from 1 but were placed by author numbers, which "
            f"run from {numbers[0]} to {numbers[-1]}: they lie on the wrong residues"
        )
        assembly.reject(entry.split, name, reason)
        return
    item = Item(id=name, chain=name, labels=entry.values, residues=every_residue(chain))
    assembly.add(entry.split, item, chain, cluster=chains.cluster_of(entry.record))


def _is_shifted(chain: Backbone, values: npt.NDArray[np.float32]) -> bool:
    """Say whether labels that count from 1 were compared with numbers that start elsewhere."""
    labelled = np.flatnonzero(~np.isnan(values))
    if not labelled.size or not starts_elsewhere(chain):
        return False
    numbers = chain.author_numbers
    if numbers[0] < 1:
        # The source's model has these residues as well, so it cannot have begun behind them.
        return True
    # Where labels end before the chain does, their number is known: the last number with one.
    count = numbers[labelled[-1]]
    return bool(count < numbers[-1] and count in (len(chain), numbers[-1] - numbers[0] + 1))


def _add_homology(
    assembly: TaskAssembly, arrays: dict[str, npt.NDArray[Any]], chains: ChainArchive
) -> None:
    task = task_named("Homo")
    fields = columns(arrays, ("homo_rec", "homo_split", "homo_fold", "homo_start", "homo_end"))
    rows = list(zip(*(field.tolist() for field in fields), strict=True))
    trained = {fold for _, split, fold, _, _ in rows if task.split_name(split) == task.train}
    for record, split, fold, start, end in rows:
        name = chains.name(record) if 0 <= record < len(chains) else f"record_{record}"
        if fold not in trained:
            reason = f"fold {fold} has no training chain among the labels"
            assembly.reject(task.split_name(split), name, reason)
            continue
        add_domain(
            assembly, chains, task.split_name(split), record=record, span=(start, end), label=fold
        )


def add_domain(
    assembly: TaskAssembly,
    chains: ChainArchive,
    split: str,
    *,
    record: int,
    span: tuple[int, int],
    label: int,
) -> None:
    """
    Add a part of a chain with one label for the whole of it.

    Parameters
    ----------
    assembly : TaskAssembly
        Where to.
    chains : ChainArchive
        Where the chain is.
    split : str
        The item's split.
    record : int
        The chain's position in the archive.
    span : tuple of int
        First residue of the domain and the one after its last, as 0-based positions in the chain
        and not as author numbers.
    label : int
        The class.
    """
    if not 0 <= record < len(chains):
        assembly.reject(split, f"record_{record}", f"no such record in {chains.description}")
        return
    name, length = chains.name(record), chains.length(record)
    start, end = span
    whole = span == (0, length)
    identifier = name if whole else f"{name}/{start + 1}-{end}"
    if not 0 <= start < end <= length:
        reason = f"residues {start} to {end} are outside a chain of {length}"
        assembly.reject(split, identifier, reason)
        return
    residues = np.zeros(length, dtype=np.bool_)
    residues[start:end] = True
    item = Item(
        id=identifier,
        chain=name,
        labels=np.array([label], dtype=np.float32),
        residues=residues,
    )
    assembly.add(split, item, chains.backbone(record), cluster=chains.cluster_of(record))
