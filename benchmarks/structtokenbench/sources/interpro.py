"""How do InterPro's ranges of UniProt positions become labels of residues?"""

import csv
import re
from collections import defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from provq_protein.errors import ConfigError, StructureError
from structtokenbench.errors import JoinError, SourceError
from structtokenbench.items import Item, TaskData
from structtokenbench.sources.assembly import ALL, TaskAssembly, every_residue
from structtokenbench.sources.chains import ChainFinder, ChainSource, chain_source
from structtokenbench.sources.sifts import Segment, read_segments, uniprot_positions
from structtokenbench.tasks import Task, task_named

_COLUMNS = ("uniprot_id", "ipr_id", "ipr_type", "residue_fragments")
_FRAGMENT = re.compile(r"(\d+)-(\d+)(?:-[A-Z]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class InterproRow:
    """
    One InterPro entry on one UniProt sequence.

    Parameters
    ----------
    accession : str
        UniProt accession.
    entry : str
        InterPro accession, such as ``"IPR000048"``.
    kind : str
        Type of the entry, such as ``"Binding_site"``.
    fragments : tuple of (int, int)
        First and last UniProt position of each fragment.
    """

    accession: str
    entry: str
    kind: str
    fragments: tuple[tuple[int, int], ...]


def read_rows(path: Path) -> Iterator[InterproRow | str]:
    """
    Yield the rows of a table of InterPro matches.

    Parameters
    ----------
    path : Path
        Columns ``uniprot_id, ipr_id, ipr_type, residue_fragments``, separated by tabs, with
        header. Fragments are ``"59-73-S"``, several separated by commas.

    Yields
    ------
    InterproRow or str
        A row, or what is wrong with it.

    Raises
    ------
    SourceError
        If the file cannot be read or lacks a column.
    """
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = csv.DictReader(handle, delimiter="\t")
            missing = sorted(set(_COLUMNS) - set(rows.fieldnames or ()))
            if missing:
                msg = f"{path}: no column {', '.join(missing)}; it has {rows.fieldnames}"
                raise SourceError(msg)
            for row in rows:
                yield _row(row, f"{path.name}:{rows.line_num}")
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path}: cannot be read: {error}"
        raise SourceError(msg) from error


def _row(row: dict[str, str], where: str) -> InterproRow | str:
    matches = [_FRAGMENT.fullmatch(part) for part in (row["residue_fragments"] or "").split(",")]
    spans = tuple((int(match[1]), int(match[2])) for match in matches if match)
    if len(spans) != len(matches) or any(start > end for start, end in spans):
        return f"{where}: fragments {row['residue_fragments']!r} are not like '59-73-S'"
    return InterproRow(
        accession=row["uniprot_id"], entry=row["ipr_id"], kind=row["ipr_type"], fragments=spans
    )


def load_task(
    path: Path,
    sifts: Path,
    structures: Path | ChainSource,
    task: str,
    *,
    chains: Collection[str] | None = None,
) -> TaskData:
    """
    Return BindInt, CatInt, Con or Rep from InterPro matches and SIFTS.

    Parameters
    ----------
    path : Path
        The table of matches; see `read_rows`.
    sifts : Path
        SIFTS's ``pdb_chain_uniprot`` table, as ``.csv`` or ``.tsv``, gzipped or not.
    structures : Path or ChainSource
        A folder of structure files, or a `ChainArchive`.
    task : str
        One of the four tasks.
    chains : collection of str, optional
        Chains to take, such as ``"1gdj_A"``. By default every chain of every sequence, which are
        many.

    Returns
    -------
    TaskData
        One split, ``"all"``; an item for each InterPro entry on each chain. Residues that SIFTS
        maps to no UniProt position are unlabelled.

    Raises
    ------
    ConfigError
        If the task is not one of InterPro.
    SourceError
        If a file cannot be read.

    Notes
    -----
    The benchmark's own files compare UniProt positions with author numbers, and take the first
    fragment alone; labels from this reader are on other residues where these differ, and are
    right.
    """
    chosen = task_named(task)
    if chosen.source != "InterPro":
        msg = f"task {chosen.name} is not one of InterPro; those are BindInt, CatInt, Con, Rep"
        raise ConfigError(msg)
    source = chain_source(structures)
    assembly = TaskAssembly(chosen, (ALL,))
    finder = ChainFinder(source)
    on_chains = _by_accession(read_segments(sifts), chains)
    for row in read_rows(path):
        if isinstance(row, str):
            where, _, reason = row.partition(": ")
            assembly.reject(ALL, where, reason)
        elif row.kind == chosen.raw_field:
            for name, segments in on_chains.get(row.accession, {}).items():
                _add(assembly, chosen, finder, row, name, segments)
    return assembly.finish(f"{path.name} through SIFTS; chains of {source.description}")


def _by_accession(
    segments: list[Segment], chains: Collection[str] | None
) -> dict[str, dict[str, list[Segment]]]:
    wanted = None if chains is None else set(chains)
    found: dict[str, dict[str, list[Segment]]] = defaultdict(lambda: defaultdict(list))
    for segment in segments:
        name = f"{segment.entry}_{segment.chain}"
        if wanted is None or name in wanted:
            found[segment.accession][name].append(segment)
    return found


def _add(
    assembly: TaskAssembly,
    task: Task,
    finder: ChainFinder,
    row: InterproRow,
    name: str,
    segments: list[Segment],
) -> None:
    identifier = f"{name}/{row.entry}"
    try:
        chain, cluster = finder.find(segments[0].entry, segments[0].chain)
        positions = uniprot_positions(chain, segments, name=name)
    except (StructureError, JoinError) as error:
        assembly.reject(ALL, identifier, str(error))
        return
    inside = [(positions >= start) & (positions <= end) for start, end in row.fragments]
    labels = np.any(inside, axis=0).astype(np.float32)
    if not labels.any():
        reason = f"no residue of the chain lies in {row.kind} {row.fragments} of {row.accession}"
        assembly.reject(ALL, identifier, reason)
        return
    labels[positions < 1] = np.nan
    item = Item(id=identifier, chain=name, labels=labels, residues=every_residue(chain))
    assembly.add(ALL, item, chain, cluster=cluster)
