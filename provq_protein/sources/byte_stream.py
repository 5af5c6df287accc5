"""How are the bytes of an archive read once, forwards, and within limits?"""

import contextlib
import gzip
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Protocol

from provq_protein.errors import StructureError
from provq_protein.sources.member import Limits, over_limit
from provq_protein.sources.zstd_stream import ZSTD_MAGIC, open_zstd, zstd_errors

_GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 20


class ArchiveError(StructureError):
    """An archive cannot be read any further; the message does not name it."""


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


class ByteStream(Protocol):
    """Bytes that are read once, from the first to the last."""

    position: int
    """Bytes read or skipped so far."""

    def read(self, size: int) -> bytes:
        """
        Return the next bytes.

        Parameters
        ----------
        size : int
            How many.

        Returns
        -------
        bytes
            Fewer only at the end.

        Raises
        ------
        ArchiveError
            If the archive is damaged or exceeds a limit.
        """
        ...

    def skip(self, size: int) -> int:
        """
        Pass over the next bytes.

        Parameters
        ----------
        size : int
            How many.

        Returns
        -------
        int
            How many there were.

        Raises
        ------
        ArchiveError
            If the archive is damaged or exceeds a limit.
        """
        ...


class StoredBytes:
    """
    The bytes of a plain file; what is skipped is not read.

    Parameters
    ----------
    file : file object
        A binary file that can seek, at its beginning.
    size : int
        Its length in bytes.
    """

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self.position = 0

    def read(self, size: int) -> bytes:
        """
        Return the next bytes.

        Parameters
        ----------
        size : int
            How many.

        Returns
        -------
        bytes
            Fewer only at the end.

        Raises
        ------
        ArchiveError
            If the file cannot be read.
        """
        try:
            # Never asks for more than is left: a header may declare any size.
            content = self._file.read(max(0, min(size, self._size - self.position)))
        except OSError as error:
            msg = f"cannot be read at byte {self.position}: {error.strerror or error}"
            raise ArchiveError(msg) from error
        self.position += len(content)
        return content

    def skip(self, size: int) -> int:
        """
        Seek past the next bytes.

        Parameters
        ----------
        size : int
            How many.

        Returns
        -------
        int
            How many there were.
        """
        step = max(0, min(size, self._size - self.position))
        self.position += step
        self._file.seek(self.position)
        return step


class ExpandedBytes:
    """
    What a compressed file expands to, within limits.

    Parameters
    ----------
    expanded : file object
        Decompresses `packed` as it is read.
    packed : file object
        The compressed file, whose position says how much of it was needed.
    limits : Limits
        How much it may expand to.
    """

    def __init__(self, expanded: _Readable, packed: IO[bytes], limits: Limits) -> None:
        self._expanded = expanded
        self._packed = packed
        self._limits = limits
        self._failure: ArchiveError | None = None
        self.position = 0

    def read(self, size: int) -> bytes:
        """
        Return the next bytes.

        Parameters
        ----------
        size : int
            How many.

        Returns
        -------
        bytes
            Fewer only at the end.

        Raises
        ------
        ArchiveError
            If the data is damaged or expands past a limit; again on every further call.
        """
        return b"".join(self._chunks(size))

    def skip(self, size: int) -> int:
        """
        Expand and forget the next bytes.

        Parameters
        ----------
        size : int
            How many.

        Returns
        -------
        int
            How many there were.

        Raises
        ------
        ArchiveError
            As for `read`.
        """
        return sum(map(len, self._chunks(size)))

    def _chunks(self, size: int) -> Iterator[bytes]:
        left = size
        while left > 0:
            chunk = self._chunk(min(left, _CHUNK))
            if not chunk:
                return
            left -= len(chunk)
            yield chunk

    def _chunk(self, size: int) -> bytes:
        if self._failure is None:
            try:
                chunk = self._expanded.read(size)
                self.position += len(chunk)
                self._check_limits()
            except ArchiveError as error:
                self._failure = error
            except EOFError:
                self._failure = ArchiveError(
                    f"its compressed data ends too early, after {self.position:,} expanded bytes; "
                    "download or copy it again"
                )
            except (OSError, zlib.error, *zstd_errors()) as error:
                self._failure = ArchiveError(
                    f"its compressed data is damaged after {self.position:,} expanded bytes: "
                    f"{error}; get it again"
                )
            else:
                return chunk
        raise self._failure

    def _check_limits(self) -> None:
        limits, packed = self._limits, max(1, self._packed.tell())
        if self.position > limits.archive_bytes:
            msg = over_limit("archive_bytes", limits.archive_bytes, "expands to more bytes")
            raise ArchiveError(msg)
        if self.position > limits.ratio_after and self.position > limits.ratio * packed:
            found = f"{packed:,} compressed bytes expand to {self.position:,}"
            raise ArchiveError(over_limit("ratio", limits.ratio, found))


@contextlib.contextmanager
def open_stream(path: Path, limits: Limits) -> Iterator[ByteStream]:
    """
    Open a file that may be compressed.

    Parameters
    ----------
    path : Path
        A plain, gzip or zstandard file; its first bytes say which.
    limits : Limits
        How much it may expand to.

    Yields
    ------
    ByteStream
        The bytes, expanded.

    Raises
    ------
    OSError
        If it cannot be opened.
    MissingExtraError
        If it is zstandard data and no package for that is installed.
    """
    with path.open("rb") as file:
        head = file.read(len(ZSTD_MAGIC))
        size = file.seek(0, 2)
        file.seek(0)
        if head.startswith(_GZIP_MAGIC):
            with gzip.GzipFile(fileobj=file, mode="rb") as expanded:
                yield ExpandedBytes(expanded, file, limits)
        elif head == ZSTD_MAGIC:
            with open_zstd(file) as expanded:
                yield ExpandedBytes(expanded, file, limits)
        else:
            yield StoredBytes(file, size)
