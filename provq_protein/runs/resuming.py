"""What is known of an unfinished run, and may this one go on with it?"""

import platform
import shutil
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from provq_protein.errors import ConfigError
from provq_protein.quantize.distributed import on_first
from provq_protein.runs import checkpoint

# The document of a checkpoint folder.
STATE = "state.json"

Document = dict[str, Any]


def find_state(folder: Path) -> Document | None:
    """
    Return what a checkpoint says about its run.

    Parameters
    ----------
    folder : Path
        The checkpoint. If its last replacement was cut off, its predecessor takes its place.

    Returns
    -------
    dict or None
        The document ``state.json`` of the folder; None where there is no checkpoint.
    """
    cut_off = checkpoint.previous(folder)

    def recover() -> None:
        if not folder.exists() and cut_off.exists():
            shutil.copytree(cut_off, folder)

    on_first(recover)
    return checkpoint.load_document(folder / STATE) if folder.exists() else None


def check_settings(
    folder: Path,
    document: Mapping[str, Any],
    *,
    recorded: Mapping[str, Any],
    wanted: Mapping[str, Any],
    data_hash: str,
    amend: bool,
) -> dict[str, tuple[Any, Any]]:
    """
    Refuse to go on with a run that was another one.

    Parameters
    ----------
    folder : Path
        The checkpoint, for the message.
    document : mapping
        From `find_state`; its ``data_hash`` is compared.
    recorded : mapping
        The recipe of the run so far, as nested tables.
    wanted : mapping
        The recipe that is to be run now.
    data_hash : str
        Of the data that are to be used now.
    amend : bool
        Allow another recipe.

    Returns
    -------
    dict of str to tuple
        Settings that differ: their full names, what they were and are.

    Raises
    ------
    ConfigError
        If the data differ, or the recipe does and `amend` is False.
    """
    changes = _changes(recorded, wanted)
    if changes and not amend:
        listed = ", ".join(f"{key} was {old}, is {new}" for key, (old, new) in changes.items())
        msg = (
            f"{folder}: was written by a run with other settings ({listed}); choose another "
            "--output, or go on with the new ones by --amend"
        )
        raise ConfigError(msg)
    if document.get("data_hash") != data_hash:
        msg = f"{folder}: was written by a run on other data; choose another --output"
        raise ConfigError(msg)
    return changes


def _changes(
    old: Mapping[str, Any], new: Mapping[str, Any], prefix: str = ""
) -> dict[str, tuple[Any, Any]]:
    """Settings that differ between two recipes, by their full names."""
    found = {}
    for key in sorted(old.keys() | new.keys()):
        before, after, name = old.get(key), new.get(key), f"{prefix}{key}"
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found |= _changes(before, after, f"{name}.")
        elif before != after:
            found[name] = (before, after)
    return found


def surroundings() -> dict[str, Any]:
    """
    Return where a run takes place.

    Returns
    -------
    dict
        Threads, machine and versions; JSON values.
    """
    versions = {"python": sys.version.split()[0], "torch": torch.__version__}
    try:
        versions["provq"] = metadata.version("provq")
    except metadata.PackageNotFoundError:
        versions["provq"] = "source tree"
    return {
        "threads": torch.get_num_threads(),
        "machine": platform.machine(),
        "versions": versions,
    }
