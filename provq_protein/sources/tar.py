"""Which entries does a tar archive hold, read once from its first byte to its last?"""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from provq_protein.errors import MissingExtraError
from provq_protein.sources.byte_stream import ArchiveError, ByteStream, open_stream
from provq_protein.sources.member import Member, over_limit
from provq_protein.sources.one_pass import OnePass

_BLOCK = tarfile.BLOCKSIZE
_EMPTY = bytes(_BLOCK)
_MAGIC = slice(257, 262)
_REGULAR = (tarfile.REGTYPE, tarfile.AREGTYPE, tarfile.CONTTYPE)
_SPECIAL = {
    tarfile.LNKTYPE: "a hard link",
    tarfile.SYMTYPE: "a symbolic link",
    tarfile.CHRTYPE: "a character device",
    tarfile.BLKTYPE: "a block device",
    tarfile.FIFOTYPE: "a named pipe",
    tarfile.GNUTYPE_SPARSE: "a sparse file",
}
_LONG_NAME, _LONG_LINK = tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK
_PAX = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_EXTENDED = (*_PAX, tarfile.XGLTYPE, _LONG_NAME, _LONG_LINK)
_PAX_KEYS = ("path", "size")
_SPARSE = "GNU.sparse."
# Extended headers hold names and attributes; a larger one is an attack on the memory.
_MAX_EXTENDED = 1 << 20


@dataclass(frozen=True)
class TarEntry:
    """
    One entry of a tar archive.

    Parameters
    ----------
    name : str
        As the archive has it; bytes that are no UTF-8 become lone surrogates.
    size : int
        Bytes of its data.
    special : str or None
        What it is if it is neither a regular file nor a folder.
    folder : bool
        True for a folder.
    damage : str or None
        What is wrong with its header, in which case nothing else is known.
    """

    name: str
    size: int = 0
    special: str | None = None
    folder: bool = False
    damage: str | None = None


class TarReader:
    """
    Reads a tar archive forwards, and goes on after a damaged header.

    Parameters
    ----------
    stream : ByteStream
        The archive, expanded.
    max_entries : int
        How many entries are read.

    Notes
    -----
    The formats are those of POSIX (ustar, pax) and GNU tar. Python's ``tarfile`` is not used to
    find the entries, because it takes a damaged header for the end of the archive, reads extended
    headers of any declared size and remembers every entry; it decodes the header blocks. Zero
    blocks between entries are passed over, so that concatenated archives are read whole.
    """

    def __init__(self, stream: ByteStream, max_entries: int) -> None:
        self._stream = stream
        self._max_entries = max_entries
        self._next_header = 0
        self._current = ""
        self._closed = False
        self._pending: bytes | None = None

    def entries(self) -> Iterator[TarEntry]:
        """
        Yield one entry after another; between two, `read` returns the data of the first.

        Yields
        ------
        TarEntry
            In the order of the archive.

        Raises
        ------
        ArchiveError
            If nothing more can be read.
        """
        count = 0
        overrides: dict[str, str] = {}
        while (block := self._header()) is not None:
            try:
                header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
            except tarfile.HeaderError:
                header = None
            if header is not None and header.type in _EXTENDED:
                overrides |= self._extended(header)
                continue
            count += 1
            if count > self._max_entries:
                found = "holds more entries"
                raise ArchiveError(over_limit("archive_members", self._max_entries, found))
            if header is None or header.size < 0:
                yield self._after_damage()
            else:
                yield self._entry(header, overrides)
            overrides = {}
        if not self._closed:
            msg = (
                f"the archive ends without its end marker, after {self._stream.position:,} bytes; "
                "it may be incomplete"
            )
            raise ArchiveError(msg)

    def read(self, entry: TarEntry) -> bytes:
        """
        Return the data of the entry that was yielded last.

        Parameters
        ----------
        entry : TarEntry
            That entry.

        Returns
        -------
        bytes
            All of it.

        Raises
        ------
        ArchiveError
            If the archive ends within it, or is damaged there.
        """
        content = self._stream.read(entry.size)
        if len(content) < entry.size:
            raise self._cut_off()
        return content

    def _header(self) -> bytes | None:
        """Return the next block that is not empty, or None at the end."""
        if self._pending is not None:
            block, self._pending = self._pending, None
            return block
        while True:
            gap = self._next_header - self._stream.position
            if self._stream.skip(gap) < gap:
                raise self._cut_off()
            block = self._stream.read(_BLOCK)
            self._next_header += _BLOCK
            if not block:
                return None
            if len(block) < _BLOCK:
                self._current = "a header"
                raise self._cut_off()
            if block != _EMPTY:
                self._closed = False
                return block
            self._closed = True

    def _cut_off(self) -> ArchiveError:
        return ArchiveError(
            f"the archive ends within {self._current!r}, after {self._stream.position:,} bytes; "
            "download or copy it again"
        )

    def _after_damage(self) -> TarEntry:
        """Go to the next block that is a sound header."""
        start = self._next_header - _BLOCK
        while True:
            block = self._stream.read(_BLOCK)
            if len(block) < _BLOCK or _is_header(block):
                break
        found = len(block) == _BLOCK
        self._pending = block if found else None
        self._next_header = self._stream.position
        self._closed = not found
        after = "" if found else "; nothing could be read after it"
        return TarEntry("", damage=f"the header at byte {start:,} of the archive is damaged{after}")

    def _extended(self, header: tarfile.TarInfo) -> dict[str, str]:
        self._current = header.name
        if not 0 <= header.size <= _MAX_EXTENDED:
            found = f"has an extended header of {header.size:,} bytes, at most"
            msg = f"{found} {_MAX_EXTENDED:,} are read; the archive is damaged or hostile"
            raise ArchiveError(msg)
        content = self._stream.read(header.size)
        if len(content) < header.size:
            raise self._cut_off()
        self._next_header += _padded(header.size)
        if header.type == _LONG_NAME:
            return {"path": content.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")}
        # A global header or a long link name changes nothing that is read here.
        return _pax_records(content) if header.type in _PAX else {}

    def _entry(self, header: tarfile.TarInfo, overrides: dict[str, str]) -> TarEntry:
        name = overrides.get("path", header.name)
        size = header.size
        if overrides.get("size", "").isdecimal():
            size = int(overrides["size"])
        self._current = name
        special = "a sparse file" if _SPARSE in overrides else _SPECIAL.get(header.type)
        folder = header.type == tarfile.DIRTYPE
        if special is None and not folder and header.type not in _REGULAR:
            special = f"an entry of the unknown type {header.type!r}"
        # Links, devices and folders have no data, whatever their size says.
        has_data = not folder and header.type not in _SPECIAL
        if has_data or header.type == tarfile.GNUTYPE_SPARSE:
            self._next_header += _padded(size)
        return TarEntry(name, size, special, folder)


def _is_header(block: bytes) -> bool:
    # Without the magic, any text could be taken for a header of the first tar format.
    if block[_MAGIC] != b"ustar":
        return False
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape").size >= 0
    except tarfile.HeaderError:
        return False


def _padded(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK


def _pax_records(content: bytes) -> dict[str, str]:
    """Return what is used of the records ``"length key=value\\n"``, up to a damaged one."""
    records: dict[str, str] = {}
    start = 0
    while start < len(content):
        length, space, _ = content[start : start + 20].partition(b" ")
        if not (space and length.isdigit()) or int(length) <= len(length) + 1:
            break
        record = content[start + len(length) + 1 : start + int(length)].removesuffix(b"\n")
        key, _, value = record.decode("utf-8", "surrogateescape").partition("=")
        if key in _PAX_KEYS:
            records[key] = value
        elif key.startswith(_SPARSE):
            records[_SPARSE] = ""
        start += int(length)
    return records


def tar_members(name: str, path: Path, one_pass: OnePass) -> Iterator[Member]:
    """
    Yield the structures of a tar archive, in its order.

    Parameters
    ----------
    name : str
        The archive, as its user named it.
    path : Path
        The archive; plain, gzip or zstandard.
    one_pass : OnePass
        Count, limits and choice.

    Yields
    ------
    Member
        One per structure, FoldComp entry, nested archive, link, device and escaping path. What
        ends the archive early is one more.
    """
    before = one_pass.listed
    try:
        with open_stream(path, one_pass.limits) as stream:
            yield from _listed(name, stream, one_pass)
    except ArchiveError as error:
        yield one_pass.problem(name, f"{error}; what follows in it is not read", "tar")
    except (OSError, MissingExtraError) as error:
        yield one_pass.problem(name, f"cannot be read: {error}", "tar")
    if one_pass.listed == before:
        yield one_pass.problem(name, one_pass.nothing_found("archive"), "tar")


def _listed(name: str, stream: ByteStream, one_pass: OnePass) -> Iterator[Member]:
    reader = TarReader(stream, one_pass.limits.archive_members)
    for entry in reader.entries():
        if entry.damage is not None:
            yield one_pass.problem(name, entry.damage, "tar")
        elif not entry.folder:
            member = one_pass.entry(
                name,
                entry.name,
                size=entry.size,
                special=entry.special,
                read=lambda entry=entry: reader.read(entry),
                source="tar",
            )
            if member is not None:
                yield member
