"""How does the annotation table of BioLiP become the tasks of binding and catalytic residues?"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from provq_protein.errors import ConfigError, StructureError
from structtokenbench.errors import JoinError, SourceError
from structtokenbench.items import Item, TaskData
from structtokenbench.joining import Site, join_sites
from structtokenbench.sources.assembly import ALL, TaskAssembly, every_residue
from structtokenbench.sources.chains import ChainFinder, ChainSource, chain_source
from structtokenbench.tasks import task_named

_COLUMNS = 21
_SITE = re.compile(r"([A-Za-z])(-?\d+)([A-Za-z]?)")


@dataclass(frozen=True, slots=True, kw_only=True)
class BiolipRow:
    """
    One ligand on one receptor chain.

    Parameters
    ----------
    entry : str
        PDB id, in lower case.
    chain : str
        Author chain id of the receptor.
    ligand : str
        Component id of the ligand.
    binding : tuple of Site
        Binding residues, by author number.
    catalytic : tuple of Site
        Catalytic residues of all sites, by author number; often none.
    sequence : str
        Sequence of the receptor's resolved residues.
    """

    entry: str
    chain: str
    ligand: str
    binding: tuple[Site, ...]
    catalytic: tuple[Site, ...]
    sequence: str


def read_rows(path: Path) -> Iterator[BiolipRow | str]:
    """
    Yield the rows of a ``BioLiP*.txt`` file.

    Parameters
    ----------
    path : Path
        21 columns separated by tabs, without header.

    Yields
    ------
    BiolipRow or str
        A row, or what is wrong with it.

    Raises
    ------
    SourceError
        If the file cannot be read.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield _row(line.rstrip("\r\n").split("\t"), f"{path.name}:{number}")
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {error}"
        raise SourceError(msg) from error


def _row(fields: list[str], where: str) -> BiolipRow | str:
    if len(fields) != _COLUMNS:
        return f"{where}: {len(fields)} columns, expected {_COLUMNS}"
    try:
        return BiolipRow(
            entry=fields[0].lower(),
            chain=fields[1],
            ligand=fields[4],
            binding=_sites(fields[7]),
            catalytic=_sites(fields[9]),
            sequence=fields[20].strip(),
        )
    except SourceError as error:
        return f"{where}: {error}"


def _sites(text: str) -> tuple[Site, ...]:
    """Return the residues of a column; several sites are separated by semicolons."""
    found = []
    for word in dict.fromkeys(text.replace(";", " ").split()):
        match = _SITE.fullmatch(word)
        if match is None:
            msg = f"{word!r} is no residue such as E439 or D52A"
            raise SourceError(msg)
        found.append(Site(match[1].upper(), int(match[2]), match[3]))
    return tuple(found)


def load_task(path: Path, structures: Path | ChainSource, task: str) -> TaskData:
    """
    Return BindBio or CatBio from a BioLiP table.

    Parameters
    ----------
    path : Path
        ``BioLiP_nr.txt``, or another of BioLiP's annotation files.
    structures : Path or ChainSource
        A folder of structure files, or a `ChainArchive`.
    task : str
        ``"BindBio"`` or ``"CatBio"``.

    Returns
    -------
    TaskData
        One split, ``"all"``; an item for each set of residues that the table gives a chain. Rows
        that say nothing of the task, or repeat another row's residues, are no items.

    Raises
    ------
    ConfigError
        If the task is not one of BioLiP.
    SourceError
        If the file cannot be read.

    Notes
    -----
    A residue is found by author number and insertion code, and must be of the amino acid that the
    table says.
    """
    chosen = task_named(task)
    if chosen.source != "BioLiP2":
        msg = f"task {chosen.name} is not one of BioLiP; those are BindBio and CatBio"
        raise ConfigError(msg)
    source = chain_source(structures)
    finder = ChainFinder(source)
    assembly = TaskAssembly(chosen, (ALL,))
    seen: set[tuple[str, tuple[Site, ...]]] = set()
    for row in read_rows(path):
        if isinstance(row, str):
            where, _, reason = row.partition(": ")
            assembly.reject(ALL, where, reason)
            continue
        sites = row.binding if chosen.raw_field == "binding" else row.catalytic
        name = f"{row.entry}_{row.chain}"
        key = (name, tuple(sorted(sites)))
        if not sites or key in seen:
            continue
        seen.add(key)
        try:
            chain, cluster = finder.find(row.entry, row.chain)
            labels = join_sites(chain, sites, name=name)
        except (StructureError, JoinError) as error:
            assembly.reject(ALL, name, str(error))
            continue
        item = Item(id=name, chain=name, labels=labels, residues=every_residue(chain))
        assembly.add(ALL, item, chain, cluster=cluster)
    return assembly.finish(f"{path.name}, {chosen.raw_field}; chains of {source.description}")
