"""How does a folder of exported files appear at once, or not at all?"""

import json
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provq_protein.errors import TokenFormatError

HEADER = "provq_export.json"
EXPORT_FORMAT = "provq-export"
EXPORT_VERSION = 1


def check_folder(path: Path, *, overwrite: bool) -> None:
    """
    Refuse a folder that could not, or should not, be written.

    Parameters
    ----------
    path : Path
        Folder to write.
    overwrite : bool
        Whether an earlier export may be replaced. Folders with anything else never are.

    Raises
    ------
    TokenFormatError
        If it exists and may not be replaced, or the folder around it is absent or read-only.
    """
    problem = None
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        problem = "is not a folder"
    elif path.exists() and not overwrite:
        problem = "exists; choose another name, or allow to overwrite it (--overwrite)"
    elif path.exists() and any(path.iterdir()) and not (path / HEADER).is_file():
        problem = f"is not an earlier export (no {HEADER} in it), so it is not overwritten"
    elif not path.parent.is_dir():
        problem = f"the folder {path.parent} does not exist; create it first"
    elif not os.access(path.parent, os.W_OK):
        problem = f"the folder {path.parent} is not writable; choose another one"
    if problem:
        msg = f"{path}: {problem}"
        raise TokenFormatError(msg)


@contextmanager
def replacing_folder(path: Path) -> Iterator[Path]:
    """
    Make a folder under another name, and rename it once it is complete.

    Parameters
    ----------
    path : Path
        Folder to write; see `check_folder`. One that exists is replaced.

    Yields
    ------
    Path
        An empty folder beside it. What is written there becomes `path`, and is removed if an
        exception is raised.
    """
    mark = secrets.token_hex(6)
    temporary = path.with_name(f".{path.name}.{mark}.tmp")
    temporary.mkdir()
    try:
        yield temporary
        for entry in (*temporary.rglob("*"), temporary):
            _sync(entry)
        _move(temporary, path, path.with_name(f".{path.name}.{mark}.old"))
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_header(folder: Path, kind: str, facts: dict[str, Any]) -> None:
    """
    Say in an exported folder what it is.

    Parameters
    ----------
    folder : Path
        Where the files are.
    kind : str
        What was exported, for instance ``"memmap"``.
    facts : dict
        JSON-ready, in the order of writing.
    """
    header = {"format": EXPORT_FORMAT, "format_version": EXPORT_VERSION, "kind": kind, **facts}
    text = json.dumps(header, indent=2) + "\n"
    (folder / HEADER).write_text(text, encoding="ascii", newline="\n")


def read_header(folder: Path, kind: str) -> dict[str, Any]:
    """
    Read what `write_header` wrote.

    Parameters
    ----------
    folder : Path
        An exported folder.
    kind : str
        What it must be.

    Returns
    -------
    dict
        Its facts.

    Raises
    ------
    TokenFormatError
        If it is absent, damaged, of another kind or of an unknown version.
    """
    path = folder / HEADER
    try:
        header = json.loads(path.read_text(encoding="ascii"))
    except (ValueError, RecursionError) as error:
        msg = f"{path}: damaged file ({error})"
        raise TokenFormatError(msg) from error
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}; expected an exported folder"
        raise TokenFormatError(msg) from error
    if not isinstance(header, dict):
        header = {}
    found = tuple(header.get(key) for key in ("format", "kind", "format_version"))
    expected = (EXPORT_FORMAT, kind, EXPORT_VERSION)
    if found != expected:
        msg = f"{path}: expected format, kind and version {expected}, got {found}"
        raise TokenFormatError(msg)
    return header


def _move(temporary: Path, path: Path, old: Path) -> None:
    """Rename, with the former folder out of the way; two renames, since one cannot replace it."""
    if path.exists():
        path.rename(old)
    try:
        temporary.rename(path)
    except OSError:
        if old.exists():
            old.rename(path)
        raise
    shutil.rmtree(old, ignore_errors=True)
    _sync(path.parent)


def _sync(path: Path) -> None:
    """Have the disk store a file, or the entries of a folder."""
    flags = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) if path.is_dir() else os.O_RDWR
    descriptor = os.open(path, flags)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
