"""What do the files of a model folder say that takes no tensors to read?"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

from provq_protein.errors import CheckpointError

WEIGHTS = "model.safetensors"
CONFIG = "config.json"
CARD = "README.md"
EXPECTED_SCORES = "expected.json"
FORMAT_VERSION = 1


@dataclass(frozen=True)
class ModelOrigin:
    """
    What a model folder says beside the model.

    Parameters
    ----------
    folder : Path
        Where it lies.
    training : mapping
        How the model was made (JSON values); empty if that is not recorded.
    card : str or None
        The text of its model card; None if it has none.
    expected_scores : str or None
        What says how well it reconstructs; None if nothing does.
    """

    folder: Path
    training: Mapping[str, Any]
    card: str | None
    expected_scores: str | None


def default_model() -> Path:
    """
    Return the folder of the model that is shipped with the package.

    Returns
    -------
    Path
        It exists.

    Raises
    ------
    CheckpointError
        If this installation has none.
    """
    folder = Path(str(resources.files("provq_protein").joinpath("models", "default")))
    if not folder.is_dir():
        msg = (
            f"{folder}: this installation contains no default model; install provq from a "
            "complete wheel, or name a model folder"
        )
        raise CheckpointError(msg)
    return folder


def load_document(path: Path) -> dict[str, Any]:
    """
    Read a JSON object.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    dict
        Its content.

    Raises
    ------
    CheckpointError
        If the file is missing or holds no JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or error
        msg = f"{path}: cannot be read ({reason}); a model folder holds {WEIGHTS} and {CONFIG}"
        raise CheckpointError(msg) from error
    except (ValueError, RecursionError) as error:
        msg = f"{path}: is not JSON: {error}"
        raise CheckpointError(msg) from error
    if not isinstance(document, dict):
        msg = f"{path}: expected a JSON object, got {type(document).__name__}"
        raise CheckpointError(msg)
    return document


def read_origin(folder: Path) -> ModelOrigin:
    """
    Read what a model folder says beside the model.

    Parameters
    ----------
    folder : Path
        A model folder.

    Returns
    -------
    ModelOrigin
        A card that is no text counts as none: the model can be used without it.

    Raises
    ------
    CheckpointError
        If the configuration file is missing or damaged.
    """
    training = load_document(folder / CONFIG).get("training")
    return ModelOrigin(
        folder,
        training if isinstance(training, dict) else {},
        card=_text(folder / CARD),
        expected_scores=_text(folder / EXPECTED_SCORES),
    )


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None


def check_format(folder: Path, document: Mapping[str, Any]) -> None:
    """
    Refuse what is no model configuration, or one of another version.

    Parameters
    ----------
    folder : Path
        The model folder, for error messages.
    document : mapping
        Content of its configuration file.

    Raises
    ------
    CheckpointError
        If it is not one that this release reads.
    """
    where = f"{folder / CONFIG}"
    if document.get("format") != "provq-model":
        msg = f"{where}: is no model configuration (its 'format' is {document.get('format')!r})"
        raise CheckpointError(msg)
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        msg = f"{where}: model format {version}; this release reads {FORMAT_VERSION}"
        raise CheckpointError(msg)


def check_fingerprint(folder: Path, document: Mapping[str, Any], found: str) -> None:
    """
    Compare the fingerprint of loaded weights with the recorded one.

    Parameters
    ----------
    folder : Path
        The model folder, for error messages.
    document : mapping
        Content of its configuration file.
    found : str
        Of the weights.

    Raises
    ------
    CheckpointError
        If they differ.
    """
    recorded = document.get("fingerprint")
    if found != recorded:
        msg = (
            f"{folder}: the weights have fingerprint {found}, the configuration records "
            f"{recorded}; the two files do not belong together"
        )
        raise CheckpointError(msg)
