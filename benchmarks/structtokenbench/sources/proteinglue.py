"""How do ProteinGLUE's tables of interface residues become the epitope task?"""

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from provq_protein.errors import StructureError
from structtokenbench.errors import JoinError, SourceError
from structtokenbench.items import Item, TaskData
from structtokenbench.joining import join_sequence
from structtokenbench.sources.assembly import ALL, TaskAssembly, every_residue
from structtokenbench.sources.chains import ChainFinder, ChainSource, chain_source
from structtokenbench.tasks import task_named

_COLUMNS = ("name", "Interface", "AliSeq")
_HOMODIMER = "H_"


def load_task(
    path: Path,
    structures: Path | ChainSource,
    *,
    chains: Mapping[str, str] | None = None,
    unaligned_negative: bool = False,
) -> TaskData:
    """
    Return Ept from a ProteinGLUE table.

    Parameters
    ----------
    path : Path
        A CSV file with columns ``Pos,name,Interface,Interface1,length,AliPos,AliSeq``, one row
        per residue.
    structures : Path or ChainSource
        A folder of structure files, or a `ChainArchive`.
    chains : mapping of str to str, optional
        Chain id of the names that have none (homodimers, ``"H_1abc"``).
    unaligned_negative : bool
        Whether residues without a label count as no interface, as in the published benchmark.

    Returns
    -------
    TaskData
        One split, ``"all"``.

    Raises
    ------
    SourceError
        If the file cannot be read or lacks a column.

    Notes
    -----
    Labels are interfaces between proteins, whatever the task is called. They join residues by
    sequence alignment.
    """
    source = chain_source(structures)
    finder = ChainFinder(source)
    assembly = TaskAssembly(task_named("Ept"), (ALL,))
    for name, letters, values in _proteins(path):
        try:
            entry, letter = _entry(name, chains or {})
            chain, cluster = finder.find(entry, letter)
            labels = join_sequence(chain, _numbers(values, name), letters, name=name)
        except (SourceError, StructureError, JoinError) as error:
            assembly.reject(ALL, name, str(error))
            continue
        if unaligned_negative:
            labels = np.nan_to_num(labels, nan=0.0).astype(np.float32)
        key = f"{entry}_{letter}"
        item = Item(id=key, chain=key, labels=labels, residues=every_residue(chain))
        assembly.add(ALL, item, chain, cluster=cluster)
    return assembly.finish(f"{path.name}, Interface; chains of {source.description}")


def _proteins(path: Path) -> Iterator[tuple[str, str, list[str]]]:
    """Yield name, sequence and labels, in the order in which names first occur."""
    found: dict[str, tuple[list[str], list[str]]] = {}
    try:
        with path.open(encoding="utf-8-sig", newline="") as handle:
            rows = csv.DictReader(handle)
            missing = sorted(set(_COLUMNS) - set(rows.fieldnames or ()))
            if missing:
                msg = f"{path}: no column {', '.join(missing)}; it has {rows.fieldnames}"
                raise SourceError(msg)
            for row in rows:
                letters, values = found.setdefault(row["name"], ([], []))
                letters.append(row["AliSeq"] or "X")
                values.append(row["Interface"] or "")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: cannot be read: {error}"
        raise SourceError(msg) from error
    for name, (letters, values) in found.items():
        yield name, "".join(letters), values


def _entry(name: str, chains: Mapping[str, str]) -> tuple[str, str]:
    plain = name.removeprefix(_HOMODIMER)
    entry, _, letter = plain.partition("_")
    letter = letter or chains.get(name, "")
    if not letter or not entry:
        msg = f"{name} names no chain; say which with `chains`"
        raise SourceError(msg)
    if len(letter) > 1:
        msg = f"{name} names {len(letter)} chains, expected one"
        raise SourceError(msg)
    return entry.lower(), letter


def _numbers(values: list[str], name: str) -> np.ndarray:
    wrong = [value for value in values if value not in ("0", "1")]
    if wrong:
        msg = f"{name}: Interface must be 0 or 1, got {wrong[0]!r}"
        raise SourceError(msg)
    return np.array([float(value) for value in values], dtype=np.float32)
