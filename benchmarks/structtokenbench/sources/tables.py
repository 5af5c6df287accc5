"""How do the processed CSV files, all splits of a task in one, become a task?"""

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from provq_protein.errors import ConfigError, StructureError
from structtokenbench.errors import JoinError, SourceError
from structtokenbench.items import Item, TaskData
from structtokenbench.sources.assembly import TaskAssembly, every_residue
from structtokenbench.sources.chains import ChainFinder, ChainSource, chain_source
from structtokenbench.sources.jsonl import numeric, row_by_row
from structtokenbench.tasks import Task, task_named

_FIELD_LIMIT = 1 << 24


def load_task(labels: Path, structures: Path | ChainSource, task: str) -> TaskData:
    """
    Return a task from its processed CSV file.

    Parameters
    ----------
    labels : Path
        The folder of the file, or the one above it (with ``csv``).
    structures : Path or ChainSource
        A folder of structure files, or a `ChainArchive`.
    task : str
        Name of a task that has such a file.

    Returns
    -------
    TaskData
        All splits of the task; one that the file does not name is empty.

    Raises
    ------
    ConfigError
        If there is no such task.
    SourceError
        If the task has no such file, if it is missing, or if a column is.

    Notes
    -----
    Columns are ``split, pdb_id, chain_id`` and ``residue_label`` (a JSON list, one per residue)
    or ``fold_label``. There are no residue numbers: labels join residues row by row, so their
    number must be that of the chain's residues, with or without modified ones. Homology rows
    name no range: the item is the whole chain.
    """
    chosen = task_named(task)
    path = file_of(labels, chosen)
    if path is None:
        name = chosen.table or f"(task {chosen.name} has no processed table)"
        msg = f"{labels}: no file {name}"
        raise SourceError(msg)
    source = chain_source(structures)
    finder = ChainFinder(source)
    assembly = TaskAssembly(chosen, chosen.splits)
    for where, row in _rows(path, chosen):
        try:
            split = chosen.split_name(row["split"])
        except ConfigError as error:
            assembly.reject(chosen.train, where, str(error))
            continue
        _add(assembly, chosen, finder, split, row)
    return assembly.finish(f"{path.name}; chains of {source.description}")


def file_of(labels: Path, task: Task) -> Path | None:
    """
    Return the processed table of a task, if it is there.

    Parameters
    ----------
    labels : Path
        The folder of the file, or the one above it.
    task : Task
        The task.

    Returns
    -------
    Path or None
        The file.
    """
    if not task.table:
        return None
    places = (labels / task.table, labels / "csv" / task.table)
    return next((place for place in places if place.is_file()), None)


def _label_column(task: Task) -> str:
    return task.label_field if task.level == "chain" else "residue_label"


def _rows(path: Path, task: Task) -> Iterator[tuple[str, dict[str, str]]]:
    # A list of labels is one field, and longer than the csv module expects a field to be.
    csv.field_size_limit(min(_FIELD_LIMIT, sys.maxsize))
    with path.open(encoding="utf-8", newline="") as handle:
        rows = csv.DictReader(handle)
        expected = {"split", "pdb_id", "chain_id", _label_column(task)}
        missing = sorted(expected - set(rows.fieldnames or ()))
        if missing:
            msg = f"{path}: no column {', '.join(missing)}; it has {rows.fieldnames}"
            raise SourceError(msg)
        for row in rows:
            where = f"{path.name}:{rows.line_num}"
            yield where, {name: row[name] or "" for name in expected}


def _add(
    assembly: TaskAssembly,
    task: Task,
    finder: ChainFinder,
    split: str,
    row: Mapping[str, str],
) -> None:
    entry, letter = row["pdb_id"].lower(), row["chain_id"]
    name = f"{entry}_{letter}"
    try:
        chain, cluster = finder.find(entry, letter)
        read = json.loads(row[_label_column(task)])
        values = numeric(read if isinstance(read, list) else [read])
        labels = values if task.level == "chain" else row_by_row(chain, values, name)
    except json.JSONDecodeError as error:
        assembly.reject(split, name, f"labels are no JSON: {error}")
        return
    except (SourceError, StructureError, JoinError) as error:
        assembly.reject(split, name, str(error))
        return
    item = Item(id=name, chain=name, labels=labels, residues=every_residue(chain))
    assembly.add(split, item, chain, cluster=cluster)
