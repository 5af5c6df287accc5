"""How are packages and weights of others brought in, without running what a file contains?"""

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from provq_protein.errors import CheckpointError, MissingExtraError
from provq_protein.extras import require_extra
from provq_protein.runs.foreign_files import read_foreign


def require_unlisted(module: str, *, purpose: str, install: str) -> ModuleType:
    """
    Import a package that no extra of this distribution can list.

    Parameters
    ----------
    module : str
        Importable name.
    purpose : str
        What the user asked for, in a few words, for the error message.
    install : str
        The command that installs it.

    Returns
    -------
    ModuleType
        The imported module.

    Raises
    ------
    MissingExtraError
        If the package, or something that it imports, is not installed.
    """
    try:
        return require_extra(module, extra="bench", purpose=purpose)
    except MissingExtraError as error:
        msg = f"{purpose}: cannot import {module!r} ({error.__cause__}); install it with: {install}"
        raise MissingExtraError(msg) from error


def read_weights(path: Path) -> dict[str, Any]:
    """
    Read a file of PyTorch weights, refusing anything but numbers.

    Parameters
    ----------
    path : Path
        A file that ``torch.save`` wrote.

    Returns
    -------
    dict
        What the file holds; tensors on the CPU.

    Raises
    ------
    CheckpointError
        If the file is absent or damaged, holds more than tensors and plain values, or is no
        mapping.
    """
    content = read_foreign(path)
    if not isinstance(content, dict):
        msg = f"{path}: expected a mapping of names to tensors, got {type(content).__name__}"
        raise CheckpointError(msg)
    return content


def only_tensors(content: Mapping[str, Any], where: str) -> dict[str, Tensor]:
    """
    Return the tensors of a mapping that must hold nothing else.

    Parameters
    ----------
    content : mapping
        A state dict.
    where : str
        The file, for the message.

    Returns
    -------
    dict of str to Tensor
        The same entries.

    Raises
    ------
    CheckpointError
        If an entry is no tensor.
    """
    for name, value in content.items():
        if not isinstance(value, Tensor):
            msg = f"{where}: entry {name!r}: expected a tensor, got {type(value).__name__}"
            raise CheckpointError(msg)
    return dict(content)
