"""How does a structure file of any supported format become backbones."""

import gzip
import io
import os
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from provq_protein.errors import StructureError
from provq_protein.structure.atom_table import AtomTable
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.pdb_atoms import read_pdb
from provq_protein.structure.residues import backbones_of, describe

Format = Literal["mmCIF", "BinaryCIF", "PDB"]

SUPPORTED = "mmCIF, BinaryCIF or PDB, optionally gzipped"

_GZIP = b"\x1f\x8b"
_OTHER_COMPRESSIONS = {
    b"PK\x03\x04": "zip",
    b"\xfd7zXZ": "xz",
    b"BZh": "bzip2",
    b"\x28\xb5\x2f\xfd": "zstandard",
}
_CIF_START = re.compile(rb"(?:\s|#[^\n]*\n)*data_", re.IGNORECASE)
_PDB_RECORD = re.compile(
    rb"^(?:ATOM  |HETATM|HEADER|TITLE |COMPND|REMARK|SEQRES|CRYST1|MODEL |EXPDTA)", re.MULTILINE
)
_SNIFFED_BYTES = 1 << 20
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
        An mmCIF, BinaryCIF or PDB file, each optionally gzipped. The content decides which;
        the suffix is looked at only if the content leaves it open.
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
    content = _decompressed(_read_bytes(path, source), source)
    kind = _sniff(content, path, source)
    try:
        table = _atom_table(content, kind, model, source)
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
        content = Path(path).read_bytes()
    except FileNotFoundError:
        msg = f"{source}: no such file; check the path"
        raise StructureError(msg) from None
    except IsADirectoryError:
        msg = f"{source}: is a folder; give the structure files in it"
        raise StructureError(msg) from None
    except (OSError, ValueError) as error:
        msg = f"{source}: cannot be opened: {_one_line(error)}"
        raise StructureError(msg) from error
    if not content.strip():
        msg = f"{source}: the file is empty; expected {SUPPORTED}"
        raise StructureError(msg)
    return content


def _decompressed(content: bytes, source: str) -> bytes:
    for magic, name in _OTHER_COMPRESSIONS.items():
        if content.startswith(magic):
            msg = f"{source}: is compressed with {name}; unpack it, or compress it with gzip"
            raise StructureError(msg)
    if not content.startswith(_GZIP):
        return content
    try:
        unpacked = gzip.decompress(content)
    except EOFError as error:
        msg = f"{source}: the gzip data ends too early; download or copy the file again"
        raise StructureError(msg) from error
    except (OSError, zlib.error) as error:
        msg = f"{source}: the gzip data is damaged: {_one_line(error)}; get the file again"
        raise StructureError(msg) from error
    if not unpacked.strip():
        msg = f"{source}: the gzip data holds an empty file; expected {SUPPORTED}"
        raise StructureError(msg)
    return unpacked


def _sniff(content: bytes, path: str | Path, source: str) -> Format:
    is_map = 0x80 <= content[0] <= 0x8F or content[0] in (0xDE, 0xDF)
    if is_map and b"dataBlocks" in content:
        return "BinaryCIF"
    text = content.removeprefix(b"\xef\xbb\xbf")
    is_cif = _CIF_START.match(text) is not None
    is_pdb = _PDB_RECORD.search(text[:_SNIFFED_BYTES]) is not None
    if is_cif and not (is_pdb and _suffix_format(path) == "PDB" and b"_atom_site." not in text):
        return "mmCIF"
    if is_pdb:
        return "PDB"
    claimed = _suffix_format(path)
    looks = f", although its name says {claimed}" if claimed else ""
    msg = f"{source}: the content is no structure file{looks}; expected {SUPPORTED}"
    raise StructureError(msg)


def _suffix_format(path: str | Path) -> Format | None:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes if suffix.lower() != ".gz"]
    return _SUFFIXES.get(suffixes[-1]) if suffixes else None


def _atom_table(content: bytes, kind: Format, model: int, source: str) -> AtomTable:
    if kind == "PDB":
        return read_pdb(content, model=model, where=source)
    # Imported late: a PDB file can be read without biotite's CIF machinery.
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
