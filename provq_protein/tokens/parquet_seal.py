"""Is a Parquet file, footer included, byte for byte what was written?"""

import struct
import zlib
from pathlib import Path
from typing import BinaryIO

from provq_protein.errors import TokenFormatError

_MAGIC = b"PAR1"
_MARK = b"provq-seal\0\1"
# Mark, CRC-32 of all bytes before it, CRC-32 of the footer with its length and magic.
_SEAL = struct.Struct(f"<{len(_MARK)}sII")
# At the end of the file: length of the footer, magic.
_TAIL = struct.Struct("<I4s")
_BLOCK = 1 << 20


def seal(path: Path) -> None:
    """
    Insert checksums between the last page and the footer of a Parquet file.

    Parameters
    ----------
    path : Path
        A complete file without a seal.

    Raises
    ------
    TokenFormatError
        If it is no Parquet file.

    Notes
    -----
    Pages have checksums of their own in Parquet, but footer and page headers have none, and a
    damaged footer can be read as other data. Readers find the footer from the end of the file
    and pages by their position, so that nobody else notices the 20 bytes.
    """
    with path.open("rb+") as file:
        start = _footer_start(file, path)
        file.seek(start)
        footer = file.read()
        mark = _SEAL.pack(_MARK, _checksum(file, start), zlib.crc32(footer))
        file.seek(start)
        file.write(mark + footer)


def check_seal(path: Path, *, pages: bool = True) -> bool:
    """
    Refuse a Parquet file that is not as `seal` left it.

    Parameters
    ----------
    path : Path
        A Parquet file.
    pages : bool, optional
        Whether to read and check everything, or the footer only.

    Returns
    -------
    bool
        Whether there was a seal. Files that another program wrote have none.

    Raises
    ------
    TokenFormatError
        If the file is truncated or damaged.
    """
    with path.open("rb") as file:
        start = _footer_start(file, path)
        file.seek(max(start - _SEAL.size, 0))
        mark, body, footer = _SEAL.unpack(file.read(_SEAL.size).rjust(_SEAL.size, b"\0"))
        if mark != _MARK:
            return False
        intact = footer == zlib.crc32(file.read())
        if intact and pages:
            intact = body == _checksum(file, start - _SEAL.size)
    if not intact:
        msg = f"{path}: damaged Parquet file: its content does not fit its checksum"
        raise TokenFormatError(msg)
    return True


def _footer_start(file: BinaryIO, path: Path) -> int:
    size = file.seek(0, 2)
    if size >= _TAIL.size + len(_MAGIC):
        file.seek(size - _TAIL.size)
        length, magic = _TAIL.unpack(file.read(_TAIL.size))
        start = size - _TAIL.size - length
        if magic == _MAGIC and start >= len(_MAGIC):
            return start
    msg = f"{path}: truncated or damaged Parquet file: it does not end with a footer"
    raise TokenFormatError(msg)


def _checksum(file: BinaryIO, size: int) -> int:
    """CRC-32 of the first `size` bytes."""
    file.seek(0)
    value = 0
    while size:
        block = file.read(min(size, _BLOCK))
        if not block:
            break
        value = zlib.crc32(block, value)
        size -= len(block)
    return value
