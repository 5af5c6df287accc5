"""Do the two files of a model folder belong to each other and to this release?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.model.config import ModelConfig
from provq_protein.runs import checkpoint
from provq_protein.runs.config import from_mapping
from provq_protein.runs.documents import check_fingerprint as check_fingerprint
from provq_protein.runs.documents import check_format


def model_config(folder: Path, document: Mapping[str, Any]) -> ModelConfig:
    """
    Read the sizes of a model from its configuration file.

    Parameters
    ----------
    folder : Path
        The model folder, for error messages.
    document : mapping
        Content of its configuration file.

    Returns
    -------
    ModelConfig
        The parts and their sizes.

    Raises
    ------
    CheckpointError
        If it is no model configuration, of another format version, or does not fit together.
    """
    where = f"{folder / checkpoint.CONFIG}"
    check_format(folder, document)
    try:
        return from_mapping(ModelConfig, document.get("model", {}), where=where)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def check_shapes(
    folder: Path, expected: Mapping[str, torch.Size], tensors: Mapping[str, Tensor]
) -> None:
    """
    Compare the tensors of a weights file with those that its configuration asks for.

    Parameters
    ----------
    folder : Path
        The model folder, for error messages.
    expected : mapping of str to torch.Size
        Names and shapes.
    tensors : mapping of str to Tensor
        Content of the weights file.

    Raises
    ------
    CheckpointError
        If a tensor is absent, unknown or of another shape.
    """
    path = folder / checkpoint.WEIGHTS
    absent = sorted(set(expected) - set(tensors))
    strange = sorted(set(tensors) - set(expected))
    if absent or strange:
        msg = f"{path}: does not fit its configuration: absent {absent[:3]}, unknown {strange[:3]}"
        raise CheckpointError(msg)
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            msg = f"{path}: {name} has shape {tuple(tensors[name].shape)}, expected {tuple(shape)}"
            raise CheckpointError(msg)
