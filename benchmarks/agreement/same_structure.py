"""Do files of one structure, in different formats, give the same residues and ids?"""

import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agreement.referees import as_mmcif
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.reading import backbones_of_bytes
from provq_protein.structure.unpacking import expanded
from provq_protein.tokenizer import StructureTokenizer

SUFFIXES = {".cif": "mmCIF", ".bcif": "BinaryCIF", ".pdb": "PDB"}
TABLE_COLUMNS = (
    "residue_ids",
    "residue_names",
    "sequence",
    "resolved",
    "coords",
    "b_factors",
)
"""What every format has to give alike; label numbers and label chain ids are those of mmCIF."""


@dataclass(frozen=True)
class Content:
    """
    One structure file in memory.

    Parameters
    ----------
    name : str
        Of the file, without ``.gz``.
    format : str
        mmCIF, BinaryCIF or PDB.
    data : bytes
        Expanded.
    """

    name: str
    format: str
    data: bytes

    def chains(self) -> list[Backbone]:
        """
        Return the chains of the file.

        Returns
        -------
        list of Backbone
            Those of model 1.
        """
        return backbones_of_bytes(self.data, source=self.name)

    def packed(self) -> "Content":
        """
        Return the file as gzip.

        Returns
        -------
        Content
            With compressed data.
        """
        return Content(f"{self.name}.gz", self.format, gzip.compress(self.data, 6, mtime=0))

    def as_mmcif(self) -> "Content":
        """
        Return a PDB file as the mmCIF file that gemmi makes of it.

        Returns
        -------
        Content
            The same structure.
        """
        return Content(f"{self.name} by gemmi.cif", "mmCIF", as_mmcif(self.data))


@dataclass(frozen=True)
class Comparison:
    """
    How two files of one structure compare.

    Parameters
    ----------
    pair : str
        The two formats.
    name : str
        Of the structure.
    chains, residues : int
        Of the first file.
    different_tables : int
        Residues whose rows differ, or all of a chain that the other file lacks.
    different_ids : int
        Residues whose ids differ.
    """

    pair: str
    name: str
    chains: int
    residues: int
    different_tables: int
    different_ids: int


def contents_of(folder: Path) -> list[Content]:
    """
    Return the structure files of a folder.

    Parameters
    ----------
    folder : Path
        Where they are.

    Returns
    -------
    list of Content
        Sorted by name.
    """
    found = []
    for path in sorted(folder.iterdir()):
        name = path.name.removesuffix(".gz")
        file_format = SUFFIXES.get(Path(name).suffix)
        if file_format is not None:
            data = expanded(path.read_bytes(), source=str(path))
            found.append(Content(name, file_format, data))
    return found


def compare(
    first: Content, second: Content, tokenizer: StructureTokenizer | None, *, pair: str
) -> Comparison:
    """
    Compare the residues and ids of two files of one structure.

    Parameters
    ----------
    first, second : Content
        The files.
    tokenizer : StructureTokenizer or None
        Of the ids; None leaves them out.
    pair : str
        What the comparison is called.

    Returns
    -------
    Comparison
        Zeros if they agree.
    """
    left, right = first.chains(), second.chains()
    tables = _different(left, right, [_rows(chain) for chain in left], [_rows(c) for c in right])
    ids = 0
    if tokenizer is not None:
        ids = _different(left, right, _ids(tokenizer, left), _ids(tokenizer, right))
    name = Path(first.name).stem
    return Comparison(pair, name, len(left), sum(map(len, left)), tables, ids)


def _rows(chain: Backbone) -> list[tuple[object, ...]]:
    columns = [getattr(chain, name) for name in TABLE_COLUMNS]
    # The bytes of an array also tell absent numbers from others.
    parts = [
        [np.ascontiguousarray(row).tobytes() for row in one] if isinstance(one, np.ndarray) else one
        for one in columns
    ]
    return list(zip(*parts, strict=True))


def _ids(tokenizer: StructureTokenizer, chains: Sequence[Backbone]) -> list[list[int]]:
    usable = [chain for chain in chains if chain.resolved.any()]
    encoded = iter(tokenizer.encode(usable))
    return [next(encoded).ids.tolist() if chain.resolved.any() else [] for chain in chains]


def _different(
    left: Sequence[Backbone],
    right: Sequence[Backbone],
    mine: Sequence[Sequence[object]],
    theirs: Sequence[Sequence[object]],
) -> int:
    """Return how many residues differ between chains of the same names in the same order."""
    count = abs(sum(map(len, left)) - sum(map(len, right)))
    names = [chain.chain_id for chain in right]
    for chain, rows in zip(left, mine, strict=True):
        other = theirs[names.index(chain.chain_id)] if chain.chain_id in names else []
        if len(other) != len(rows):
            count += len(rows)
            continue
        count += sum(one != two for one, two in zip(rows, other, strict=True))
    return count + ([chain.chain_id for chain in left] != names)
