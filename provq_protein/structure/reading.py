"""How does a structure file of any supported format become backbones."""

import io
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from provq_protein.errors import StructureError
from provq_protein.structure.atom_table import AtomTable
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.cif_columns import UnusualLayoutError
from provq_protein.structure.pdb_atoms import read_pdb
from provq_protein.structure.residues import backbones_of, describe
from provq_protein.structure.unpacking import MAX_BYTES, expanded, too_large

Format = Literal["mmCIF", "BinaryCIF", "PDB"]

SUPPORTED = "mmCIF, BinaryCIF or PDB, optionally compressed with gzip or zstandard"

_CIF_START = re.compile(rb"(?:\s|#[^\n]*\n)*data_", re.IGNORECASE)
_PDB_RECORD = re.compile(
    rb"^(?:ATOM  |HETATM|HEADER|TITLE |COMPND|REMARK|SEQRES|CRYST1|MODEL |EXPDTA)", re.MULTILINE
)
# What a quick reader may raise on a file of another layout, or a damaged one.
_NOT_ORDINARY = (
    UnusualLayoutError,
    ValueError,
    LookupError,
    TypeError,
    AttributeError,
    ArithmeticError,
)
_SNIFFED_BYTES = 1 << 20
_COMPRESSED_SUFFIXES = (".gz", ".zst")
_SUFFIXES: dict[str, Format] = {
    ".cif": "mmCIF",
    ".mmcif": "mmCIF",
    ".bcif": "BinaryCIF",
    ".pdb": "PDB",
    ".ent": "PDB",
}


def read_backbones(
    path: str | Path, *, model: int = 1, chains: Sequence[str] | None = None
) -> list[Backbone]:
    """
    Return every polypeptide chain of a structure file.

    Parameters
    ----------
    path : str or Path
        An mmCIF, BinaryCIF or PDB file, each optionally compressed with gzip or, with the extra
        ``archives``, zstandard. The content decides which; the suffix is looked at only if the
        content leaves it open. It may expand to at most 2 GiB.
    model : int
        1-based model, counted in file order. In a PDB entry that is the model number.
    chains : sequence of str, optional
        Author chain ids to return, in any order. By default all.

    Returns
    -------
    list of Backbone
        One per author chain id, in file order. A chain of CA atoms only, or without any
        complete residue, is returned with `resolved` False throughout.

    Raises
    ------
    StructureError
        If the file is missing, empty, damaged, not a structure or without a polypeptide, or
        if it lacks the model or one of the chains.

    Notes
    -----
    What counts as a residue and which conformer is taken is said at
    :func:`provq_protein.structure.residues.backbones_of`. The coordinates are those of the
    file: no symmetry or biological assembly is applied.
    """
    source = os.fspath(path)
    content = _read_bytes(path, source)
    return backbones_of_bytes(content, source=source, model=model, chains=chains)


def backbones_of_bytes(
    content: bytes,
    *,
    source: str,
    model: int = 1,
    chains: Sequence[str] | None = None,
    max_bytes: int | None = None,
) -> list[Backbone]:
    """
    Return every polypeptide chain of a structure file that is in memory.

    Parameters
    ----------
    content : bytes
        The whole file, as for `read_backbones`.
    source : str
        Name that chains and messages carry; its suffix stands for that of a file.
    model : int
        1-based model, counted in file order.
    chains : sequence of str, optional
        Author chain ids to return, in any order. By default all.
    max_bytes : int, optional
        Largest size that the content may have or expand to. By default 2 GiB.

    Returns
    -------
    list of Backbone
        As from `read_backbones`.

    Raises
    ------
    StructureError
        As from `read_backbones`, or if the content is larger than the limit.

    Notes
    -----
    An mmCIF or BinaryCIF file of an ordinary layout is read by the quick readers
    (:func:`provq_protein.structure.mmcif_text.read_mmcif_text`,
    :func:`provq_protein.structure.bcif_columns.read_binary_cif`), any other by biotite. The
    chains are the same.
    """
    if _is_empty(content):
        msg = f"{source}: the file is empty; expected {SUPPORTED}"
        raise StructureError(msg)
    unpacked = expanded(content, source=source, max_bytes=max_bytes)
    if _is_empty(unpacked):
        msg = f"{source}: the compressed data holds an empty file; expected {SUPPORTED}"
        raise StructureError(msg)
    kind = _sniff(unpacked, source)
    try:
        table = _atom_table(unpacked, kind, model, source)
        found = backbones_of(table, source=source, model=model)
    except StructureError:
        raise
    except Exception as error:
        msg = (
            f"{source}: cannot be read as {kind}, which its content looks like: "
            f"{_one_line(error)}; is the file complete?"
        )
        raise StructureError(msg) from error
    if not found:
        msg = f"{source}: no polypeptide chain; model {model} holds {describe(table)}"
        raise StructureError(msg)
    return found if chains is None else _requested(found, chains, source)


def _read_bytes(path: str | Path, source: str) -> bytes:
    try:
        with Path(path).open("rb") as stream:
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        msg = f"{source}: no such file; check the path"
        raise StructureError(msg) from None
    except IsADirectoryError:
        msg = f"{source}: is a folder; give the structure files in it"
        raise StructureError(msg) from None
    except (OSError, ValueError) as error:
        msg = f"{source}: cannot be opened: {_one_line(error)}"
        raise StructureError(msg) from error
    if len(content) > MAX_BYTES:
        raise too_large(source, MAX_BYTES)
    return content


def _is_empty(content: bytes) -> bool:
    return not content or content.isspace()


def _sniff(content: bytes, source: str) -> Format:
    is_map = 0x80 <= content[0] <= 0x8F or content[0] in (0xDE, 0xDF)
    if is_map and b"dataBlocks" in content:
        return "BinaryCIF"
    text = content.removeprefix(b"\xef\xbb\xbf")
    claimed = _suffix_format(source)
    is_cif = _CIF_START.match(text) is not None
    if is_cif and (claimed != "PDB" or b"_atom_site." in text):
        return "mmCIF"
    if _PDB_RECORD.search(text[:_SNIFFED_BYTES]) is not None:
        return "PDB"
    if is_cif:
        return "mmCIF"
    looks = f", although its name says {claimed}" if claimed else ""
    msg = f"{source}: the content is no structure file{looks}; expected {SUPPORTED}"
    raise StructureError(msg)


def _suffix_format(source: str) -> Format | None:
    suffixes = [suffix.lower() for suffix in Path(source).suffixes]
    kept = [suffix for suffix in suffixes if suffix not in _COMPRESSED_SUFFIXES]
    return _SUFFIXES.get(kept[-1]) if kept else None


def _atom_table(content: bytes, kind: Format, model: int, source: str) -> AtomTable:
    if kind == "PDB":
        return read_pdb(content, model=model, where=source)
    try:
        return _quick_table(content, kind, model, source)
    except _NOT_ORDINARY:
        # It may be an error or not: the general reader decides, and has the words for it.
        return _general_table(content, kind, model, source)


def _quick_table(content: bytes, kind: Format, model: int, source: str) -> AtomTable:
    # Imported late: a PDB file can be read without the machinery for the other formats.
    if kind == "BinaryCIF":
        from provq_protein.structure.bcif_columns import read_binary_cif

        return read_binary_cif(content, model=model, where=source)
    from provq_protein.structure.mmcif_text import read_mmcif_text

    return read_mmcif_text(content, model=model, where=source)


def _general_table(content: bytes, kind: Format, model: int, source: str) -> AtomTable:
    from biotite.structure.io.pdbx import BinaryCIFFile, CIFFile

    from provq_protein.structure.mmcif_atoms import read_mmcif

    if kind == "BinaryCIF":
        return read_mmcif(BinaryCIFFile.read(io.BytesIO(content)), model=model, where=source)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return read_mmcif(CIFFile.read(io.StringIO(text)), model=model, where=source)


def _requested(found: list[Backbone], chains: Sequence[str], source: str) -> list[Backbone]:
    wanted = [chains] if isinstance(chains, str) else list(chains)
    present = [chain.chain_id for chain in found]
    absent = [chain for chain in wanted if chain not in present]
    if absent:
        msg = (
            f"{source}: chain {', '.join(absent)} is not a polypeptide chain of the file; "
            f"it has {', '.join(present)}"
        )
        raise StructureError(msg)
    return [chain for chain in found if chain.chain_id in wanted]


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
