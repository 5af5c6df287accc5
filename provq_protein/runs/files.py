"""How does a file appear under its name only when it is complete, and what is its identity?"""

import hashlib
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from provq_protein.errors import ConfigError


def check_output(path: Path, *, overwrite: bool) -> None:
    """
    Refuse an output file that could not, or should not, be written.

    Parameters
    ----------
    path : Path
        File to write.
    overwrite : bool
        Whether it may exist.

    Raises
    ------
    ConfigError
        If its folder does not exist or is not writable, or it is no regular file, or it exists
        and `overwrite` is False.
    """
    problem = None
    if path.is_dir():
        problem = "is a folder; name a file"
    elif path.exists() and not path.is_file():
        # Renaming a finished file over a device or a pipe would destroy it.
        problem = "is not a regular file; name another one"
    elif path.exists() and not overwrite:
        problem = "exists; choose another name, or allow to overwrite it (--overwrite)"
    elif not path.parent.is_dir():
        problem = f"the folder {path.parent} does not exist; create it first"
    elif not os.access(path.parent, os.W_OK):
        problem = f"the folder {path.parent} is not writable; choose another one"
    if problem:
        msg = f"{path}: {problem}"
        raise ConfigError(msg)


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """
    Write a file under another name, and rename it once it is complete.

    Parameters
    ----------
    path : Path
        File to write; one that exists is replaced.

    Yields
    ------
    Path
        A name beside it. What is written there becomes `path`, and is removed if an exception
        is raised.
    """
    # Not tempfile.mkstemp: the result should get the permissions of an ordinary new file.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    try:
        yield temporary
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """
    Return the identity of a file's content.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        SHA-256 of its bytes, 64 hex digits.

    Raises
    ------
    OSError
        If it cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
