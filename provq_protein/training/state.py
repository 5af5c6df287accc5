"""What is kept of an unfinished run?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.runs import checkpoint
from provq_protein.runs.averages import WeightAverages
from provq_protein.runs.config import to_mapping
from provq_protein.runs.moments import optimizer_tensors, restore_optimizer
from provq_protein.runs.resuming import STATE, Document
from provq_protein.training.config import training_config

_OPTIMIZER = "optimizer.safetensors"
_AVERAGES = "averages.safetensors"


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
    checkpoint.save_folder(folder, tensors, {STATE: document})


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


def recorded_recipe(recipe: Document) -> Document:
    """
    Return the recipe of a checkpoint.

    Parameters
    ----------
    recipe : dict
        As the checkpoint has it.

    Returns
    -------
    dict
        With settings that came later at what they were by default.
    """
    try:
        return to_mapping(training_config(recipe, where="checkpoint"))
    except ConfigError:
        return recipe
