"""How do folders of the ATLAS database become the three tasks of flexibility?"""

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from provq_protein.errors import ConfigError, StructureError
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones
from structtokenbench.errors import JoinError, SourceError
from structtokenbench.items import Item, TaskData
from structtokenbench.joining import join_sequence
from structtokenbench.sources.assembly import ALL, TaskAssembly, every_residue
from structtokenbench.sources.chains import split_identifier
from structtokenbench.tasks import task_named

_STRUCTURES = (".pdb", ".cif", ".pdb.gz", ".cif.gz")
_SEQUENCE = "seq"


def load_task(folder: Path, task: str, *, ids: Sequence[str] | None = None) -> TaskData:
    """
    Return a task of flexibility from ATLAS folders.

    Parameters
    ----------
    folder : Path
        Has one folder per chain, ``2z6r_A`` or ``2z6r_A_analysis``, directly or in ``analysis``.
    task : str
        ``"FlexRMSF"``, ``"FlexBFactor"`` or ``"FlexNEQ"``.
    ids : sequence of str, optional
        Chains to read, such as ``"2z6r_A"``. By default all folders.

    Returns
    -------
    TaskData
        One split, ``"all"``. Labels are scaled as `Task.label_scale` says.

    Raises
    ------
    ConfigError
        If the task is not one of flexibility.
    SourceError
        If there is no folder of a chain.

    Notes
    -----
    A chain's folder has ``<id>.pdb`` and either ``<id>_per_residue_labels.csv`` (columns ``seq``
    and ``RMSF``, ``Bfactor``, ``Neq``) or ATLAS's own ``<id>_RMSF.tsv`` with a column for each
    replicate (``RMSF_R1``, ...), which are averaged. Labels join residues by sequence.
    """
    chosen = task_named(task)
    if chosen.source != "ATLAS":
        msg = f"task {chosen.name} is not one of ATLAS; those are FlexRMSF, FlexBFactor, FlexNEQ"
        raise ConfigError(msg)
    folders = _folders(folder)
    names = sorted(folders) if ids is None else list(ids)
    if not names:
        msg = f"{folder}: no folder named like a chain, such as 2z6r_A"
        raise SourceError(msg)
    assembly = TaskAssembly(chosen, (ALL,))
    for name in names:
        try:
            if name not in folders:
                msg = f"no folder {name} in {folder.name}"
                raise SourceError(msg)
            sequence, values = _labels(folders[name], name, chosen.raw_field)
            chain = _structure(folders[name], name)
            labels = join_sequence(chain, values * chosen.label_scale, sequence, name=name)
        except (SourceError, StructureError, JoinError) as error:
            assembly.reject(ALL, name, str(error))
            continue
        item = Item(id=name, chain=name, labels=labels, residues=every_residue(chain))
        assembly.add(ALL, item, chain)
    return assembly.finish(f"ATLAS folders, {chosen.raw_field}")


def _folders(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        msg = f"{folder}: no such folder"
        raise SourceError(msg)
    root = folder / "analysis" if (folder / "analysis").is_dir() else folder
    found = {}
    for path in sorted(root.iterdir()):
        name = path.name.removesuffix("_analysis")
        if path.is_dir() and len(name.split("_")) == 2:
            found[name] = path
    return found


def _labels(folder: Path, name: str, field: str) -> tuple[str, np.ndarray]:
    table = folder / f"{name}_per_residue_labels.csv"
    path, delimiter = (table, ",") if table.is_file() else (folder / f"{name}_{field}.tsv", "\t")
    letters, rows = [], []
    for row in _rows(path, delimiter):
        columns = [key for key in row if key == field or key.startswith(f"{field}_R")]
        if _SEQUENCE not in row or not columns:
            msg = f"{path.name}: needs columns {_SEQUENCE} and {field}, has {', '.join(row)}"
            raise SourceError(msg)
        letters.append(row[_SEQUENCE])
        try:
            rows.append(np.mean([float(row[key] or "nan") for key in columns]))
        except ValueError:
            msg = f"{path.name}: {field} of residue {len(rows) + 1} is no number: {row[columns[0]]}"
            raise SourceError(msg) from None
    return "".join(letters), np.array(rows, dtype=np.float32)


def _rows(path: Path, delimiter: str) -> Iterator[dict[str, str]]:
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle, delimiter=delimiter):
                yield {key: value or "" for key, value in row.items() if key}
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        msg = f"{path.name}: cannot be read: {error}"
        raise SourceError(msg) from error


def _structure(folder: Path, name: str) -> Backbone:
    for suffix in _STRUCTURES:
        path = folder / f"{name}{suffix}"
        if path.is_file():
            chains = read_backbones(path)
            letter = split_identifier(name)[1]
            matching = [chain for chain in chains if chain.chain_id == letter]
            if len(chains) != 1 and len(matching) != 1:
                msg = f"{path.name}: {len(chains)} chains, none of them or several called {letter}"
                raise SourceError(msg)
            return (matching or chains)[0]
    msg = f"no structure file {name}.pdb"
    raise SourceError(msg)
