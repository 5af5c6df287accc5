"""Where in folders and archives are the files, and how are they read?"""

import os
import tarfile
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from provq_protein.errors import ImageError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff")
ARCHIVE_SUFFIX = ".tar"
COMPRESSED_SUFFIXES = (".gz", ".bz2", ".xz", ".zst", ".lz4", ".tgz", ".tbz2", ".txz", ".tzst")
_MAGIC = (b"\x1f\x8b", b"BZh", b"\xfd7zXZ\x00", b"\x28\xb5\x2f\xfd", b"\x04\x22\x4d\x18")
WHOLE_FILE = -1
_BLOCK = 512
# Far below the usual limit of 1,024 open files of a process; further archives open per read.
_MOST_OPEN = 128


class Place(NamedTuple):
    """
    Where bytes are: a whole file, or a stretch of an archive.

    Parameters
    ----------
    path : Path
        Of the file or archive.
    offset : int
        First byte in the archive; `WHOLE_FILE` for a file.
    size : int
        Bytes.
    """

    path: Path
    offset: int
    size: int


class Archives:
    """Archives that are open for reading, each once, until nobody needs them; thread safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[Path, int] = {}
        weakref.finalize(self, _close, self._open)

    def read(self, place: Place) -> bytes:
        """
        Return the bytes at a place in an archive.

        Parameters
        ----------
        place : Place
            Which bytes.

        Returns
        -------
        bytes
            Fewer than the size if the archive ends before.

        Raises
        ------
        OSError
            If it cannot be opened or read.
        """
        with self._lock:
            descriptor = self._open.get(place.path)
            if descriptor is None and len(self._open) < _MOST_OPEN:
                descriptor = self._open[place.path] = os.open(place.path, os.O_RDONLY)
        if descriptor is not None:
            return _read_at(descriptor, place)
        descriptor = os.open(place.path, os.O_RDONLY)
        try:
            return _read_at(descriptor, place)
        finally:
            os.close(descriptor)


def _close(opened: dict[Path, int]) -> None:
    while opened:
        os.close(opened.popitem()[1])


def _read_at(descriptor: int, place: Place) -> bytes:
    parts, position, end = [], place.offset, place.offset + place.size
    while position < end:
        part = os.pread(descriptor, end - position, position)
        if not part:
            break
        parts.append(part)
        position += len(part)
    return b"".join(parts)


def folder_files(folder: Path) -> Iterator[tuple[tuple[str, ...], Place]]:
    """
    Yield the files below a folder, sorted; hidden ones are passed over.

    Parameters
    ----------
    folder : Path
        Links in it are followed, but not into a folder above.

    Yields
    ------
    parts : tuple of str
        The path below the folder.
    place : Place
        The file.
    """
    yield from _walk(folder, (), ())


def _walk(
    folder: Path, parts: tuple[str, ...], above: tuple[str, ...]
) -> Iterator[tuple[tuple[str, ...], Place]]:
    """Yield the files below a folder; links are followed, but not into a folder above."""
    real = os.path.realpath(folder)
    if real in above:
        return
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        below = (*parts, entry.name)
        if is_hidden(entry.name):
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path), below, (*above, real))
        else:
            yield below, Place(Path(entry.path), WHOLE_FILE, _size(entry))


def _size(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat().st_size
    except OSError:
        # A link to nothing: it stays listed, and reading it says what is wrong.
        return 0


def archive_members(path: Path) -> Iterator[tuple[str, Place]]:
    """
    Yield the files in a tar archive.

    Parameters
    ----------
    path : Path
        Not compressed.

    Yields
    ------
    name : str
        Of the member.
    place : Place
        Its bytes.

    Raises
    ------
    ImageError
        If the archive is compressed, damaged or cut short anywhere, or if an image is a link.
    """
    with path.open("rb") as stream:
        if stream.read(8).startswith(_MAGIC) or suffix(path.name) in COMPRESSED_SUFFIXES:
            msg = (
                f"{path}: is compressed; images are read in any order, which needs a plain .tar: "
                "decompress it once (gunzip, xz -d, zstd -d)"
            )
            raise ImageError(msg)
        stream.seek(0)
        try:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                yield from _tar_members(path, archive)
                end = archive.offset
        except ImageError:
            raise
        except (tarfile.TarError, ValueError, LookupError, ArithmeticError, EOFError) as error:
            msg = f"{path}: cannot be read as a tar archive: {error}; is the file complete?"
            raise ImageError(msg) from error
        # The reader takes a damaged header for the end, and so would a missing end go unseen.
        stream.seek(end)
        if stream.read(_BLOCK) != bytes(_BLOCK):
            msg = f"{path}: damaged or cut short at byte {end}; copy or pack the archive again"
            raise ImageError(msg)


def _tar_members(path: Path, archive: tarfile.TarFile) -> Iterator[tuple[str, Place]]:
    last = -1
    while (member := archive.next()) is not None:
        # Else every member stays in memory.
        archive.members = []  # pyright: ignore[reportAttributeAccessIssue]
        # A damaged size would lead back, and round in circles.
        if member.offset <= last or member.size < 0:
            msg = f"{path}: damaged at byte {member.offset}; copy or pack the archive again"
            raise ImageError(msg)
        last = member.offset
        if member.isreg() and not member.issparse():
            yield member.name, Place(path, member.offset_data, member.size)
        elif suffix(member.name) in IMAGE_SUFFIXES and not member.isdir():
            msg = f"{path}: {member.name} is a link or sparse; pack it as a plain file"
            raise ImageError(msg)


def suffix(name: str) -> str:
    """
    Return the last suffix of a file name in lower case.

    Parameters
    ----------
    name : str
        Without folders.

    Returns
    -------
    str
        With its dot; empty if there is none.

    Examples
    --------
    >>> suffix("n01440764_10.JPEG"), suffix(".hidden")
    ('.jpeg', '')
    """
    dot = name.rfind(".")
    return name[dot:].lower() if dot > 0 else ""


def is_hidden(name: str) -> bool:
    """
    Return whether a file or folder is not meant to be seen.

    Parameters
    ----------
    name : str
        Without folders.

    Returns
    -------
    bool
        True for ``.name`` and for the folder ``__MACOSX`` of some archives.
    """
    return name.startswith(".") or name == "__MACOSX"
