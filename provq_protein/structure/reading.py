"""How does a structure file of any supported format become backbones."""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from provq_protein.errors import StructureError
from provq_protein.structure.backbone import Backbone
from provq_protein.structure.contents import Contents, Format, contents_of
from provq_protein.structure.policies import CONTRACT, ResiduePolicy
from provq_protein.structure.residues import describe
from provq_protein.structure.taking import TakenChain, take
from provq_protein.structure.unpacking import MAX_BYTES, expanded, too_large

SUPPORTED = "mmCIF, BinaryCIF or PDB, optionally compressed with gzip or zstandard"

_CIF_START = re.compile(rb"(?:\s|#[^\n]*\n)*data_", re.IGNORECASE)
_PDB_RECORD = re.compile(
    rb"^(?:ATOM  |HETATM|HEADER|TITLE |COMPND|REMARK|SEQRES|CRYST1|MODEL |EXPDTA)", re.MULTILINE
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
    path: str | Path,
    *,
    model: int = 1,
    chains: Sequence[str] | None = None,
    policy: ResiduePolicy = CONTRACT,
) -> list[Backbone]:
    """
    Return the polypeptide chains of a structure file.

    Parameters
    ----------
    path : str or Path
        An mmCIF, BinaryCIF or PDB file, each optionally compressed with gzip or, with the extra
        ``archives``, zstandard. The content decides which; the suffix is looked at only if the
        content leaves it open. It may expand to at most 2 GiB.
    model : int
        1-based model, counted in file order. In a PDB entry that is the model number.
    chains : sequence of str, optional
        Chain ids to return, in any order. By default all.
    policy : ResiduePolicy
        What to take of the file; `model` and `chains` may be given there as well.

    Returns
    -------
    list of Backbone
        One per author chain id, in file order; see `ResiduePolicy` for other ways. A chain of
        CA atoms only, or without any complete residue, is returned with `resolved` False
        throughout.

    Raises
    ------
    StructureError
        If the file is missing, empty, damaged, not a structure or without a polypeptide, or
        if it lacks the model, one of the chains or anything else that the policy asks for.
    ConfigError
        If `model` or `chains` contradict the policy.

    Notes
    -----
    What counts as a residue and which conformer is taken is said at
    :func:`provq_protein.structure.residues.backbones_of`. The coordinates are those of the
    file, unless the policy names an assembly.
    """
    source = os.fspath(path)
    content = read_content(path)
    return backbones_of_bytes(content, source=source, model=model, chains=chains, policy=policy)


def backbones_of_bytes(
    content: bytes,
    *,
    source: str,
    model: int = 1,
    chains: Sequence[str] | None = None,
    max_bytes: int | None = None,
    policy: ResiduePolicy = CONTRACT,
) -> list[Backbone]:
    """
    Return the polypeptide chains of a structure file that is in memory.

    Parameters
    ----------
    content : bytes
        The whole file, as for `read_backbones`.
    source : str
        Name that chains and messages carry; its suffix stands for that of a file.
    model : int
        1-based model, counted in file order.
    chains : sequence of str, optional
        Chain ids to return, in any order. By default all.
    max_bytes : int, optional
        Largest size that the content may have or expand to. By default 2 GiB.
    policy : ResiduePolicy
        As for `read_backbones`.

    Returns
    -------
    list of Backbone
        As from `read_backbones`.

    Raises
    ------
    StructureError
        As from `read_backbones`, or if the content is larger than the limit.
    ConfigError
        If `model` or `chains` contradict the policy.

    Notes
    -----
    An mmCIF or BinaryCIF file of an ordinary layout is read by the quick readers
    (:func:`provq_protein.structure.mmcif_text.read_mmcif_text`,
    :func:`provq_protein.structure.bcif_columns.read_binary_cif`), any other by biotite, as is
    every file of which more than one model's atoms is asked for. The chains are the same.
    """
    if model < 1:
        contents = read_contents(content, source=source, policy=CONTRACT, max_bytes=max_bytes)[1]
        count = contents.tables[0][1].num_models
        msg = f"{source}: model {model} is not in the file; it has {count}, numbered from 1"
        raise StructureError(msg)
    policy = policy.limited_to(chains, model=model)
    found = taken_chains(content, source=source, policy=policy, max_bytes=max_bytes)[2]
    absent = policy.absent(taken.chain.chain_id for taken in found)
    if absent:
        present = dict.fromkeys(taken.chain.chain_id for taken in found)
        msg = (
            f"{source}: chain {', '.join(absent)} is not a polypeptide chain of the file; "
            f"it has {', '.join(present)}"
        )
        raise StructureError(msg)
    return [taken.chain for taken in found if policy.selects(taken.chain.chain_id)]


def every_backbone(
    content: bytes, *, source: str, policy: ResiduePolicy, max_bytes: int | None = None
) -> list[Backbone]:
    """
    Return all polypeptide chains of a file, for a caller who tells those that are absent.

    Parameters
    ----------
    content : bytes
        The whole file, as for `read_backbones`.
    source : str
        Name that chains and messages carry.
    policy : ResiduePolicy
        What to take of each chain. Those that it does not name are returned as they are.
    max_bytes : int, optional
        Largest size that the content may have or expand to. By default 2 GiB.

    Returns
    -------
    list of Backbone
        At least one.

    Raises
    ------
    StructureError
        As from `backbones_of_bytes`, except for chains that are not there.
    """
    found = taken_chains(content, source=source, policy=policy, max_bytes=max_bytes)[2]
    return [taken.chain for taken in found]


def taken_chains(
    content: bytes,
    *,
    source: str,
    policy: ResiduePolicy = CONTRACT,
    max_bytes: int | None = None,
) -> tuple[Format, Contents, list[TakenChain]]:
    """
    Return all polypeptide chains of a structure file, and what became of their residues.

    Parameters
    ----------
    content : bytes
        The whole file, as for `read_backbones`.
    source : str
        Name that chains and messages carry.
    policy : ResiduePolicy
        What to take of each chain. Those that it does not name are returned as they are.
    max_bytes : int, optional
        Largest size that the content may have or expand to. By default 2 GiB.

    Returns
    -------
    kind : {"mmCIF", "BinaryCIF", "PDB"}
        Format of the file.
    contents : Contents
        What was read of it.
    chains : list of TakenChain
        At least one.

    Raises
    ------
    StructureError
        As from `backbones_of_bytes`, except for chains that are not there.
    """
    kind, contents = read_contents(content, source=source, policy=policy, max_bytes=max_bytes)
    with _named_errors(kind, source):
        found = list(take(contents, policy, source=source))
    if not found:
        raise no_polypeptide(contents, policy, source)
    return kind, contents, found


def read_contents(
    content: bytes, *, source: str, policy: ResiduePolicy, max_bytes: int | None = None
) -> tuple[Format, Contents]:
    """
    Return what a policy needs of a structure file, and its format.

    Parameters
    ----------
    content : bytes
        The whole file, as for `read_backbones`.
    source : str
        Name for messages.
    policy : ResiduePolicy
        What to look for.
    max_bytes : int, optional
        Largest size that the content may have or expand to. By default 2 GiB.

    Returns
    -------
    kind : {"mmCIF", "BinaryCIF", "PDB"}
        Format of the file.
    contents : Contents
        What was read of it.

    Raises
    ------
    StructureError
        If the content cannot be read, or lacks the model or the assembly.
    """
    if _is_empty(content):
        msg = f"{source}: the file is empty; expected {SUPPORTED}"
        raise StructureError(msg)
    unpacked = expanded(content, source=source, max_bytes=max_bytes)
    if _is_empty(unpacked):
        msg = f"{source}: the compressed data holds an empty file; expected {SUPPORTED}"
        raise StructureError(msg)
    kind = _sniff(unpacked, source)
    with _named_errors(kind, source):
        return kind, contents_of(unpacked, kind, policy, where=source)


def no_polypeptide(contents: Contents, policy: ResiduePolicy, source: str) -> StructureError:
    """
    Return the error that a file has no polypeptide chain.

    Parameters
    ----------
    contents : Contents
        What was read of the file.
    policy : ResiduePolicy
        What was looked for.
    source : str
        Name for the message.

    Returns
    -------
    StructureError
        To be raised; it says what the first model holds instead.
    """
    model, table = contents.tables[0]
    among = "" if policy.assembly is None else f" in assembly {policy.assembly}"
    msg = f"{source}: no polypeptide chain{among}; model {model} holds {describe(table)}"
    return StructureError(msg)


@contextmanager
def _named_errors(kind: Format, source: str) -> Iterator[None]:
    try:
        yield
    except StructureError:
        raise
    except Exception as error:
        msg = (
            f"{source}: cannot be read as {kind}, which its content looks like: "
            f"{_one_line(error)}; is the file complete?"
        )
        raise StructureError(msg) from error


def read_content(path: str | Path) -> bytes:
    """
    Return the bytes of a structure file.

    Parameters
    ----------
    path : str or Path
        The file.

    Returns
    -------
    bytes
        As they are on disk.

    Raises
    ------
    StructureError
        If it is missing, a folder, too large or cannot be opened.
    """
    source = os.fspath(path)
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


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
