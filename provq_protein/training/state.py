"""What is kept of an unfinished run, and what may go on from it?"""

import platform
import shutil
import sys
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import torch

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.quantize.distributed import on_first
from provq_protein.runs import checkpoint
from provq_protein.runs.config import to_mapping
from provq_protein.training.averages import WeightAverages
from provq_protein.training.config import TrainingConfig, training_config
from provq_protein.training.optimizer import optimizer_tensors, restore_optimizer

_OPTIMIZER = "optimizer.safetensors"
_AVERAGES = "averages.safetensors"
_STATE = "state.json"

Document = dict[str, Any]


def save_state(
    folder: Path,
    document: Mapping[str, Any],
    *,
    model: StructureAutoencoder,
    optimizer: torch.optim.Optimizer,
    averages: WeightAverages | None,
) -> None:
    """
    Write a checkpoint, atomically: the last one stays until the new one is whole.

    Parameters
    ----------
    folder : Path
        Where.
    document : mapping
        What else is to be kept, JSON values.
    model : StructureAutoencoder
        Its weights.
    optimizer : Optimizer
        Its moments.
    averages : WeightAverages, optional
        The averaged weights.
    """
    tensors = {
        checkpoint.WEIGHTS: model.state_dict(),
        _OPTIMIZER: optimizer_tensors(model, optimizer),
    }
    if averages is not None:
        tensors[_AVERAGES] = averages.tensors()
    checkpoint.save_folder(folder, tensors, {_STATE: document})


def load_state(
    folder: Path,
    *,
    model: StructureAutoencoder,
    optimizer: torch.optim.Optimizer,
    averages: WeightAverages | None,
) -> None:
    """
    Put back what `save_state` wrote.

    Parameters
    ----------
    folder : Path
        The checkpoint.
    model : StructureAutoencoder
        Gets the weights.
    optimizer : Optimizer
        Gets the moments.
    averages : WeightAverages, optional
        Gets the averaged weights; those of a run that averaged nothing so far start now.

    Raises
    ------
    CheckpointError
        If a file is damaged or is of another architecture.
    """
    tensors = checkpoint.load_tensors(folder / checkpoint.WEIGHTS)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:300]
        msg = (
            f"{folder}: weights do not fit the recipe: it describes another architecture than "
            f"the run's; choose another --output ({first})"
        )
        raise CheckpointError(msg) from error
    try:
        restore_optimizer(model, optimizer, checkpoint.load_tensors(folder / _OPTIMIZER))
        if averages is not None and (folder / _AVERAGES).exists():
            averages.restore(checkpoint.load_tensors(folder / _AVERAGES))
        elif averages is not None:
            averages.restart()
    except CheckpointError as error:
        msg = f"{folder}: {error}"
        raise CheckpointError(msg) from error


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
        The document that `save_state` was given; None where there is no checkpoint.
    """
    cut_off = checkpoint.previous(folder)

    def recover() -> None:
        if not folder.exists() and cut_off.exists():
            shutil.copytree(cut_off, folder)

    on_first(recover)
    return checkpoint.load_document(folder / _STATE) if folder.exists() else None


def check_settings(
    folder: Path, document: Document, config: TrainingConfig, *, data_hash: str, amend: bool
) -> dict[str, tuple[Any, Any]]:
    """
    Refuse to go on with a run that was another one.

    Parameters
    ----------
    folder : Path
        The checkpoint, for the message.
    document : dict
        From `find_state`.
    config : TrainingConfig
        What is to be run now.
    data_hash : str
        Of the chain store.
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
    changes = _changes(_recorded(document["recipe"]), to_mapping(config))
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


def _recorded(recipe: Document) -> Document:
    """Recipe of a checkpoint, with settings that came later at what they were by default."""
    try:
        return to_mapping(training_config(recipe, where="checkpoint"))
    except ConfigError:
        return recipe


def _changes(old: Document, new: Document, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Settings that differ between two recipes, by their full names."""
    found = {}
    for key in sorted(old.keys() | new.keys()):
        before, after, name = old.get(key), new.get(key), f"{prefix}{key}"
        if isinstance(before, dict) and isinstance(after, dict):
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
