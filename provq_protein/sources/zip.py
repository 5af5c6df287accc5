"""Which structures does a zip archive hold?"""

import stat
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

from provq_protein.errors import StructureError
from provq_protein.sources.member import Limits, Member, over_limit
from provq_protein.sources.one_pass import OnePass

# Other methods expand a small block to any size before a limit can be looked at.
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_ENCRYPTED = 0x1
# What the zip reader raises on damaged bytes, besides OSError.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,
    NotImplementedError,
    OverflowError,
)
_SPECIAL = {
    stat.S_IFLNK: "a symbolic link",
    stat.S_IFCHR: "a character device",
    stat.S_IFBLK: "a block device",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
}


def zip_members(name: str, path: Path, one_pass: OnePass) -> Iterator[Member]:
    """
    Yield the structures of a zip archive, in the order of its directory.

    Parameters
    ----------
    name : str
        The archive, as its user named it.
    path : Path
        The archive.
    one_pass : OnePass
        Count, limits and choice.

    Yields
    ------
    Member
        One per structure, FoldComp entry, nested archive, link and escaping path. What keeps the
        archive from being read is one more.
    """
    before = one_pass.listed
    try:
        archive = zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        reason = f"is no complete zip archive: {error}; download or copy it again"
        yield one_pass.problem(name, reason, "zip")
        return
    except (OSError, *_DAMAGE) as error:
        yield one_pass.problem(name, f"cannot be read: {error}", "zip")
        return
    with archive:
        yield from _listed(name, archive, one_pass)
    if one_pass.listed == before:
        yield one_pass.problem(name, one_pass.nothing_found("archive"), "zip")


def _listed(name: str, archive: zipfile.ZipFile, one_pass: OnePass) -> Iterator[Member]:
    limits = one_pass.limits
    entries = archive.infolist()
    if len(entries) > limits.archive_members:
        found = f"holds {len(entries):,} entries"
        reason = over_limit("archive_members", limits.archive_members, found)
        yield one_pass.problem(name, reason, "zip")
        return
    expanded = 0
    for entry in entries:
        # Not `is_dir`, which stumbles over the empty name of a damaged entry.
        if entry.filename.endswith("/"):
            continue
        expanded += entry.file_size
        if expanded > limits.archive_bytes:
            found = f"expands to more bytes up to {entry.filename!r}"
            reason = over_limit("archive_bytes", limits.archive_bytes, found)
            yield one_pass.problem(name, f"{reason}; what follows in it is not read", "zip")
            return
        member = one_pass.entry(
            name,
            entry.filename,
            size=entry.file_size,
            special=_SPECIAL.get(stat.S_IFMT(entry.external_attr >> 16)),
            read=lambda entry=entry: _read(archive, entry, limits),
            source="zip",
        )
        if member is not None:
            yield member


def _read(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limits: Limits) -> bytes:
    if entry.flag_bits & _ENCRYPTED:
        msg = "is encrypted; repack the archive without a password"
        raise StructureError(msg)
    if entry.compress_type not in _METHODS:
        msg = f"is compressed with method {entry.compress_type}; repack the archive with deflate"
        raise StructureError(msg)
    packed = max(1, entry.compress_size)
    if entry.file_size > limits.ratio_after and entry.file_size > limits.ratio * packed:
        found = f"{packed:,} compressed bytes expand to {entry.file_size:,}"
        raise StructureError(over_limit("ratio", limits.ratio, found))
    try:
        # Reads no more than the declared size, and compares the checksum at its end.
        with archive.open(entry) as stream:
            content = stream.read(entry.file_size)
            rest = stream.read(1)
    except (OSError, *_DAMAGE) as error:
        msg = f"is damaged in the archive: {error or type(error).__name__}; get it again"
        raise StructureError(msg) from error
    if rest or len(content) != entry.file_size:
        msg = f"is damaged in the archive: {len(content):,} of {entry.file_size:,} bytes are there"
        raise StructureError(msg)
    return content
