"""How are weights and their configuration kept together on disk?"""

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from provq_protein.errors import CheckpointError
from provq_protein.runs.documents import CARD as CARD
from provq_protein.runs.documents import CONFIG as CONFIG
from provq_protein.runs.documents import FORMAT_VERSION as FORMAT_VERSION
from provq_protein.runs.documents import WEIGHTS as WEIGHTS
from provq_protein.runs.documents import load_document as load_document


def save_folder(
    folder: Path,
    tensors: Mapping[str, Mapping[str, Tensor]],
    documents: Mapping[str, Mapping[str, Any]],
    texts: Mapping[str, str] | None = None,
) -> None:
    """
    Write tensor files, JSON files and texts as one folder that appears whole or not at all.

    Parameters
    ----------
    folder : Path
        Where; replaced if it exists.
    tensors : mapping of file name to tensors
        Each written as safetensors.
    documents : mapping of file name to content
        Each written as JSON.
    texts : mapping of file name to text, optional
        Each written in UTF-8.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        for name, content in tensors.items():
            # Clones, because safetensors refuses tensors that share memory.
            own = {key: value.detach().cpu().contiguous().clone() for key, value in content.items()}
            save_file(own, str(temporary / name))
        for name, document in documents.items():
            text = json.dumps(document, indent=2, sort_keys=True)
            (temporary / name).write_text(text + "\n", encoding="utf-8")
        for name, text in (texts or {}).items():
            (temporary / name).write_text(text, encoding="utf-8", newline="\n")
        for path in temporary.iterdir():
            # safetensors and mkdtemp are private by default; an installed model is for everyone.
            path.chmod(0o644)
            _sync(path)
        temporary.chmod(0o755)
        _swap(temporary, folder)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _swap(temporary: Path, folder: Path) -> None:
    """Put the new folder in place; a reader finds the old or the new one, or `recover` does."""
    old = previous(folder)
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.replace(old)
    temporary.replace(folder)
    shutil.rmtree(old, ignore_errors=True)


def previous(folder: Path) -> Path:
    """
    Return where the previous version of a folder lies while it is being replaced.

    Parameters
    ----------
    folder : Path
        The folder that `save_folder` writes.

    Returns
    -------
    Path
        A sibling. It exists only if a replacement was cut off between its two renames.
    """
    return folder.with_name(f"{folder.name}.previous")


def load_tensors(path: Path) -> dict[str, Tensor]:
    """
    Read a safetensors file.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict of str to Tensor
        Its tensors, on the CPU.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged.
    """
    if not path.is_file():
        msg = f"{path}: no such weights file; a model folder holds {WEIGHTS} and {CONFIG}"
        raise CheckpointError(msg)
    try:
        return load_file(str(path))
    except (SafetensorError, OSError, ValueError) as error:
        msg = f"{path}: is not a readable safetensors file: {error}"
        raise CheckpointError(msg) from error
