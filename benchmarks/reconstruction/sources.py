"""Which chains is a model measured on?"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import read_backbones
from provq_protein.training.array_import import read_array_chains, read_set
from provq_protein.training.store import load_store


@dataclass(frozen=True)
class ChainSet:
    """
    Chains under one name.

    Parameters
    ----------
    name : str
        For instance ``casp14``.
    origin : str
        Where the chains came from, without folders of this machine.
    backbones : list of Backbone
        Chains with at least one resolved residue.
    left_out : list of str
        Chains without any, and files that could not be read, with the reason.
    """

    name: str
    origin: str
    backbones: list[Backbone]
    left_out: list[str]

    def content_hash(self) -> str:
        """Return 16 hex digits that identify the chains: SHA-256 over coordinates and numbers."""
        digest = hashlib.sha256()
        for chain in self.backbones:
            digest.update(f"{chain.chain_id} {chain.sequence}\n".encode())
            digest.update(np.where(chain.resolved[:, None, None], chain.coords, 0.0).tobytes())
            digest.update(chain.author_numbers.tobytes())
        return digest.hexdigest()[:16]


def from_files(name: str, folder: Path) -> ChainSet:
    """
    Read every structure file of a folder.

    Parameters
    ----------
    name : str
        Name of the set.
    folder : Path
        Its files are read in the order of their names; hidden ones are not.

    Returns
    -------
    ChainSet
        All protein chains of model 1 of each file.

    Raises
    ------
    StructureError
        If there is no such folder, or no chain in it.
    """
    if not folder.is_dir():
        msg = f"{folder}: no such folder; the set {name!r} should be read from it"
        raise StructureError(msg)
    found, left_out = [], []
    for path in sorted(folder.iterdir()):
        if path.name.startswith(".") or not path.is_file():
            continue
        try:
            found += read_backbones(path)
        except StructureError as error:
            left_out.append(f"{path.name}: {error}".replace(f"{path}: ", ""))
    return _usable(name, f"structure files of the folder {folder.name}", found, left_out)


def from_arrays(name: str, arrays: Path, sets: Path) -> ChainSet:
    """
    Read a named list of records of an array file.

    Parameters
    ----------
    name : str
        Name of the set, and of the list.
    arrays : Path
        An ``.npz`` file in the array layout (docs/formats.md).
    sets : Path
        A JSON object of lists of record numbers.

    Returns
    -------
    ChainSet
        The chains, in the order of the list.

    Raises
    ------
    StructureError
        If a file cannot be read, or there is no such list.
    """
    found = list(read_array_chains(arrays, read_set(sets, name)))
    return _usable(name, f"records of {arrays.name} listed as {name} in {sets.name}", found, [])


def from_store(path: Path, *, data_hash: str) -> ChainSet:
    """
    Read the validation split of a chain store.

    Parameters
    ----------
    path : Path
        What ``provq-protein prepare`` wrote.
    data_hash : str
        Content hash of the store that the model was trained on: another store holds out
        other chains, and the model may have been trained on those.

    Returns
    -------
    ChainSet
        The set ``validation``.

    Raises
    ------
    StructureError
        If the file cannot be read, or is another store.
    """
    store = load_store(path)
    if store.content_hash() != data_hash:
        msg = (
            f"{path}: content {store.content_hash()}, but the model was trained on {data_hash}; "
            "its validation split holds out other chains"
        )
        raise StructureError(msg)
    found = [store.backbone(int(chain)) for chain in store.select("validation")]
    return _usable("validation", "validation split of the training store", found, [])


def _usable(name: str, origin: str, found: Sequence[Backbone], left_out: list[str]) -> ChainSet:
    usable = [chain for chain in found if chain.resolved.any()]
    left_out += [
        f"{chain.source}: chain {chain.chain_id}: no residue has all of N, CA and C"
        for chain in found
        if not chain.resolved.any()
    ]
    if not usable:
        msg = f"the set {name!r} has no chain with a resolved residue"
        raise StructureError(msg)
    return ChainSet(name, origin, usable, left_out)
