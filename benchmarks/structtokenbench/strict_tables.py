"""How does a TOML table of the package become checked values?"""

import tomllib
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

from provq_protein.errors import ConfigError


def read_tables(source: str | Path) -> dict[str, Any]:
    """
    Return the content of a TOML file.

    Parameters
    ----------
    source : str or Path
        Name of a file of the package's ``tables`` folder, or the path of another file.

    Returns
    -------
    dict
        The parsed file.

    Raises
    ------
    ConfigError
        If the file is missing or no TOML.
    """
    place = files("structtokenbench") / "tables" / source if isinstance(source, str) else source
    try:
        return tomllib.loads(place.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        msg = f"{source}: no such file; check the path"
        raise ConfigError(msg) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        msg = f"{source}: cannot be read as TOML: {error}"
        raise ConfigError(msg) from error


def check_keys(
    table: Mapping[str, Any], expected: Mapping[str, type | tuple[type, ...]], where: str
) -> None:
    """
    Refuse a table with an unknown key, a missing key or a value of another type.

    Parameters
    ----------
    table : mapping of str to Any
        What was read.
    expected : mapping of str to type or tuple of type
        Every key that there must be, and the type of its value.
    where : str
        File and table, for the message.

    Raises
    ------
    ConfigError
        With the offending key.

    Examples
    --------
    >>> check_keys({"name": "Con"}, {"name": str}, "tasks.toml")
    """
    unknown = sorted(set(table) - set(expected))
    missing = sorted(set(expected) - set(table))
    if unknown or missing:
        msg = (
            f"{where}: unknown keys {unknown}, missing keys {missing}; "
            f"expected exactly {', '.join(expected)}"
        )
        raise ConfigError(msg)
    for key, kind in expected.items():
        value = table[key]
        # bool is an int to Python, but no number to whoever wrote the file.
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            kinds = kind if isinstance(kind, tuple) else (kind,)
            names = " or ".join(one.__name__ for one in kinds)
            msg = f"{where}: {key} must be {names}, got {value!r}"
            raise ConfigError(msg)


def one_of(value: str, allowed: tuple[str, ...], where: str) -> None:
    """
    Refuse a word that is not in a list.

    Parameters
    ----------
    value : str
        What was read.
    allowed : tuple of str
        What could have been.
    where : str
        File, table and key, for the message.

    Raises
    ------
    ConfigError
        If the word is not allowed.
    """
    if value not in allowed:
        msg = f"{where} must be one of {', '.join(allowed)}, got {value!r}"
        raise ConfigError(msg)
