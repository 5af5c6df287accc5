"""How is the record of an evaluation kept as JSON?"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from provq_protein.errors import ConfigError
from provq_protein.runs.files import replacing


def save_json(path: Path, document: Mapping[str, Any]) -> None:
    """
    Write a record to a JSON file, whole or not at all.

    Parameters
    ----------
    path : Path
        Where; replaced if it exists.
    document : mapping
        Plain values; all numbers are finite.
    """
    text = json.dumps(document, indent=1, allow_nan=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary:
        temporary.write_text(text + "\n", encoding="utf-8")


def load_json(path: Path) -> dict[str, Any]:
    """
    Read a record from a JSON file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        Plain values.

    Raises
    ------
    ConfigError
        If the file is missing, or holds no JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise ConfigError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"{path}: is not JSON: {error}"
        raise ConfigError(msg) from error
    if not isinstance(document, dict):
        msg = f"{path}: expected a JSON object, got {type(document).__name__}"
        raise ConfigError(msg)
    return document


def without_format(
    document: Mapping[str, Any], *, name: str, version: int, where: str
) -> dict[str, Any]:
    """
    Return the entries of a record, after a look at what it says it is.

    Parameters
    ----------
    document : mapping
        Plain values.
    name : str
        The format that is read.
    version : int
        Its version.
    where : str
        Where the record is from, for error messages.

    Returns
    -------
    dict
        Without the two entries that name the format.

    Raises
    ------
    ConfigError
        If it is of another format or version.
    """
    found = (document.get("format"), document.get("format_version"))
    if found != (name, version):
        msg = f"{where}: expected {name} of version {version}, got {found}"
        raise ConfigError(msg)
    return {key: item for key, item in document.items() if not key.startswith("format")}


def pairs_of(problems: Iterable[object], *, where: str) -> tuple[tuple[str, str], ...]:
    """
    Return names and reasons as tuples.

    Parameters
    ----------
    problems : iterable of object
        Lists of two texts, as JSON has them.
    where : str
        Where they are from, for error messages.

    Returns
    -------
    tuple of tuple of str
        In the same order.

    Raises
    ------
    ConfigError
        If an entry is something else.
    """
    return tuple(_pair(each, where) for each in problems)


def _pair(values: object, where: str) -> tuple[str, str]:
    if isinstance(values, list) and len(values) == 2:
        name, reason = values
        if isinstance(name, str) and isinstance(reason, str):
            return name, reason
    msg = f"{where}: problems: expected name and reason, got {values!r:.80}"
    raise ConfigError(msg)
