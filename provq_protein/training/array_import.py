"""How are chains read from the packed array layout? (see docs/formats.md, array import)"""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone

# Coordinates are stored as integers of 0.01 Angstrom; this value marks a missing atom.
_UNIT = 0.01
_MISSING = -32768
_REQUIRED = ("offsets", "coords", "seq", "resnum", "pdb", "chain")


def load_arrays(path: Path) -> dict[str, np.ndarray]:
    """
    Read an array file.

    Parameters
    ----------
    path : Path
        An ``.npz`` file in the array layout.

    Returns
    -------
    dict of str to ndarray
        Its arrays.

    Raises
    ------
    StructureError
        If it is missing, unreadable or lacks an array.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError) as error:
        msg = f"{path}: is not a readable .npz file: {error}"
        raise StructureError(msg) from error
    missing = [name for name in _REQUIRED if name not in arrays]
    if missing:
        msg = f"{path}: lacks the arrays {', '.join(missing)}; see docs/formats.md, array import"
        raise StructureError(msg)
    return arrays


def array_chains(arrays: dict[str, np.ndarray], records: Iterable[int]) -> Iterator[Backbone]:
    """
    Yield chosen chains of an array file.

    Parameters
    ----------
    arrays : dict
        From `load_arrays`.
    records : iterable of int
        Record numbers.

    Yields
    ------
    Backbone
        N, CA and C in Angstrom; the source is the record's ``pdb`` entry.
    """
    offsets = arrays["offsets"]
    for record in records:
        rows = slice(offsets[record], offsets[record + 1])
        raw = arrays["coords"][rows, :3]
        coords = raw.astype(np.float32) * np.float32(_UNIT)
        coords[(raw == _MISSING).any(-1)] = np.nan
        yield Backbone.from_arrays(
            coords,
            sequence=arrays["seq"][rows].tobytes().decode(),
            author_numbers=arrays["resnum"][rows].astype(np.int32),
            chain_id=str(arrays["chain"][record]),
            source=str(arrays["pdb"][record]),
        )


def read_set(path: Path, name: str) -> list[int]:
    """
    Read a named list of record numbers.

    Parameters
    ----------
    path : Path
        A JSON object of lists.
    name : str
        The list.

    Returns
    -------
    list of int
        Record numbers.

    Raises
    ------
    StructureError
        If the file is unreadable or has no such list.
    """
    try:
        sets = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: is not a readable JSON file: {error}"
        raise StructureError(msg) from error
    if name not in sets:
        msg = f"{path}: has no set {name!r}; it has {', '.join(sorted(sets))}"
        raise StructureError(msg)
    return [int(record) for record in sets[name]]


def read_array_chains(path: Path, records: Iterable[int]) -> Iterator[Backbone]:
    """
    Yield chosen chains of an array file, by its path.

    Parameters
    ----------
    path : Path
        An ``.npz`` file in the array layout.
    records : iterable of int
        Record numbers.

    Yields
    ------
    Backbone
        As `array_chains`.
    """
    yield from array_chains(load_arrays(path), records)
