"""How do many token sequences become a few flat arrays, and how are they told apart again?"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.sequence import TokenSequence

FORMAT_NAME = "provq-tokens"
FORMAT_VERSION = 1
CONTEXT_VERSION = 2
"""Version of what holds a chain whose ids were computed in a complex (`TokenSequence.context`).

Older releases do not know that field. They would pass such ids off as those of the chain alone,
so they have to refuse them; all other chains are written as version 1, which they read.
"""
MAX_BYTES = 8 << 30
"""Size that the arrays of one file may have in memory, so that no small file can fill it."""

_NUMBERS_PER_RESIDUE = {
    "ids": np.int32,
    "resolved": np.bool_,
    "author_numbers": np.int32,
    "label_numbers": np.int32,
}
_TEXT_PER_RESIDUE = ("sequence", "residue_names", "insertion_codes")
_NUMBERS_PER_CHAIN = {"model": np.int32, "codebook_size": np.int32}
_TEXT_PER_CHAIN = ("chain_id", "label_chain_id", "source", "fingerprint")

# Every array of the layout; a file must hold all of them.
COLUMNS = (
    "offsets",
    *_NUMBERS_PER_RESIDUE,
    *_TEXT_PER_RESIDUE,
    *_NUMBERS_PER_CHAIN,
    *_TEXT_PER_CHAIN,
)
# What a file may hold besides. Releases that do not know an array ignore it; `mean_plddt` may be
# lost on them, and is NaN where a chain has no value. For `context` see `CONTEXT_VERSION`.
OPTIONAL_COLUMNS = ("mean_plddt", "context")


def version_of(tokens: Iterable[TokenSequence]) -> int:
    """
    Return the format version in which chains are written.

    Parameters
    ----------
    tokens : iterable of TokenSequence
        Any number of chains.

    Returns
    -------
    int
        `CONTEXT_VERSION` if one of them was encoded in a complex, else `FORMAT_VERSION`.
    """
    together = any(chain.context != "chain" for chain in tokens)
    return CONTEXT_VERSION if together else FORMAT_VERSION


def check_format(name: object, version: object, *, file: str) -> None:
    """
    Refuse a file of another kind, or of a version that this release cannot read.

    Parameters
    ----------
    name, version : object
        What the file says about itself.
    file : str
        Its name, for the error message.

    Raises
    ------
    TokenFormatError
        If they are not `FORMAT_NAME`, and `FORMAT_VERSION` or `CONTEXT_VERSION`.
    """
    if name != FORMAT_NAME:
        msg = f"{file}: not a token file: its format is {name!r}, expected {FORMAT_NAME!r}"
        raise TokenFormatError(msg)
    if isinstance(version, bool) or version not in (FORMAT_VERSION, CONTEXT_VERSION):
        msg = (
            f"{file}: token format version {version!r} is unknown to this release, which reads "
            f"versions {FORMAT_VERSION} and {CONTEXT_VERSION}; install a newer provq, or encode "
            "the structures again"
        )
        raise TokenFormatError(msg)


def check_size(size: int, *, file: str) -> None:
    """
    Refuse a file whose arrays would take more memory than `MAX_BYTES`.

    Parameters
    ----------
    size : int
        Bytes of the arrays, expanded, as the file declares them.
    file : str
        Its name, for the error message.

    Raises
    ------
    TokenFormatError
        If they are more.
    """
    if size > MAX_BYTES:
        msg = (
            f"{file}: its arrays expand to {size:,} bytes, more than the limit of {MAX_BYTES:,}; "
            "if it is no accident or attack, keep so many chains in Parquet, or in several files"
        )
        raise TokenFormatError(msg)


def pack(tokens: Sequence[TokenSequence]) -> dict[str, NDArray[np.generic]]:
    """
    Concatenate token sequences into flat arrays.

    Parameters
    ----------
    tokens : sequence of TokenSequence
        Any number of chains.

    Returns
    -------
    dict of str to ndarray
        The arrays named in `COLUMNS`, and those of `OPTIONAL_COLUMNS` that some chain has a
        value for. Chain ``i`` owns rows ``offsets[i]:offsets[i + 1]`` of the per-residue arrays
        and row ``i`` of the per-chain arrays.
    """
    lengths = [len(chain) for chain in tokens]
    table: dict[str, NDArray[np.generic]] = {
        "offsets": np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)
    }
    for name, dtype in _NUMBERS_PER_RESIDUE.items():
        parts = [getattr(chain, name) for chain in tokens]
        table[name] = np.concatenate([np.zeros(0, dtype), *parts]).astype(dtype)
    for name in _TEXT_PER_RESIDUE:
        flat = [value for chain in tokens for value in getattr(chain, name)]
        table[name] = np.array(flat, dtype=np.str_)
    for name, dtype in _NUMBERS_PER_CHAIN.items():
        table[name] = np.array([getattr(chain, name) for chain in tokens], dtype=dtype)
    for name in _TEXT_PER_CHAIN:
        table[name] = np.array([getattr(chain, name) for chain in tokens], dtype=np.str_)
    means = [chain.mean_plddt for chain in tokens]
    if any(value is not None for value in means):
        # As floats, None becomes NaN.
        table["mean_plddt"] = np.array(means, dtype=np.float64)
    if version_of(tokens) == CONTEXT_VERSION:
        table["context"] = np.array([chain.context for chain in tokens], dtype=np.str_)
    return table


def unpack(table: Mapping[str, NDArray[np.generic]], *, file: str) -> list[TokenSequence]:
    """
    Split flat arrays into token sequences: the inverse of `pack`.

    Parameters
    ----------
    table : mapping of str to ndarray
        The arrays named in `COLUMNS`, and any of `OPTIONAL_COLUMNS`.
    file : str
        Where they come from, for error messages.

    Returns
    -------
    list of TokenSequence
        One per chain, in stored order.

    Raises
    ------
    TokenFormatError
        If an array is absent, has the wrong type or length, or the tokens are invalid.
    """
    _check_columns(table, file)
    offsets = [int(value) for value in table["offsets"].tolist()]
    try:
        return [
            _chain(table, row, start, stop) for row, (start, stop) in enumerate(pairwise(offsets))
        ]
    except TokenFormatError as error:
        msg = f"{file}: {error}"
        raise TokenFormatError(msg) from error


def _chain(
    table: Mapping[str, NDArray[np.generic]], row: int, start: int, stop: int
) -> TokenSequence:
    text = {name: table[name][start:stop].tolist() for name in _TEXT_PER_RESIDUE}
    return TokenSequence(
        ids=np.asarray(table["ids"][start:stop], dtype=np.int32),
        resolved=np.asarray(table["resolved"][start:stop], dtype=np.bool_),
        author_numbers=np.asarray(table["author_numbers"][start:stop], dtype=np.int32),
        label_numbers=np.asarray(table["label_numbers"][start:stop], dtype=np.int32),
        sequence="".join(text["sequence"]),
        residue_names=tuple(text["residue_names"]),
        insertion_codes=tuple(text["insertion_codes"]),
        chain_id=str(table["chain_id"][row]),
        label_chain_id=str(table["label_chain_id"][row]),
        source=str(table["source"][row]),
        model=int(table["model"][row].item()),
        fingerprint=str(table["fingerprint"][row]),
        codebook_size=int(table["codebook_size"][row].item()),
        mean_plddt=_mean_plddt(table, row),
        context=str(table["context"][row]) if "context" in table else "chain",
    )


def _mean_plddt(table: Mapping[str, NDArray[np.generic]], row: int) -> float | None:
    if "mean_plddt" not in table:
        return None
    value = float(table["mean_plddt"][row].item())
    return None if np.isnan(value) else value


def _check_columns(table: Mapping[str, NDArray[np.generic]], file: str) -> None:
    absent = [name for name in COLUMNS if name not in table]
    if absent:
        msg = f"{file}: not a complete token file: it lacks {', '.join(absent)}"
        raise TokenFormatError(msg)
    present = (*COLUMNS, *(name for name in OPTIONAL_COLUMNS if name in table))
    for name in present:
        expected = _kind(name)
        values = table[name]
        if values.ndim != 1 or values.dtype.kind not in expected:
            msg = (
                f"{file}: {name} must be one-dimensional with a type of kind {expected!r}, "
                f"got shape {values.shape} and type {values.dtype}"
            )
            raise TokenFormatError(msg)
    offsets = table["offsets"].astype(np.int64)
    if not offsets.size or offsets[0] != 0 or (np.diff(offsets) < 0).any():
        msg = f"{file}: offsets must start at 0 and never decrease"
        raise TokenFormatError(msg)
    residues, chains = int(offsets[-1]), len(offsets) - 1
    for name in present[1:]:
        per_residue = name in _NUMBERS_PER_RESIDUE or name in _TEXT_PER_RESIDUE
        expected_length = residues if per_residue else chains
        if len(table[name]) != expected_length:
            msg = f"{file}: {name} must have length {expected_length}, got {len(table[name])}"
            raise TokenFormatError(msg)


def _kind(name: str) -> str:
    if name == "resolved":
        return "b"
    if name == "mean_plddt":
        return "f"
    return "U" if name in (*_TEXT_PER_RESIDUE, *_TEXT_PER_CHAIN, "context") else "iu"
