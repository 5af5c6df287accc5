"""Where do prepared chains lie on disk? (an HDF5 chain store; see docs/formats.md)"""

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from provq_protein.errors import StructureError
from provq_protein.extras import require_extra
from provq_protein.structure.backbone import Backbone

FORMAT = "provq-chain-store"
FORMAT_VERSION = 1
SPLITS = ("train", "validation")
_ARRAYS = ("offsets", "coords", "resolved", "author_numbers", "sequence", "split")


@dataclass(frozen=True, eq=False)
class ChainStore:
    """
    Chains in memory, concatenated: chain i owns rows ``offsets[i]:offsets[i + 1]``.

    Parameters
    ----------
    offsets : ndarray, shape=(chain + 1,), dtype=int64
        Row bounds.
    coords : ndarray, shape=(row, 3, 3), dtype=float32
        N, CA and C, in Angstrom; *NaN* where absent.
    resolved : ndarray, shape=(row,), dtype=bool
        True where all three atoms exist.
    author_numbers : ndarray, shape=(row,), dtype=int32
        Author residue numbers.
    sequence : ndarray, shape=(row,), dtype=S1
        One-letter sequence.
    split : ndarray, shape=(chain,), dtype=uint8
        Index into `SPLITS`.
    names : tuple of str
        One name per chain, ``source:chain``.
    """

    offsets: np.ndarray
    coords: np.ndarray
    resolved: np.ndarray
    author_numbers: np.ndarray
    sequence: np.ndarray
    split: np.ndarray
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.names)

    @property
    def lengths(self) -> np.ndarray:
        """Residues of each chain, shape=(chain,), dtype=int64."""
        return np.diff(self.offsets)

    def select(self, split: str) -> np.ndarray:
        """
        Return the chains of a split.

        Parameters
        ----------
        split : str
            One of `SPLITS`.

        Returns
        -------
        ndarray, shape=(selected,), dtype=int64
            Chain numbers.
        """
        return np.flatnonzero(self.split == SPLITS.index(split))

    def backbone(self, chain: int) -> Backbone:
        """
        Return one chain as a `Backbone`.

        Parameters
        ----------
        chain : int
            Its number.

        Returns
        -------
        Backbone
            Coordinates, numbering and sequence; the store's name is its source.
        """
        rows = slice(self.offsets[chain], self.offsets[chain + 1])
        return Backbone.from_arrays(
            self.coords[rows],
            sequence=self.sequence[rows].tobytes().decode(),
            author_numbers=self.author_numbers[rows],
            chain_id=self.names[chain].rpartition(":")[2] or "A",
            source=self.names[chain],
        )

    def content_hash(self) -> str:
        """
        Return 16 hex digits that identify the content.

        Returns
        -------
        str
            The start of the SHA-256 over names and arrays.
        """
        digest = hashlib.sha256("\n".join(self.names).encode())
        for name in _ARRAYS:
            digest.update(np.ascontiguousarray(getattr(self, name)).tobytes())
        return digest.hexdigest()[:16]


def build_store(backbones: Sequence[Backbone], splits: Sequence[str]) -> ChainStore:
    """
    Concatenate chains.

    Parameters
    ----------
    backbones : sequence of Backbone
        The chains.
    splits : sequence of str
        One of `SPLITS` for each.

    Returns
    -------
    ChainStore
        All of them.

    Raises
    ------
    StructureError
        If there is no chain.
    """
    if not backbones:
        msg = "no chain is left to store"
        raise StructureError(msg)
    lengths = [len(backbone) for backbone in backbones]
    letters = "".join(backbone.sequence for backbone in backbones)
    return ChainStore(
        offsets=np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64),
        coords=np.concatenate([backbone.coords for backbone in backbones]),
        resolved=np.concatenate([backbone.resolved for backbone in backbones]),
        author_numbers=np.concatenate([backbone.author_numbers for backbone in backbones]),
        sequence=np.frombuffer(letters.encode("ascii", "replace"), dtype="S1"),
        split=np.array([SPLITS.index(split) for split in splits], dtype=np.uint8),
        names=tuple(f"{backbone.source}:{backbone.chain_id}" for backbone in backbones),
    )


def save_store(path: Path, store: ChainStore, *, provenance: str) -> None:
    """
    Write a chain store, atomically.

    Parameters
    ----------
    path : Path
        The HDF5 file; replaced if it exists.
    store : ChainStore
        The chains.
    provenance : str
        How the store was made, kept as an attribute.
    """
    h5py: Any = require_extra("h5py", extra="train", purpose="a chain store")
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with h5py.File(temporary, "w") as handle:
            handle.attrs["format"] = FORMAT
            handle.attrs["format_version"] = FORMAT_VERSION
            handle.attrs["provenance"] = provenance
            handle.attrs["content_hash"] = store.content_hash()
            for name in _ARRAYS:
                values = getattr(store, name)
                compress = {"compression": "gzip", "shuffle": True} if len(values) > 1 else {}
                handle.create_dataset(name, data=values, **compress)
            handle.create_dataset("names", data=list(store.names), dtype=h5py.string_dtype())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_store(path: Path) -> ChainStore:
    """
    Read a chain store.

    Parameters
    ----------
    path : Path
        The HDF5 file.

    Returns
    -------
    ChainStore
        Its chains, in memory.

    Raises
    ------
    StructureError
        If the file is missing, is no chain store, has another version, or is damaged.
    """
    h5py: Any = require_extra("h5py", extra="train", purpose="a chain store")
    if not path.is_file():
        msg = f"{path}: no such file; make a chain store with: provq-protein prepare"
        raise StructureError(msg)
    try:
        with h5py.File(path, "r") as handle:
            _check_header(path, handle.attrs)
            arrays = {name: handle[name][()] for name in _ARRAYS}
            names = tuple(handle["names"].asstr()[()])
            recorded = str(handle.attrs["content_hash"])
    except (OSError, KeyError) as error:
        msg = f"{path}: is not a readable chain store: {error}"
        raise StructureError(msg) from error
    store = ChainStore(names=names, **arrays)
    if store.content_hash() != recorded:
        msg = f"{path}: content does not match its recorded hash; make the store again"
        raise StructureError(msg)
    return store


def _check_header(path: Path, attributes: Any) -> None:  # noqa: ANN401  (h5py has no types)
    if attributes.get("format") != FORMAT:
        msg = f"{path}: is an HDF5 file, but no chain store; make one with: provq-protein prepare"
        raise StructureError(msg)
    version = int(attributes.get("format_version", 0))
    if version != FORMAT_VERSION:
        msg = f"{path}: chain store version {version}; this release reads version {FORMAT_VERSION}"
        raise StructureError(msg)
