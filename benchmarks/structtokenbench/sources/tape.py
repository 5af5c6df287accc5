"""How do TAPE's remote homology files become the homology task?"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from provq_protein.errors import StructureError
from structtokenbench.errors import JoinError, SourceError
from structtokenbench.items import Item, TaskData
from structtokenbench.residue_ranges import in_ranges
from structtokenbench.sources.assembly import TaskAssembly
from structtokenbench.sources.chains import ChainFinder, ChainSource, chain_source
from structtokenbench.tasks import task_named

_FIELDS = 6


class ScopDomain(NamedTuple):
    """
    Where a SCOP domain is.

    Parameters
    ----------
    entry : str
        PDB id, in lower case.
    chain : str
        Author chain id.
    ranges : tuple of str
        Ranges of author numbers, such as ``"6-100"``; none for the whole chain.
    """

    entry: str
    chain: str
    ranges: tuple[str, ...]


def read_scop(path: Path) -> dict[str, ScopDomain | str]:
    """
    Return the domains of a SCOP classification.

    Parameters
    ----------
    path : Path
        ``dir.cla.scop.1.75.txt``: sid, PDB id, description such as ``A:1-100,A:150-200``, sccs,
        sunid and ancestors, separated by tabs.

    Returns
    -------
    dict of str to ScopDomain or str
        Per sid; a text says why a domain cannot be used, as when it is on several chains.

    Raises
    ------
    SourceError
        If the file cannot be read or a line has other columns.
    """
    found: dict[str, ScopDomain | str] = {}
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {error}"
        raise SourceError(msg) from error
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        fields = line.split("\t")
        if len(fields) != _FIELDS:
            msg = f"{path.name}:{number}: {len(fields)} columns, expected {_FIELDS}"
            raise SourceError(msg)
        found[fields[0]] = _domain(fields[1].lower(), fields[2])
    return found


def _domain(entry: str, description: str) -> ScopDomain | str:
    parts = [part.partition(":") for part in description.split(",")]
    chains = {chain for chain, colon, _ in parts if colon}
    if len(chains) != 1 or not all(colon for _, colon, _ in parts):
        return f"SCOP describes it as {description!r}, which is not part of one chain"
    return ScopDomain(entry, chains.pop(), tuple(text for _, _, text in parts if text))


def load_task(
    folder: Path,
    scop: Path,
    structures: Path | ChainSource,
    *,
    classes: Mapping[int, int] | None = None,
) -> TaskData:
    """
    Return Homo from TAPE's files in JSON.

    Parameters
    ----------
    folder : Path
        Has ``remote_homology_<split>.json`` for the splits that are there: ``train``, ``valid``,
        ``test_fold_holdout``, ``test_superfamily_holdout``, ``test_family_holdout``.
    scop : Path
        ``dir.cla.scop.1.75.txt``, which says where a domain is.
    structures : Path or ChainSource
        A folder of structure files, or a `ChainArchive`.
    classes : mapping of int to int, optional
        Class of the probe for each of TAPE's 1,195 folds; others are left out. By default the
        folds with at least 50 training domains, in their order, which are the benchmark's 45.

    Returns
    -------
    TaskData
        Domains of folds that are no class are no items.

    Raises
    ------
    SourceError
        If there is no file, or it is not as described.

    Notes
    -----
    TAPE's LMDB files hold pickled objects, which can run any code when they are read, and so are
    not read here. The same data are published as JSON.
    """
    task = task_named("Homo")
    names = {"validation": "valid"}
    paths = {
        split: folder / f"remote_homology_{names.get(split, split)}.json" for split in task.splits
    }
    records = {split: _records(path) for split, path in paths.items() if path.is_file()}
    if not records:
        msg = f"{folder}: no file remote_homology_<split>.json"
        raise SourceError(msg)
    chosen = _frequent(records.get(task.train, [])) if classes is None else dict(classes)
    domains = read_scop(scop)
    source = chain_source(structures)
    finder = ChainFinder(source)
    assembly = TaskAssembly(task, task.splits)
    for split, entries in records.items():
        for record in entries:
            if record["fold_label"] in chosen:
                label = chosen[record["fold_label"]]
                _add(assembly, finder, domains, split=split, sid=str(record["id"]), label=label)
    return assembly.finish(f"TAPE remote homology; chains of {source.description}")


def _records(path: Path) -> list[dict[str, Any]]:
    try:
        records = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read as JSON: {error}"
        raise SourceError(msg) from error
    for record in records if isinstance(records, list) else [None]:
        label = record.get("fold_label") if isinstance(record, dict) and "id" in record else None
        if type(label) is not int:
            msg = f"{path}: expected a list of objects with id and fold_label, got {record!r}"
            raise SourceError(msg[:300])
    return records


def _frequent(train: list[dict[str, Any]], minimum: int = 50) -> dict[int, int]:
    folds, counts = np.unique([record["fold_label"] for record in train], return_counts=True)
    return {int(fold): at for at, fold in enumerate(folds[counts >= minimum])}


def _add(
    assembly: TaskAssembly,
    finder: ChainFinder,
    domains: Mapping[str, ScopDomain | str],
    *,
    split: str,
    sid: str,
    label: int,
) -> None:
    domain = domains.get(sid, "SCOP has no domain of this name")
    if isinstance(domain, str):
        assembly.reject(split, sid, domain)
        return
    try:
        chain, cluster = finder.find(domain.entry, domain.chain)
        residues = in_ranges(chain, domain.ranges, name=sid)
    except (StructureError, JoinError) as error:
        assembly.reject(split, sid, str(error))
        return
    key = f"{domain.entry}_{domain.chain}"
    labels = np.array([label], dtype=np.float32)
    item = Item(id=sid, chain=key, labels=labels, residues=residues)
    assembly.add(split, item, chain, cluster=cluster)
