"""Which files do the inputs of a command stand for: paths, globs, folders, a list on stdin?"""

import glob
import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from provq_protein.sources.kinds import kind_of
from provq_protein.sources.one_pass import OnePass

STDIN = "-"
"""Stands for a list of inputs on standard input."""

_WILDCARDS = frozenset("*?[")
# A folder is searched for what its files' names tell for certain.
_IN_FOLDERS = ("structure", "tar", "zip", "foldcomp", "other archive")


@dataclass(frozen=True)
class Found:
    """
    A file on disk, or why there is none.

    Parameters
    ----------
    name : str
        What to call it.
    path : Path or None
        The file.
    problem : str or None
        The reason why there is no file.
    """

    name: str
    path: Path | None = None
    problem: str | None = None


def expand(inputs: Iterable[str | Path], one_pass: OnePass) -> Iterator[Found]:
    """
    Yield the files that inputs stand for.

    Parameters
    ----------
    inputs : iterable of str or Path
        Files, globs, folders, or ``"-"`` for such a list on standard input.
    one_pass : OnePass
        Its pattern chooses among the files of folders.

    Yields
    ------
    Found
        In the order of the inputs; the files of a folder or glob are sorted by name.
    """
    for item in inputs:
        if os.fspath(item) != STDIN:
            yield from _expand_one(os.fspath(item), one_pass)
            continue
        for line in _stdin_lines():
            if line == STDIN:
                yield Found(STDIN, problem="a list on stdin cannot name stdin again")
            else:
                yield from _expand_one(line, one_pass)


def _stdin_lines() -> Iterator[str]:
    binary = getattr(sys.stdin, "buffer", None)
    # Read as bytes: file names need not be text in any encoding.
    for raw in sys.stdin if binary is None else binary:
        line = (raw if isinstance(raw, str) else os.fsdecode(raw)).strip()
        if line and not line.startswith("#"):
            yield line


def _expand_one(name: str, one_pass: OnePass) -> Iterator[Found]:
    path = Path(name)
    if "\0" in name or not name:
        yield Found(name.replace("\0", "?"), problem="is no file name")
    elif _WILDCARDS & set(name) and not os.path.lexists(path):
        matches = sorted(glob.glob(name, recursive=True))  # noqa: PTH207 - keeps the user's spelling
        if not matches:
            yield Found(name, problem="no file matches this pattern")
        for match in matches:
            yield from _file_or_folder(match, Path(match), one_pass)
    else:
        yield from _file_or_folder(name, path, one_pass)


def _file_or_folder(name: str, path: Path, one_pass: OnePass) -> Iterator[Found]:
    if not path.is_dir():
        yield _file(name, path)
        return
    before = one_pass.listed
    nothing = True
    for found in _folder(name, path, one_pass):
        nothing = False
        yield found
    if nothing and one_pass.listed == before:
        yield Found(name, problem=one_pass.nothing_found("folder"))


def _file(name: str, path: Path) -> Found:
    if path.is_file():
        return Found(name, path)
    if path.is_symlink():
        return Found(name, problem="is a link to a file that does not exist")
    try:
        path.stat()
    except FileNotFoundError:
        return Found(name, problem="no such file; check the path")
    except OSError as error:
        return Found(name, problem=f"cannot be opened: {error.strerror or error}")
    return Found(name, problem="is no regular file but a pipe, socket or device")


def _folder(name: str, path: Path, one_pass: OnePass) -> Iterator[Found]:
    """Yield the files of a folder, each real folder once, so that links in a circle end."""
    visited: set[tuple[int, int]] = set()
    # A stack and not recursion: folders may be nested deeper than Python's calls.
    waiting = [(name, path)]
    while waiting:
        current, folder = waiting.pop()
        if not folder.is_dir():
            if one_pass.matches(os.path.relpath(current, name).replace(os.sep, "/")):
                yield _file(current, folder)
            continue
        try:
            status = folder.stat()
            if (status.st_dev, status.st_ino) in visited:
                continue
            visited.add((status.st_dev, status.st_ino))
            inside = sorted(entry.name for entry in os.scandir(folder) if _is_taken(entry))
        except OSError as error:
            yield Found(current, problem=f"the folder cannot be read: {error.strerror or error}")
            continue
        waiting += [(_joined(current, part), folder / part) for part in reversed(inside)]


def _joined(folder: str, part: str) -> str:
    return os.path.join(folder, part)  # noqa: PTH118 - keeps the user's spelling of the folder


def _is_taken(entry: "os.DirEntry[str]") -> bool:
    return not entry.name.startswith(".") and (entry.is_dir() or kind_of(entry.name) in _IN_FOLDERS)
