"""How do the benchmark's JSON lines, one file per task and split, become a task?"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone
from structtokenbench.errors import JoinError, SourceError
from structtokenbench.items import Item, TaskData
from structtokenbench.joining import join_numbers, join_positions
from structtokenbench.residue_ranges import in_ranges
from structtokenbench.sources.assembly import TaskAssembly
from structtokenbench.sources.chains import (
    ChainFinder,
    ChainSource,
    chain_source,
    split_identifier,
)
from structtokenbench.tasks import Task, task_named

_KEYS = {"pdb_path", "residue_index", "residue_range", "insertion_code"}


def load_task(labels: Path, structures: Path | ChainSource, task: str) -> TaskData:
    """
    Return a task from ``<dataset>_<field>_<split>.jsonl`` files.

    Parameters
    ----------
    labels : Path
        The folder of the files, or the one above it (with ``splits``).
    structures : Path or ChainSource
        A folder of structure files, or a `ChainArchive`.
    task : str
        Name of one of the 12 tasks.

    Returns
    -------
    TaskData
        Splits without a file are there, and empty.

    Raises
    ------
    ConfigError
        If there is no such task.
    SourceError
        If there is no file of the task.

    Notes
    -----
    A line is an object: ``pdb_path``, whose file name is entry and chain (``1gdj_A.pdb``); the
    labels, one per residue or one in all; ``residue_index``, the author number of each label;
    optionally ``insertion_code``, one per label, and ``residue_range``, the author numbers of a
    domain (``["6-100"]``). Labels join residues by number and, where given, insertion code; those
    of ATLAS, which counts residues from 1, as `joining.join_positions` says. A line that cannot
    be used is a problem of its split.
    """
    chosen = task_named(task)
    files = files_of(labels, chosen)
    if not files:
        pattern = f"{chosen.dataset}_{chosen.label_field}_<split>.jsonl"
        msg = f"{labels}: no file {pattern} for task {chosen.name}"
        raise SourceError(msg)
    source = chain_source(structures)
    finder = ChainFinder(source)
    assembly = TaskAssembly(chosen, chosen.splits)
    for split, path in files.items():
        for where, record in _records(path):
            _add(assembly, chosen, finder, split=split, where=where, record=record)
    return assembly.finish(f"JSON lines of the benchmark; chains of {source.description}")


def files_of(labels: Path, task: Task) -> dict[str, Path]:
    """
    Return the files of a task that are there.

    Parameters
    ----------
    labels : Path
        The folder of the files, or the one above it.
    task : Task
        The task.

    Returns
    -------
    dict of str to Path
        By split, in the registry's order.
    """
    folders = (labels, labels / "splits")
    names = {split: f"{task.dataset}_{task.label_field}_{split}.jsonl" for split in task.splits}
    return {
        split: next(folder / name for folder in folders if (folder / name).is_file())
        for split, name in names.items()
        if any((folder / name).is_file() for folder in folders)
    }


def _records(path: Path) -> Iterator[tuple[str, Any]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.strip():
                continue
            where = f"{path.name}:{number}"
            try:
                yield where, json.loads(line)
            except (json.JSONDecodeError, UnicodeDecodeError) as error:
                yield where, f"is no JSON object: {error}"


def _add(
    assembly: TaskAssembly,
    task: Task,
    finder: ChainFinder,
    *,
    split: str,
    where: str,
    record: object,
) -> None:
    if not isinstance(record, Mapping):
        reason = record if isinstance(record, str) else "is no JSON object"
        assembly.reject(split, where, reason)
        return
    identifier = where
    try:
        _check_record(record, task)
        identifier = PurePosixPath(record["pdb_path"]).stem
        entry, letter = split_identifier(identifier)
        chain, cluster = finder.find(entry, letter)
        item = _item(record, task, identifier, f"{entry}_{letter}", chain)
    except (SourceError, StructureError, JoinError) as error:
        assembly.reject(split, identifier, str(error))
        return
    assembly.add(split, item, chain, cluster=cluster)


def _check_record(record: Mapping[str, Any], task: Task) -> None:
    if not isinstance(record.get("pdb_path"), str):
        msg = f"pdb_path must be a text such as './1gdj_A.pdb', got {record.get('pdb_path')!r}"
        raise SourceError(msg)
    unknown = sorted(set(record) - _KEYS - {task.label_field})
    if task.label_field not in record or unknown:
        msg = f"{record['pdb_path']}: expected the key {task.label_field}, got {sorted(record)}"
        raise SourceError(msg)
    lists = ["residue_index", "residue_range", "insertion_code"]
    if task.level == "residue":
        lists.append(task.label_field)
    for key in lists:
        if key in record and not isinstance(record[key], list):
            msg = f"{record['pdb_path']}: {key} must be a list, got {record[key]!r}"
            raise SourceError(msg)


def _item(
    record: Mapping[str, Any], task: Task, identifier: str, key: str, chain: Backbone
) -> Item:
    residues = in_ranges(chain, [str(one) for one in record.get("residue_range", [])])
    numbers, codes = record.get("residue_index"), record.get("insertion_code")
    if numbers is not None and not all(type(number) is int for number in numbers):
        msg = "residue_index must hold whole numbers"
        raise SourceError(msg)
    if task.level == "chain":
        if numbers is not None:
            # The label is the chain's; this only makes sure that it is the same chain.
            join_numbers(chain, np.zeros(len(numbers)), numbers, codes=codes, name=identifier)
        labels = numeric([record[task.label_field]])
        return Item(id=identifier, chain=key, labels=labels, residues=residues)
    values = numeric(record[task.label_field])
    if numbers is None:
        placed = row_by_row(chain, values, identifier)
    elif task.renumbered and numbers == list(range(1, len(values) + 1)):
        placed = join_positions(chain, values, name=identifier)
    else:
        placed = join_numbers(chain, values, numbers, codes=codes, name=identifier)
    return Item(id=identifier, chain=key, labels=placed, residues=residues)


def numeric(values: list[Any]) -> npt.NDArray[np.float32]:
    """
    Return labels as numbers.

    Parameters
    ----------
    values : list
        Numbers, booleans, or None for no label.

    Returns
    -------
    ndarray, shape=(label,), dtype=float32
        *NaN* for None.

    Raises
    ------
    SourceError
        If something else is among them.
    """
    wrong = [value for value in values if value is not None and not isinstance(value, int | float)]
    if wrong:
        msg = f"labels must be numbers, got {wrong[0]!r}"
        raise SourceError(msg)
    return np.array([np.nan if value is None else value for value in values], dtype=np.float32)


def row_by_row(
    chain: Backbone, values: npt.NDArray[np.float32], name: str
) -> npt.NDArray[np.float32]:
    """
    Return labels that have neither numbers nor a sequence, on the residues they must mean.

    Parameters
    ----------
    chain : Backbone
        The chain.
    values : ndarray, shape=(label,), dtype=float32
        One label per residue of the chain, or per residue that is not a modified one: the
        benchmark's own reader leaves those out.
    name : str
        What to call the chain in a message.

    Returns
    -------
    ndarray, shape=(residue,), dtype=float32
        *NaN* on residues without a label.

    Raises
    ------
    JoinError
        If the number of labels fits neither.
    """
    if len(values) == len(chain):
        return values.copy()
    standard = np.array([residue in _STANDARD for residue in chain.residue_names], dtype=np.bool_)
    if len(values) != int(standard.sum()):
        msg = (
            f"{name}: {len(values)} labels for a chain of {len(chain)} residues "
            f"({int(standard.sum())} of them unmodified)"
        )
        raise JoinError(msg)
    placed = np.full(len(chain), np.nan, dtype=np.float32)
    placed[standard] = values
    return placed


_STANDARD = frozenset(
    (
        "ALA", "ARG", "ASN", "ASP", "CYS", "GLN", "GLU", "GLY", "HIS", "ILE", "LEU", "LYS", "MET",
        "PHE", "PRO", "SER", "THR", "TRP", "TYR", "VAL",
    )
)  # fmt: skip
