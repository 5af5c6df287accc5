"""Which UniProt position is a residue of a PDB chain?"""

import csv
import gzip
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from provq_protein.structure.backbone import Backbone
from structtokenbench.errors import JoinError, SourceError

_COLUMNS = (
    "PDB", "CHAIN", "SP_PRIMARY", "RES_BEG", "RES_END", "PDB_BEG", "PDB_END", "SP_BEG", "SP_END",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """
    A stretch of a chain that is a stretch of a UniProt sequence.

    Parameters
    ----------
    entry : str
        PDB id, in lower case.
    chain : str
        Author chain id.
    accession : str
        UniProt accession.
    sequence : tuple of int
        First and last position in the full sequence of the entity (``label_seq_id``).
    author : tuple of int, or None
        First and last author number; None where one is not known or has an insertion code.
    uniprot : tuple of int
        First and last UniProt position.
    """

    entry: str
    chain: str
    accession: str
    sequence: tuple[int, int]
    author: tuple[int, int] | None
    uniprot: tuple[int, int]


def read_segments(path: Path) -> list[Segment]:
    """
    Return the segments of SIFTS's ``pdb_chain_uniprot`` table.

    Parameters
    ----------
    path : Path
        The table as ``.csv`` or ``.tsv``, gzipped or not, with its comment line or without.

    Returns
    -------
    list of Segment
        In the order of the file.

    Raises
    ------
    SourceError
        If the file cannot be read or a row is not as expected.
    """
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8") as handle:
                lines = handle.read().splitlines()
        else:
            lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, EOFError, UnicodeDecodeError) as error:
        msg = f"{path}: cannot be read: {error}"
        raise SourceError(msg) from error
    table = [line for line in lines if line and not line.startswith("#")]
    delimiter = "\t" if table and "\t" in table[0] else ","
    rows = csv.DictReader(table, delimiter=delimiter)
    missing = sorted(set(_COLUMNS) - set(rows.fieldnames or ()))
    if missing:
        msg = f"{path}: no column {', '.join(missing)}; it has {rows.fieldnames}"
        raise SourceError(msg)
    return [_segment(row, f"{path.name}: row {at}") for at, row in enumerate(rows, 1)]


def _segment(row: dict[str, str], where: str) -> Segment:
    try:
        return Segment(
            entry=row["PDB"].lower(),
            chain=row["CHAIN"],
            accession=row["SP_PRIMARY"],
            sequence=(int(row["RES_BEG"]), int(row["RES_END"])),
            author=_author(row["PDB_BEG"], row["PDB_END"]),
            uniprot=(int(row["SP_BEG"]), int(row["SP_END"])),
        )
    except (TypeError, ValueError) as error:
        msg = f"{where}: not a row of pdb_chain_uniprot: {error}"
        raise SourceError(msg) from error


def _author(first: str, last: str) -> tuple[int, int] | None:
    try:
        return int(first), int(last)
    except ValueError:
        return None


def uniprot_positions(
    chain: Backbone, segments: Sequence[Segment], *, name: str = ""
) -> npt.NDArray[np.int64]:
    """
    Return the UniProt position of each residue.

    Parameters
    ----------
    chain : Backbone
        The chain.
    segments : sequence of Segment
        The segments of the chain and one accession.
    name : str
        What to call the chain in a message.

    Returns
    -------
    ndarray, shape=(residue,), dtype=int64
        1-based; 0 where the residue is in no segment.

    Raises
    ------
    JoinError
        If neither numbering of a segment can be used, or no residue lies in any.

    Notes
    -----
    An mmCIF file says at which position of the full sequence a residue is, and SIFTS counts in
    the same way. Where the chain only counts its own residues (PDB files), author numbers are
    used, which is sound if they run through the segment without a jump.
    """
    label = name or chain.chain_id
    counted = np.array_equal(chain.label_numbers, np.arange(1, len(chain) + 1))
    positions = np.zeros(len(chain), dtype=np.int64)
    for segment in segments:
        numbers, span = _numbering(chain, segment, counted, label)
        inside = (numbers >= span[0]) & (numbers <= span[1])
        positions[inside] = numbers[inside] - span[0] + segment.uniprot[0]
    if not positions.any():
        msg = f"{label}: no residue lies in the {len(segments)} segments that SIFTS names"
        raise JoinError(msg)
    return positions


def _numbering(
    chain: Backbone, segment: Segment, counted: bool, name: str
) -> tuple[npt.NDArray[np.int32], tuple[int, int]]:
    length = segment.uniprot[1] - segment.uniprot[0]
    if not counted and segment.sequence[1] - segment.sequence[0] == length:
        return chain.label_numbers, segment.sequence
    author = segment.author
    plain = not any(chain.insertion_codes)
    if author is not None and author[1] - author[0] == length and plain:
        return chain.author_numbers, author
    if segment.sequence == (1, len(chain)) and length == len(chain) - 1:
        return chain.label_numbers, segment.sequence
    msg = (
        f"{name}: author numbers {author} of UniProt {segment.uniprot} jump or have insertion "
        "codes; an mmCIF file of the entry would do"
    )
    raise JoinError(msg)
