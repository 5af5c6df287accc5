"""How do proteins of ProteinShake's ligand interface data become the binding site task?"""

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from provq_protein.errors import StructureError
from structtokenbench.errors import JoinError, SourceError
from structtokenbench.items import Item, TaskData
from structtokenbench.joining import join_sequence
from structtokenbench.sources.assembly import ALL, TaskAssembly, every_residue
from structtokenbench.sources.chains import ChainFinder, ChainSource
from structtokenbench.tasks import task_named


def load_task(
    proteins: Iterable[Mapping[str, Any]],
    structures: ChainSource,
    *,
    splits: Mapping[str, str] | None = None,
) -> TaskData:
    """
    Return BindShake from ProteinShake's proteins.

    Parameters
    ----------
    proteins : iterable of mapping
        What ``ProteinLigandInterfaceDataset(...).proteins()`` of the package ``proteinshake``
        yields: ``protein["protein"]["ID"]``, ``protein["protein"]["sequence"]``, and per residue
        ``protein["residue"]["chain_id"]`` and ``protein["residue"]["binding_site"]``.
    structures : ChainSource
        Where chains are found, for instance a `StructureFolder`.
    splits : mapping of str to str, optional
        Split of each protein id. By default there is one split, ``"all"``.

    Returns
    -------
    TaskData
        Proteins of more than one chain are problems, as the benchmark leaves them out.

    Raises
    ------
    ConfigError
        If a split is none of the task's.
    """
    task = task_named("BindShake")
    names = {name: task.split_name(split) for name, split in (splits or {}).items()}
    assembly = TaskAssembly(task, task.splits if splits is not None else (ALL,))
    finder = ChainFinder(structures)
    for at, protein in enumerate(proteins):
        identifier, split = f"protein {at}", task.train if splits is not None else ALL
        try:
            entry, letter, sequence, labels = _read(protein)
            identifier = f"{entry}_{letter}"
            if splits is not None:
                split = _split_of(names, protein["protein"]["ID"])
            chain, cluster = finder.find(entry, letter)
            placed = join_sequence(chain, labels, sequence, name=identifier)
        except (SourceError, StructureError, JoinError) as error:
            assembly.reject(split, identifier, str(error))
            continue
        item = Item(id=identifier, chain=identifier, labels=placed, residues=every_residue(chain))
        assembly.add(split, item, chain, cluster=cluster)
    return assembly.finish(f"ProteinShake ligand interfaces; chains of {structures.description}")


def _split_of(names: Mapping[str, str], identifier: str) -> str:
    if identifier not in names:
        msg = f"{identifier} is in no split"
        raise SourceError(msg)
    return names[identifier]


def _read(protein: Mapping[str, Any]) -> tuple[str, str, str, np.ndarray]:
    """Return entry, chain, sequence and labels of a protein."""
    try:
        identifier = str(protein["protein"]["ID"]).lower()
        sequence = str(protein["protein"]["sequence"])
        residues = protein["residue"]
        chains = sorted(set(residues["chain_id"]))
        labels = np.array(residues["binding_site"], dtype=np.float32)
    except (KeyError, TypeError, ValueError) as error:
        msg = f"no protein of the ligand interface data: {error!r}"
        raise SourceError(msg) from error
    if len(chains) != 1:
        msg = f"{identifier} has {len(chains)} chains, expected one"
        raise SourceError(msg)
    return identifier, chains[0], sequence, labels
