"""How much may an mmCIF or BinaryCIF file ask for, before memory is spent on it."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from provq_protein.errors import StructureError
from provq_protein.structure.bcif_decoding import decode_numbers
from provq_protein.structure.bcif_tree import (
    Column,
    StringArray,
    loose_columns,
    number_encodings,
)
from provq_protein.structure.cif_columns import UnusualLayoutError
from provq_protein.structure.mmcif_atoms import SITE_COLUMNS, SMALL_CATEGORIES

LONGEST_VALUE = 2048
"""Most characters of a line, or of a value, among atoms. Real ones have fewer than 300."""

_READ = {"atom_site": SITE_COLUMNS, **SMALL_CATEGORIES}
_SIZED = ("RunLength", "IntegerPacking")
_LAST_NAME = re.compile(rb"^[ \t]*_atom_site\.[^\n]*\n(?![ \t]*_atom_site\.)", re.MULTILINE | re.I)
_AFTER_ROWS = re.compile(rb"^[ \t]*(?:loop_|_|data_|#)", re.MULTILINE | re.I)


def check_text(content: bytes, *, where: str) -> None:
    """
    Refuse an mmCIF file with a value among its atoms that is far longer than any real one.

    Parameters
    ----------
    content : bytes
        The whole file, unpacked.
    where : str
        File name for messages.

    Raises
    ------
    StructureError
        If a line or text field is longer than `LONGEST_VALUE`.

    Notes
    -----
    The general reader gives each value of a column the room of the longest one: one long value
    among many rows would take memory as the square of the file's size.
    """
    text = content.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    for names in _LAST_NAME.finditer(text):
        after = _AFTER_ROWS.search(text, names.end())
        rows = text[names.end() : after.start() if after else len(text)]
        longest = max(map(len, rows.split(b"\n")))
        if b"\n;" in rows:
            # One mark opens a text field, the next one closes it.
            marks = [match.start() for match in re.finditer(rb"\n;", rows)]
            ends = [*marks[1::2], len(rows)]
            fields = zip(marks[::2], ends, strict=False)
            longest = max(longest, *(stop - start for start, stop in fields))
        if longest > LONGEST_VALUE:
            msg = (
                f"{where}: a line or text field of {longest:,} characters among the rows of "
                f"atom_site, more than the limit of {LONGEST_VALUE:,}; is the file damaged?"
            )
            raise StructureError(msg)


def check_binary(content: bytes, *, where: str) -> None:
    """
    Refuse a BinaryCIF file whose columns would expand to more than a file of its size holds.

    Parameters
    ----------
    content : bytes
        The whole file, unpacked.
    where : str
        File name for messages.

    Raises
    ------
    StructureError
        As from `check_columns`.
    ValueError
        If the file cannot be gone through, so that nobody knows what it declares.
    """
    check_columns(loose_columns(content, _READ), limit=len(content), where=where)


def check_columns(columns: Iterable[Mapping[str, Any]], *, limit: int, where: str) -> None:
    """
    Refuse columns that would expand to more than allowed.

    Parameters
    ----------
    columns : iterable of mapping
        ``name``, ``data`` and ``mask`` of each, as in the file.
    limit : int
        Most values of a column: the number of bytes of the file.
    where : str
        File name for messages.

    Raises
    ------
    StructureError
        If one declares more values, or not how many, or has a text longer than `LONGEST_VALUE`.

    Notes
    -----
    A run-length encoding of eight bytes can stand for any number of rows. The coordinates of a
    real structure cannot: they take more than a byte per atom.
    """
    for column in columns:
        name = f"{where}: column {column.get('name')!r:.40}"
        for encoding in _encodings(column):
            size = encoding.get("srcSize")
            declared = isinstance(size, int) and 0 <= size <= limit
            if encoding.get("kind") in _SIZED and not declared:
                msg = (
                    f"{name} declares {size!r:.40} values, more than the limit of one for each of "
                    f"the {limit:,} bytes of the file; get the file again"
                )
                raise StructureError(msg)
        for encoding in _encodings(column):
            longest = _longest_text(encoding)
            if longest > LONGEST_VALUE:
                msg = (
                    f"{name} has a text of {longest:,} characters, more than the limit of "
                    f"{LONGEST_VALUE:,}; is the file damaged?"
                )
                raise StructureError(msg)


def within_limits(columns: Iterable[Column], *, limit: int) -> bool:
    """
    Return whether `check_columns` has nothing against columns.

    Parameters
    ----------
    columns : iterable of Column
        Unpacked ones.
    limit : int
        Most values of a column.

    Returns
    -------
    bool
        False if one declares more values, or has too long a text.

    Raises
    ------
    UnusualLayoutError
        If a text has no places.
    """
    for column in columns:
        for part in (column.data, column.mask):
            for one in () if part is None else part.encoding:
                if isinstance(one, StringArray):
                    if not _is_text_within(one, limit):
                        return False
                elif not 0 <= getattr(one, "srcSize", 0) <= limit:
                    return False
    return True


def _is_text_within(encoding: StringArray, limit: int) -> bool:
    for numbers in (encoding.dataEncoding, encoding.offsetEncoding):
        for one in numbers:
            if not 0 <= getattr(one, "srcSize", 0) <= limit:
                return False
    if len(encoding.stringData) <= LONGEST_VALUE:
        return True
    offsets = decode_numbers(encoding.offsets, encoding.offsetEncoding)
    return int(np.diff(offsets.astype(np.float64)).max(initial=0)) <= LONGEST_VALUE


def _encodings(column: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    waiting = [column.get(part) for part in ("data", "mask")]
    while waiting:
        part = waiting.pop()
        if isinstance(part, list):
            waiting += part
        elif isinstance(part, dict):
            if "kind" in part:
                yield part
            waiting += [part.get(key) for key in ("encoding", "dataEncoding", "offsetEncoding")]


def _longest_text(encoding: Mapping[str, Any]) -> int:
    text = encoding.get("stringData")
    if not isinstance(text, str) or len(text) <= LONGEST_VALUE:
        return 0
    try:
        offsets = decode_numbers(encoding["offsets"], number_encodings(encoding["offsetEncoding"]))
        return int(np.diff(offsets.astype(np.float64)).max(initial=0))
    except (UnusualLayoutError, ValueError, LookupError, TypeError, AttributeError):
        # Nobody can say where they begin and end: then it is one.
        return len(text)
