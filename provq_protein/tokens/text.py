"""How are ids written as, and read from, text in the manner of FASTA?"""

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.sequence import UNRESOLVED_ID, TokenSequence

Style = Literal["ints", "fixed"]

# Digits of the fixed-width style, in order of value: those of URL-safe base 64.
ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
# Fills the place of a residue without a token. No digit, and so part of no code.
UNRESOLVED_SYMBOL = "."

_BASE = len(ALPHABET)
_NO_DIGIT = 255
_LINE_RESIDUES = 60
_WORD = re.compile("[!-~]+")
_FIELD = re.compile(r"([a-z0-9]+)=(\S+)")
_VALUES = np.full(256, _NO_DIGIT, dtype=np.uint8)
_VALUES[np.frombuffer(ALPHABET.encode("ascii"), dtype=np.uint8)] = np.arange(_BASE)


@dataclass(frozen=True, eq=False, kw_only=True)
class TextRecord:
    """
    The ids of one chain as text holds them: neither numbering nor sequence.

    Parameters
    ----------
    name : str
        What the chain is called.
    ids : ndarray, shape=(residue,), dtype=int32
        Code of each residue; -1 where `resolved` is False.
    resolved : ndarray, shape=(residue,), dtype=bool
        True where there is a token.
    fingerprint : str
        Identity of the tokenizer.
    codebook_size : int
        Number of codes of that tokenizer.
    """

    name: str
    ids: NDArray[np.int32]
    resolved: NDArray[np.bool_]
    fingerprint: str
    codebook_size: int


def characters_per_token(codebook_size: int) -> int:
    """
    Return how many characters a token of the fixed-width style has.

    Parameters
    ----------
    codebook_size : int
        Number of codes.

    Returns
    -------
    int
        The least number of digits that tell all codes apart.

    Examples
    --------
    >>> [characters_per_token(size) for size in (1, 64, 65, 4096, 4097)]
    [1, 1, 2, 2, 3]
    """
    width = 1
    while _BASE**width < codebook_size:
        width += 1
    return width


def to_fixed_width(ids: NDArray[np.int32], codebook_size: int) -> str:
    """
    Write ids with the same number of characters each.

    Parameters
    ----------
    ids : ndarray, shape=(residue,), dtype=int32
        Codes, or -1 where there is none.
    codebook_size : int
        Number of codes.

    Returns
    -------
    str
        Digits of `ALPHABET`, the most significant first; `UNRESOLVED_SYMBOL` throughout where
        there is no code.

    Examples
    --------
    >>> to_fixed_width(np.array([0, 1, 64, -1, 4095], dtype=np.int32), 4096)
    'AAABBA..__'
    """
    width = characters_per_token(codebook_size)
    # One more than the digits: where there is no code, every place holds it.
    symbols = np.frombuffer((ALPHABET + UNRESOLVED_SYMBOL).encode("ascii"), dtype=np.uint8)
    places = _BASE ** np.arange(width - 1, -1, -1, dtype=np.int64)
    digits = ids.astype(np.int64)[:, None] // places % _BASE
    digits[ids == UNRESOLVED_ID] = _BASE
    return symbols[digits].tobytes().decode("ascii")


def from_fixed_width(text: str, codebook_size: int) -> NDArray[np.int32]:
    """
    Read ids of the same number of characters each: the inverse of `to_fixed_width`.

    Parameters
    ----------
    text : str
        Without white space.
    codebook_size : int
        Number of codes.

    Returns
    -------
    ndarray, shape=(residue,), dtype=int32
        Codes, -1 where there is none.

    Raises
    ------
    TokenFormatError
        If there is another character, or one missing, or no such code.

    Examples
    --------
    >>> from_fixed_width("AAABBA..__", 4096).tolist()
    [0, 1, 64, -1, 4095]
    """
    width = characters_per_token(codebook_size)
    raw = np.frombuffer(text.encode("ascii", "replace"), dtype=np.uint8)
    if raw.size % width:
        msg = f"expected {width} characters per token, got {raw.size} in all"
        raise TokenFormatError(msg)
    rows = raw.reshape(-1, width)
    absent = (rows == ord(UNRESOLVED_SYMBOL)).all(axis=1)
    digits = _VALUES[rows].astype(np.int64)
    if (digits[~absent] == _NO_DIGIT).any():
        first = int(np.flatnonzero((digits == _NO_DIGIT).any(axis=1) & ~absent)[0])
        msg = f"token {first + 1} is {text[first * width : (first + 1) * width]!r}, no code"
        raise TokenFormatError(msg)
    places = _BASE ** np.arange(width - 1, -1, -1, dtype=np.int64)
    values = np.where(absent, UNRESOLVED_ID, (digits * places).sum(axis=1))
    return _checked(values, codebook_size)


def to_record(name: str, tokens: TokenSequence, *, style: Style = "ints") -> str:
    """
    Return one chain as a header line and its ids.

    Parameters
    ----------
    name : str
        What to call the chain; without white space.
    tokens : TokenSequence
        One chain.
    style : {"ints", "fixed"}, optional
        Numbers separated by spaces, or a fixed number of characters per token.

    Returns
    -------
    str
        Lines with their ends. The header says what is needed to read the ids, so that files
        may be concatenated or split at ``>``.

    Raises
    ------
    TokenFormatError
        If the fingerprint is not one word of ASCII, so that the header could not hold it.
    """
    ids = tokens.ids
    if not _WORD.fullmatch(tokens.fingerprint):
        msg = f"{name}: a header cannot hold the fingerprint {tokens.fingerprint!r}"
        raise TokenFormatError(msg)
    if style == "fixed":
        body = to_fixed_width(ids, tokens.codebook_size)
        line = _LINE_RESIDUES * characters_per_token(tokens.codebook_size)
        lines = [body[start : start + line] for start in range(0, len(body), line)]
    else:
        words = [str(value) for value in ids.tolist()]
        starts = range(0, len(words), _LINE_RESIDUES)
        lines = [" ".join(words[start : start + _LINE_RESIDUES]) for start in starts]
    header = (
        f">{name} provq={style} residues={len(tokens)} codes={tokens.codebook_size} "
        f"crc32={_checksum(ids)} fingerprint={tokens.fingerprint}"
    )
    return "\n".join([header, *lines]) + "\n"


def write_fasta(
    path: Path, tokens: Iterable[tuple[str, TokenSequence]], *, style: Style = "ints"
) -> int:
    """
    Write the ids of chains as text.

    Parameters
    ----------
    path : Path
        File to create.
    tokens : iterable of (str, TokenSequence)
        Names and chains, in order.
    style : {"ints", "fixed"}, optional
        As of `to_record`.

    Returns
    -------
    int
        Number of chains.

    Notes
    -----
    Ids and which residues have one survive; numbering, sequence and source do not.
    """
    number = 0
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for name, chain in tokens:
            file.write(to_record(name, chain, style=style))
            number += 1
    return number


def read_fasta(path: str | Path) -> list[TextRecord]:
    """
    Read what `write_fasta` wrote.

    Parameters
    ----------
    path : str or Path
        A text file; blank lines are skipped, lines may be wrapped anywhere between tokens.

    Returns
    -------
    list of TextRecord
        In stored order.

    Raises
    ------
    TokenFormatError
        If the file is absent, truncated or damaged, or has records of another kind.
    """
    records: list[TextRecord] = []
    header, where, body = "", "", []
    try:
        with Path(path).open(encoding="utf-8") as file:
            for number, line in enumerate(file, start=1):
                text = line.strip()
                if text.startswith(">"):
                    records += _records(header, body, where)
                    header, where, body = text, f"{path}: line {number}", []
                elif text and not header:
                    msg = f"{path}: line {number}: expected '>' and a name, got {text[:20]!r}"
                    raise TokenFormatError(msg)
                elif text:
                    body.append(text)
    except UnicodeDecodeError as error:
        msg = f"{path}: damaged file, not UTF-8 text ({error})"
        raise TokenFormatError(msg) from error
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise TokenFormatError(msg) from error
    return records + _records(header, body, where)


def _records(header: str, body: list[str], where: str) -> list[TextRecord]:
    """The record of a header and its lines; none if there is no header."""
    if not header:
        return []
    name, _, rest = header[1:].partition(" ")
    fields = dict(_FIELD.findall(rest))
    absent = [key for key in ("provq", "residues", "codes", "crc32", "fingerprint")
              if key not in fields]  # fmt: skip
    try:
        if not name or absent:
            msg = f"no record of tokens: its header lacks {', '.join(absent) or 'a name'}"
            raise TokenFormatError(msg)
        codes, residues = (_number(fields[key], key) for key in ("codes", "residues"))
        ids = _ids(body, fields["provq"], codes)
        if len(ids) != residues or _checksum(ids) != fields["crc32"]:
            msg = (
                f"truncated or damaged: the header promises {residues} residues with checksum "
                f"{fields['crc32']}, got {len(ids)} with {_checksum(ids)}"
            )
            raise TokenFormatError(msg)
    except TokenFormatError as error:
        msg = f"{where}: {name or 'record'}: {error}"
        raise TokenFormatError(msg) from error
    return [
        TextRecord(
            name=name,
            ids=ids,
            resolved=ids != UNRESOLVED_ID,
            fingerprint=fields["fingerprint"],
            codebook_size=codes,
        )
    ]


def _ids(body: list[str], style: str, codes: int) -> NDArray[np.int32]:
    if style == "fixed":
        return from_fixed_width("".join(body), codes)
    if style != "ints":
        msg = f"provq={style} is unknown to this release, which reads 'ints' and 'fixed'"
        raise TokenFormatError(msg)
    words = " ".join(body).split()
    try:
        values = np.array([int(word) for word in words], dtype=np.int64)
    except (ValueError, OverflowError) as error:
        msg = f"expected integers, {error}"
        raise TokenFormatError(msg) from error
    return _checked(values, codes)


def _checked(values: NDArray[np.int64], codes: int) -> NDArray[np.int32]:
    wrong = np.flatnonzero((values < UNRESOLVED_ID) | (values >= codes))
    if wrong.size:
        first = int(wrong[0])
        msg = f"token {first + 1} must be in [0, {codes}) or {UNRESOLVED_ID}, got {values[first]}"
        raise TokenFormatError(msg)
    ids = values.astype(np.int32)
    ids.setflags(write=False)
    return ids


def _number(text: str, key: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text, re.ASCII):
        msg = f"{key} must be an integer, got {text!r}"
        raise TokenFormatError(msg)
    return int(text)


def _checksum(ids: NDArray[np.int32]) -> str:
    return f"{zlib.crc32(ids.astype('<i4').tobytes()):08x}"
