"""How are tokens of a small codebook laid out as a Foldseek or MMseqs2 database?"""

import re
import struct
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from provq_protein.errors import TokenFormatError
from provq_protein.export.folders import write_header
from provq_protein.export.token_files import NamedChain
from provq_protein.tokens.sequence import TokenSequence

KIND = "foldseek"
DATABASE = "db"
# Letters of codes 0, 1, 2, ...: the order in which Foldseek numbers its own states.
LETTERS = "ACDEFGHIKLMNPQRSTVWY"
# Where there is no code, or no amino acid.
UNKNOWN = "X"

_AMINO_ACIDS, _GENERIC = 0, 12
# Data base suffix: type.
_DATABASES = {"": _AMINO_ACIDS, "_ss": _AMINO_ACIDS, "_h": _GENERIC}
_ENTRY_END = b"\n\0"
_NO_AMINO_ACID = re.compile("[^A-Z]")
_SEPARATOR = re.compile(r"[\t\r\n]")


def write_foldseek(folder: Path, chains: Iterable[NamedChain]) -> tuple[int, int]:
    """
    Write amino acids and codes as the databases ``db`` and ``db_ss``.

    Parameters
    ----------
    folder : Path
        An empty folder.
    chains : iterable of NamedChain
        One at least; of one model. They are streamed.

    Returns
    -------
    tuple of (int, int)
        Numbers of chains and residues.

    Raises
    ------
    TokenFormatError
        If the codebook has more codes than there are letters.

    Notes
    -----
    Key ``n``, from 0, has its entry in each of ``db`` (amino acids), ``db_ss`` (codes as
    letters) and ``db_h`` (name). An entry ends with a line end and a NUL byte, both counted in
    the length that ``.index`` gives after key and offset, as decimal numbers separated by tabs.
    ``.dbtype`` is a little-endian 32-bit number. ``db.lookup`` holds key, name and file number,
    ``db.source`` file number and file. There is no ``db_ca``, so that modules that superpose
    coordinates do not run.

    References
    ----------
    .. [1] M. Steinegger, J. Soeding, MMseqs2 user guide, "Internal format".
    """
    facts: dict[str, object] = {}
    files: dict[str, int] = {}
    number = residues = 0
    with ExitStack() as stack:
        databases = {
            suffix: stack.enter_context(_database(folder / f"{DATABASE}{suffix}", kind))
            for suffix, kind in _DATABASES.items()
        }
        lookup = stack.enter_context((folder / f"{DATABASE}.lookup").open("wb"))
        for chain in chains:
            tokens = chain.tokens
            if not facts:
                _check_size(tokens)
                facts = {"fingerprint": tokens.fingerprint, "codebook_size": tokens.codebook_size}
            file = files.setdefault(_line(tokens.source), len(files))
            for suffix, text in zip(_DATABASES, _entries(chain), strict=True):
                databases[suffix].append(number, text)
            lookup.write(_encoded(f"{number}\t{chain.name}\t{file}\n"))
            number += 1
            residues += len(tokens)
    sources = "".join(f"{file}\t{source}\n" for source, file in files.items())
    (folder / f"{DATABASE}.source").write_bytes(_encoded(sources))
    write_header(folder, KIND, {**facts, "chains": number, "residues": residues})
    return number, residues


def to_letters(tokens: TokenSequence) -> str:
    """
    Return the codes of a chain as letters.

    Parameters
    ----------
    tokens : TokenSequence
        One chain, of at most 20 codes.

    Returns
    -------
    str
        One of `LETTERS` per residue, `UNKNOWN` where there is no code.
    """
    # The last letter is that of id -1.
    letters = np.array([*LETTERS, UNKNOWN])
    return "".join(letters[tokens.ids])


class _Database:
    """One data file with its index."""

    def __init__(self, data: BinaryIO, index: BinaryIO) -> None:
        self._data, self._index = data, index
        self._offset = 0

    def append(self, key: int, text: str) -> None:
        content = _encoded(text) + _ENTRY_END
        self._data.write(content)
        self._index.write(f"{key}\t{self._offset}\t{len(content)}\n".encode("ascii"))
        self._offset += len(content)


@contextmanager
def _database(path: Path, kind: int) -> Iterator[_Database]:
    path.with_name(f"{path.name}.dbtype").write_bytes(struct.pack("<I", kind))
    with path.open("wb") as data, path.with_name(f"{path.name}.index").open("wb") as index:
        yield _Database(data, index)


def _entries(chain: NamedChain) -> tuple[str, str, str]:
    """Amino acids, codes and name, in the order of the databases."""
    # Lower case would mean masked.
    sequence = _NO_AMINO_ACID.sub(UNKNOWN, chain.tokens.sequence.upper())
    return sequence, to_letters(chain.tokens), chain.name


def _check_size(tokens: TokenSequence) -> None:
    if tokens.codebook_size > len(LETTERS):
        msg = (
            f"a Foldseek database has one letter per residue, so at most {len(LETTERS)} codes; "
            f"these tokens have {tokens.codebook_size}. Export to fasta (--to fasta --style fixed) "
            f"for text tools, or train a model with at most {len(LETTERS)} codes"
        )
        raise TokenFormatError(msg)


def _line(text: str) -> str:
    return _SEPARATOR.sub(" ", text)


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "replace")
