"""How is a compressed structure file expanded without filling the memory."""

import gzip
import io
import sys
import zlib
from types import ModuleType
from typing import Any, BinaryIO, cast

from provq_protein.errors import MissingExtraError, StructureError
from provq_protein.extras import require_extra

try:
    # Faster than zlib; the same bytes come out.
    _inflater = require_extra("isal.isal_zlib", extra="fast", purpose="expanding gzip faster")
except MissingExtraError:
    _inflater = zlib

MAX_BYTES = 2 << 30
"""Size that a file may expand to, unless another limit is given."""

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_OTHER_COMPRESSIONS = {b"PK\x03\x04": "zip", b"\xfd7zXZ": "xz", b"BZh": "bzip2"}
_GZIP_HEADER = 31
_CHUNK = 1 << 20
# A kilobyte of Zstandard expands to at most 32 megabytes.
_ZSTD_CHUNK = 1 << 10


def expanded(content: bytes, *, source: str, max_bytes: int | None = None) -> bytes:
    """
    Return the content of a file that may be compressed with gzip or Zstandard.

    Parameters
    ----------
    content : bytes
        The file. What it begins with says whether it is compressed.
    source : str
        File name for messages.
    max_bytes : int, optional
        Largest size to expand to. By default `MAX_BYTES`.

    Returns
    -------
    bytes
        The content, which may be nothing.

    Raises
    ------
    StructureError
        If the compression is another one, the data are damaged, or the content is larger.

    Notes
    -----
    Expansion stops at the limit: a small file that expands to a huge one costs no more than that.

    Examples
    --------
    >>> expanded(gzip.compress(b"data_x"), source="x.cif.gz")
    b'data_x'
    """
    limit = MAX_BYTES if max_bytes is None else max_bytes
    for magic, name in _OTHER_COMPRESSIONS.items():
        if content.startswith(magic):
            msg = f"{source}: is compressed with {name}; unpack it, or compress it with gzip"
            raise StructureError(msg)
    if content.startswith(_GZIP):
        result = _gunzipped(content, source, limit)
    elif content.startswith(_ZSTD):
        result = _unzstandarded(content, source, limit)
    else:
        result = content
    if len(result) > limit:
        raise too_large(source, limit)
    return result


def too_large(source: str, limit: int) -> StructureError:
    """
    Return the error for a file beyond the limit.

    Parameters
    ----------
    source : str
        File name.
    limit : int
        Bytes.

    Returns
    -------
    StructureError
        To be raised.
    """
    return StructureError(
        f"{source}: holds more than {limit:,} bytes when expanded, which is the limit; "
        "if it is no accident or attack, unpack and split it"
    )


def zstandard_module(*, purpose: str) -> ModuleType:
    """
    Return the package that reads Zstandard: that of Python, or ``zstandard``.

    Parameters
    ----------
    purpose : str
        What it is needed for, for the message.

    Returns
    -------
    module
        ``compression.zstd`` from Python 3.14 on.

    Raises
    ------
    MissingExtraError
        If there is neither.
    """
    if sys.version_info >= (3, 14):
        return require_extra("compression.zstd", extra="archives", purpose=purpose)
    return require_extra("zstandard", extra="archives", purpose=purpose)


def _gunzipped(content: bytes, source: str, limit: int) -> bytes:
    try:
        inflater = _inflater.decompressobj(wbits=_GZIP_HEADER)
        result = inflater.decompress(content, limit + 1)
        if len(result) > limit or (inflater.eof and not inflater.unused_data):
            return result
    except (_inflater.error, OSError, EOFError):
        # The other way finds the same, and says it in the words of the standard library.
        pass
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(content)) as stream:
            return _read_to(cast("BinaryIO", stream), limit)
    except EOFError as error:
        msg = f"{source}: the gzip data ends too early; download or copy the file again"
        raise StructureError(msg) from error
    except (OSError, zlib.error) as error:
        msg = f"{source}: the gzip data is damaged: {_one_line(error)}; get the file again"
        raise StructureError(msg) from error


def _read_to(stream: BinaryIO, limit: int) -> bytes:
    """Return what a stream holds, or somewhat more than the limit of it."""
    parts: list[bytes] = []
    size = 0
    while size <= limit and (part := stream.read(_CHUNK)):
        parts.append(part)
        size += len(part)
    return b"".join(parts)


def _unzstandarded(content: bytes, source: str, limit: int) -> bytes:
    try:
        module = zstandard_module(purpose="reading a file compressed with zstandard")
    except MissingExtraError as error:
        msg = f"{source}: is compressed with zstandard: {error}; or unpack it"
        raise StructureError(msg) from error
    parts: list[bytes] = []
    size, place = 0, 0
    decompressor: Any = None
    try:
        while place < len(content) and size <= limit:
            if decompressor is None or decompressor.eof:
                decompressor = _zstandard_decompressor(module)
            chunk = content[place : place + _ZSTD_CHUNK]
            parts.append(decompressor.decompress(chunk))
            place += len(chunk) - len(decompressor.unused_data)
            size += len(parts[-1])
    except module.ZstdError as error:
        msg = f"{source}: the zstandard data is damaged: {_one_line(error)}; get the file again"
        raise StructureError(msg) from error
    if size <= limit and not decompressor.eof:
        msg = f"{source}: the zstandard data ends too early; download or copy the file again"
        raise StructureError(msg)
    return b"".join(parts)


def _zstandard_decompressor(module: ModuleType) -> Any:  # noqa: ANN401 - of either module
    decompressor = module.ZstdDecompressor()
    return decompressor.decompressobj() if hasattr(decompressor, "decompressobj") else decompressor


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
