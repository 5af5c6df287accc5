"""Which entries does a FoldComp database hold?"""

from collections.abc import Iterator
from pathlib import Path
from typing import IO

from provq_protein.errors import ProvqError, StructureError
from provq_protein.sources.member import Member, over_limit
from provq_protein.sources.one_pass import OnePass


def is_database(path: Path) -> bool:
    """
    Return whether a file is a FoldComp database.

    Parameters
    ----------
    path : Path
        The file with the data.

    Returns
    -------
    bool
        True if its index and the file with its type lie beside it.
    """
    return all(_beside(path, suffix).is_file() for suffix in (".index", ".dbtype"))


def file_member(name: str, path: Path, one_pass: OnePass) -> Member:
    """
    Return the member that a ``.fcz`` file is.

    Parameters
    ----------
    name : str
        The file, as its user named it.
    path : Path
        The file.
    one_pass : OnePass
        Count and limits.

    Returns
    -------
    Member
        With the text of a PDB file, or the problem.
    """
    if not one_pass.claim():
        return Member(name, source="foldcomp")
    try:
        size = path.stat().st_size
        with path.open("rb") as file:
            content = _decoded(file, 0, size, one_pass)
    except (OSError, ProvqError) as error:
        return Member(name, problem=" ".join(str(error).split()), source="foldcomp")
    return Member(name, content=content, source="foldcomp")


def database_members(name: str, path: Path, one_pass: OnePass) -> Iterator[Member]:
    """
    Yield the entries of a FoldComp database, in the order of its index.

    Parameters
    ----------
    name : str
        The database, as its user named it.
    path : Path
        The file with the data, beside which lie ``.index`` and, for names, ``.lookup``.
    one_pass : OnePass
        Count, limits and choice.

    Yields
    ------
    Member
        One per entry whose name matches; named by its key where the lookup has no name for it.

    Notes
    -----
    Index and lookup are read side by side, so a database of any size takes little memory. Where
    the two are not in the same order, the lookup is read into memory once.
    """
    before = one_pass.listed
    try:
        size = path.stat().st_size
        with path.open("rb") as data, _beside(path, ".index").open("rb") as index:
            names = _Names(_beside(path, ".lookup"))
            with names:
                for number, line in enumerate(index, start=1):
                    yield from _entry(name, line, number, data, size, names, one_pass)
    except OSError as error:
        yield one_pass.problem(name, f"cannot be read: {error.strerror or error}", "foldcomp")
    if one_pass.listed == before:
        yield one_pass.problem(name, one_pass.nothing_found("database"), "foldcomp")


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _entry(
    name: str,
    line: bytes,
    number: int,
    data: IO[bytes],
    size: int,
    names: "_Names",
    one_pass: OnePass,
) -> Iterator[Member]:
    fields = line.split()
    # The index may end with an empty line or, in databases of other programs, a zero byte.
    if not fields or fields == [b"\0"]:
        return
    if len(fields) != 3 or not all(field.isdigit() for field in fields):
        reason = f"line {number} of its index is not 'key offset length'"
        yield one_pass.problem(name, reason, "foldcomp")
        return
    inner = names.of(fields[0])
    if not one_pass.matches(inner):
        return
    label = f"{name}!{inner}"
    start, length = int(fields[1]), int(fields[2])
    if start + length > size:
        reason = f"ends at byte {start + length:,} of a database of {size:,}; is it complete?"
        yield one_pass.problem(label, reason, "foldcomp")
        return
    if not one_pass.claim():
        yield Member(label, source="foldcomp")
        return
    try:
        content = _decoded(data, start, length, one_pass)
    except (OSError, ProvqError) as error:
        yield Member(label, problem=" ".join(str(error).split()), source="foldcomp")
        return
    yield Member(label, content=content, source="foldcomp")


def _decoded(file: IO[bytes], start: int, length: int, one_pass: OnePass) -> bytes:
    limit = one_pass.limits.member_bytes
    if length > limit:
        raise StructureError(over_limit("member_bytes", limit, f"has {length:,} bytes"))
    file.seek(start)
    return one_pass.decoder.decode(file.read(length), limit=limit)


class _Names:
    """The names that a lookup file gives to keys, read along with the index."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[bytes] | None = None
        self._all: dict[bytes, bytes] | None = None

    def __enter__(self) -> "_Names":
        self._file = self._path.open("rb") if self._path.is_file() else None
        return self

    def __exit__(self, *exception: object) -> None:
        if self._file is not None:
            self._file.close()

    def of(self, key: bytes) -> str:
        if self._file is None:
            return key.decode("ascii")
        if self._all is None:
            fields = self._file.readline().rstrip(b"\r\n").split(b"\t")
            if len(fields) >= 2 and fields[0] == key:
                return fields[1].decode("utf-8", "surrogateescape")
            self._file.seek(0)
            split = (line.rstrip(b"\r\n").split(b"\t") for line in self._file)
            self._all = {fields[0]: fields[1] for fields in split if len(fields) >= 2}
        return self._all.get(key, key).decode("utf-8", "surrogateescape")
