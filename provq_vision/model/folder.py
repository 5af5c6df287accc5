"""How is an image model kept on disk, and do the two files of its folder belong together?"""

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.runs import checkpoint
from provq_protein.runs.config import from_mapping, to_mapping
from provq_vision.model.config import ImageModelConfig

FORMAT = "provq-image-model"
_FINGERPRINT_DIGITS = 16
# Parts that say what an image looks like, not what an index means.
_DECODING = ("decoder.", "post_quant_conv.")


def fingerprint(config: ImageModelConfig, state: Mapping[str, Tensor]) -> str:
    """
    Return 16 hex digits that are equal exactly if ids mean the same.

    Parameters
    ----------
    config : ImageModelConfig
        The sizes.
    state : mapping of str to Tensor
        The state dict of the model.

    Returns
    -------
    str
        SHA-256 over the configuration and the tensors of all parts but the decoder.
    """
    digest = hashlib.sha256(json.dumps(to_mapping(config), sort_keys=True).encode())
    for name in sorted(state):
        if not name.startswith(_DECODING):
            digest.update(name.encode())
            digest.update(_stored(state[name]).contiguous().numpy().tobytes())
    return digest.hexdigest()[:_FINGERPRINT_DIGITS]


def _stored(tensor: Tensor) -> Tensor:
    """Return a tensor as it is kept on disk, whatever precision the model ran in."""
    own = tensor.detach().cpu()
    return own.float() if own.is_floating_point() else own


def write(
    folder: Path,
    config: ImageModelConfig,
    state: Mapping[str, Tensor],
    *,
    training: Mapping[str, Any],
) -> None:
    """
    Write a model folder, whole or not at all.

    Parameters
    ----------
    folder : Path
        Where; replaced if it exists.
    config : ImageModelConfig
        The sizes.
    state : mapping of str to Tensor
        The state dict of the model.
    training : mapping
        How the model was made (JSON values).
    """
    document = {
        "format": FORMAT,
        "format_version": checkpoint.FORMAT_VERSION,
        "fingerprint": fingerprint(config, state),
        "model": to_mapping(config),
        "training": dict(training),
    }
    tensors = {name: _stored(value) for name, value in state.items()}
    checkpoint.save_folder(folder, {checkpoint.WEIGHTS: tensors}, {checkpoint.CONFIG: document})


def read(
    folder: Path, shapes: Callable[[ImageModelConfig], Mapping[str, torch.Size]]
) -> tuple[ImageModelConfig, dict[str, Tensor]]:
    """
    Read a model folder.

    Parameters
    ----------
    folder : Path
        As `write` made it.
    shapes : callable
        Returns names and shapes of the tensors of a model.

    Returns
    -------
    config : ImageModelConfig
        The sizes.
    tensors : dict of str to Tensor
        The weights.

    Raises
    ------
    CheckpointError
        If a file is missing or damaged, of another kind or version, or if the two do not belong
        together.
    """
    if not folder.is_dir():
        parts = f"{checkpoint.WEIGHTS} and {checkpoint.CONFIG}"
        msg = f"{folder}: no such model folder; it should hold {parts}"
        raise CheckpointError(msg)
    document = checkpoint.load_document(folder / checkpoint.CONFIG)
    config = _config(folder, document)
    tensors = checkpoint.load_tensors(folder / checkpoint.WEIGHTS)
    check_shapes(folder / checkpoint.WEIGHTS, shapes(config), tensors)
    found, recorded = fingerprint(config, tensors), document.get("fingerprint")
    if found != recorded:
        msg = (
            f"{folder}: the weights have fingerprint {found}, the configuration records "
            f"{recorded}; the two files do not belong together"
        )
        raise CheckpointError(msg)
    return config, tensors


def _config(folder: Path, document: Mapping[str, Any]) -> ImageModelConfig:
    where = f"{folder / checkpoint.CONFIG}"
    if document.get("format") != FORMAT:
        msg = (
            f"{where}: is no image model (its 'format' is {document.get('format')!r}, expected "
            f"{FORMAT!r})"
        )
        raise CheckpointError(msg)
    version = document.get("format_version")
    if version != checkpoint.FORMAT_VERSION:
        msg = f"{where}: model format {version}; this release reads {checkpoint.FORMAT_VERSION}"
        raise CheckpointError(msg)
    try:
        return from_mapping(ImageModelConfig, document.get("model", {}), where=where)
    except ConfigError as error:
        raise CheckpointError(str(error)) from error


def check_shapes(
    where: Path | str, expected: Mapping[str, torch.Size], tensors: Mapping[str, Tensor]
) -> None:
    """
    Compare tensors with those that a model has.

    Parameters
    ----------
    where : Path or str
        What the tensors are from, for error messages.
    expected : mapping of str to torch.Size
        Names and shapes.
    tensors : mapping of str to Tensor
        What was read.

    Raises
    ------
    CheckpointError
        If a tensor is absent, unknown or of another shape.
    """
    absent = sorted(set(expected) - set(tensors))
    strange = sorted(set(tensors) - set(expected))
    if absent or strange:
        msg = (
            f"{where}: does not fit the model: {len(absent)} tensors are absent {absent[:3]}, "
            f"{len(strange)} unknown {strange[:3]}; was it made with another configuration?"
        )
        raise CheckpointError(msg)
    for name, shape in expected.items():
        if tensors[name].shape != shape:
            got, wanted = tuple(tensors[name].shape), tuple(shape)
            msg = (
                f"{where}: {name} has shape {got}, expected {wanted}; was it made with another "
                "configuration?"
            )
            raise CheckpointError(msg)
