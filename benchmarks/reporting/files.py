"""How are the numbers of a benchmark written, and read again?"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from provq_protein.errors import ConfigError


def save_results(path: Path, results: Mapping[str, Any]) -> None:
    """
    Write results, whole or not at all, with each innermost list on one line.

    Parameters
    ----------
    path : Path
        The JSON file; replaced if it exists.
    results : mapping
        JSON values.
    """
    # A table with one line per chain can be read, and its changes reviewed.
    compact: dict[str, str] = {}

    def shorten(value: object) -> object:
        if isinstance(value, Mapping):
            return {key: shorten(one) for key, one in value.items()}
        if isinstance(value, list) and not any(isinstance(one, list | Mapping) for one in value):
            key = f"@{len(compact)}@"
            compact[key] = json.dumps(value, ensure_ascii=False)
            return key
        return [shorten(one) for one in value] if isinstance(value, list) else value

    text = json.dumps(shorten(results), indent=1, ensure_ascii=False)
    for key, line in reversed(compact.items()):
        text = text.replace(f'"{key}"', line)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        temporary.write_text(text + "\n", encoding="utf-8")
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def load_results(path: Path, *, kind: str, version: int, advice: str) -> dict[str, Any]:
    """
    Read results.

    Parameters
    ----------
    path : Path
        As `save_results` wrote it.
    kind : str
        What its entry ``format`` must be.
    version : int
        What its entry ``format_version`` must be.
    advice : str
        How to make such a file, for error messages.

    Returns
    -------
    dict
        JSON values.

    Raises
    ------
    ConfigError
        If there is no such file, or it holds something else.
    """
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: is no results file ({error}); {advice}"
        raise ConfigError(msg) from error
    if not isinstance(results, dict) or results.get("format") != kind:
        msg = f"{path}: is no results file of format {kind}; {advice}"
        raise ConfigError(msg)
    if results.get("format_version") != version:
        found = results.get("format_version")
        msg = f"{path}: results format {found}; this release reads {version}; {advice}"
        raise ConfigError(msg)
    return results


def load_sets(
    folder: Path, names: Iterable[str], *, kind: str, version: int, advice: str
) -> dict[str, dict[str, Any]]:
    """
    Read the results of several sets, one file each.

    Parameters
    ----------
    folder : Path
        Where they are, as ``NAME.json``.
    names : iterable of str
        Of the sets. A set without a file has not been measured and is left out.
    kind, version, advice
        As `load_results` takes them.

    Returns
    -------
    dict
        JSON values by the name of the set, in the order of the names.

    Raises
    ------
    ConfigError
        If a file holds something else.
    """
    paths = {name: folder / f"{name}.json" for name in names}
    return {
        name: load_results(path, kind=kind, version=version, advice=advice)
        for name, path in paths.items()
        if path.exists()
    }
