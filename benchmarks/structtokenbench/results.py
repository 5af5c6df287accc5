"""Where do results lie, so that a stopped run goes on and nothing is measured twice?"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from provq_protein.errors import ProvqError

FORMAT = "structtokenbench-result"
FORMAT_VERSION = 1
FILE_NAME = "results.jsonl"


class ResultsError(ProvqError, ValueError):
    """A results file is damaged or of another format."""


class ResultsFile:
    """
    A file of results, one JSON object per line, that only grows.

    Parameters
    ----------
    path : Path
        Made with its folder when the first result is added.

    Raises
    ------
    ResultsError
        If a line cannot be read.

    Notes
    -----
    A last line without its end is what an interrupted write leaves. It is dropped when the next
    result is added: that result is measured again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lines = list(read_results(path)) if path.exists() else []
        self._keys = {line["key"] for line in self._lines}

    def __contains__(self, key: object) -> bool:
        """Return whether there is a result with this key."""
        return key in self._keys

    def __iter__(self) -> Iterator[dict[str, Any]]:
        """Iterate over the results, in the order in which they were added."""
        return iter(self._lines)

    def __len__(self) -> int:
        """Return the number of results."""
        return len(self._lines)

    def add(self, result: Mapping[str, Any]) -> None:
        """
        Append a result; it is on the disk when this returns.

        Parameters
        ----------
        result : mapping of str to object
            JSON values, with its ``"key"``; format and version are added.
        """
        line = {"format": FORMAT, "format_version": FORMAT_VERSION, **result}
        text = json.dumps(line, allow_nan=False, ensure_ascii=False)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a+b") as stream:
            stream.seek(0)
            stream.truncate(_whole_bytes(stream.read()))
            stream.write(text.encode() + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        self._lines.append(line)
        self._keys.add(line["key"])


def read_results(path: Path) -> Iterator[dict[str, Any]]:
    """
    Read the results of a file.

    Parameters
    ----------
    path : Path
        Lines of JSON.

    Yields
    ------
    dict
        One per whole line.

    Raises
    ------
    ResultsError
        If the file is absent, or a line is no result of this format; the message names the line.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror}"
        raise ResultsError(msg) from error
    for number, line in enumerate(content[: _whole_bytes(content)].splitlines(), start=1):
        yield _result(line, f"{path}, line {number}")


def result_key(**identity: object) -> str:
    """
    Return what two results share exactly if they are the same measurement.

    Parameters
    ----------
    **identity : JSON values
        Everything that decides the result.

    Returns
    -------
    str
        16 hex digits.

    Examples
    --------
    >>> result_key(a=1, b=2) == result_key(b=2, a=1)
    True
    """
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _whole_bytes(content: bytes) -> int:
    """Length of the lines that are whole."""
    return content.rfind(b"\n") + 1


def _result(line: bytes, where: str) -> dict[str, Any]:
    try:
        found = json.loads(line)
    except ValueError as error:
        msg = f"{where}: no JSON ({error}); remove the line, its result is measured again"
        raise ResultsError(msg) from error
    if not isinstance(found, dict) or found.get("format") != FORMAT or "key" not in found:
        msg = f"{where}: no result of structtokenbench"
        raise ResultsError(msg)
    if found.get("format_version") != FORMAT_VERSION:
        msg = (
            f"{where}: format version {found.get('format_version')}; this release reads "
            f"{FORMAT_VERSION}"
        )
        raise ResultsError(msg)
    return found
