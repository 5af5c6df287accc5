"""How is an autoregressive model kept on disk, and whose tokens does it draw?"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from provq_protein.errors import CheckpointError, ConfigError, TokenFormatError
from provq_protein.runs import checkpoint
from provq_protein.runs.config import from_mapping, to_mapping
from provq_vision.generation.config import GptConfig
from provq_vision.generation.transformer import Gpt
from provq_vision.model.folder import check_shapes

FORMAT = "provq-image-gpt"
_FINGERPRINT = re.compile(r"[0-9a-f]{16}")
_DIGITS = 16


@dataclass(frozen=True, eq=False)
class TrainedGpt:
    """
    An autoregressive model, and the tokenizer whose tokens it draws.

    Parameters
    ----------
    model : Gpt
        The model.
    tokenizer : str
        Fingerprint of the image tokenizer whose tokens it was trained on, 16 hex digits.
    training : mapping
        How the model was made (JSON values).

    Raises
    ------
    ConfigError
        If `tokenizer` is no fingerprint.
    """

    model: Gpt
    tokenizer: str
    training: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what could belong to no tokenizer."""
        if not isinstance(self.tokenizer, str) or not _FINGERPRINT.fullmatch(self.tokenizer):
            msg = (
                f"tokenizer: expected the fingerprint of an image tokenizer, 16 hex digits, got "
                f"{self.tokenizer!r}"
            )
            raise ConfigError(msg)

    def check_tokenizer(self, fingerprint: str) -> None:
        """
        Refuse a tokenizer to which the ids of this model mean something else.

        Parameters
        ----------
        fingerprint : str
            Of the tokenizer that is to decode them.

        Raises
        ------
        TokenFormatError
            If the model was trained on tokens of another.
        """
        if fingerprint != self.tokenizer:
            msg = (
                f"the autoregressive model was trained on tokens of the tokenizer with "
                f"fingerprint {self.tokenizer}, but this one has {fingerprint}; decode with the "
                "tokenizer of the training, or train again on tokens of this one"
            )
            raise TokenFormatError(msg)

    def fingerprint(self) -> str:
        """
        Return 16 hex digits that are equal exactly if the models are.

        Returns
        -------
        str
            SHA-256 over the configuration and the weights in single precision, as a folder of
            the model records it.
        """
        return _fingerprint(self.model.config, self._tensors())

    def save(self, folder: Path) -> None:
        """
        Write a model folder, whole or not at all.

        Parameters
        ----------
        folder : Path
            Where; replaced if it exists.
        """
        tensors = self._tensors()
        document = {
            "format": FORMAT,
            "format_version": checkpoint.FORMAT_VERSION,
            "fingerprint": _fingerprint(self.model.config, tensors),
            "tokenizer": self.tokenizer,
            "model": to_mapping(self.model.config),
            "training": dict(self.training),
        }
        checkpoint.save_folder(folder, {checkpoint.WEIGHTS: tensors}, {checkpoint.CONFIG: document})

    @classmethod
    def load(cls, folder: Path) -> "TrainedGpt":
        """
        Read a model folder.

        Parameters
        ----------
        folder : Path
            As `save` wrote it.

        Returns
        -------
        TrainedGpt
            The model is in eval mode, on the CPU.

        Raises
        ------
        CheckpointError
            If a file is missing or damaged, of another kind or version, or if the two do not
            belong together.
        """
        if not folder.is_dir():
            parts = f"{checkpoint.WEIGHTS} and {checkpoint.CONFIG}"
            msg = f"{folder}: no such model folder; it should hold {parts}"
            raise CheckpointError(msg)
        where = folder / checkpoint.CONFIG
        document = checkpoint.load_document(where)
        config = _config(where, document)
        tensors = checkpoint.load_tensors(folder / checkpoint.WEIGHTS)
        check_shapes(folder / checkpoint.WEIGHTS, Gpt.shapes(config), tensors)
        found, recorded = _fingerprint(config, tensors), document.get("fingerprint")
        if found != recorded:
            msg = (
                f"{folder}: the weights have fingerprint {found}, the configuration records "
                f"{recorded}; the two files do not belong together"
            )
            raise CheckpointError(msg)
        model = Gpt.build(config)
        model.load_state_dict(tensors)
        training = document.get("training", {})
        try:
            return cls(model, document.get("tokenizer", ""), training)
        except ConfigError as error:
            msg = f"{where}: {error}"
            raise CheckpointError(msg) from error

    def _tensors(self) -> dict[str, Tensor]:
        """Return the weights in single precision, whatever the model runs in."""
        return {name: each.detach().float() for name, each in self.model.state_dict().items()}


def _fingerprint(config: GptConfig, tensors: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256(json.dumps(to_mapping(config), sort_keys=True).encode())
    for name in sorted(tensors):
        digest.update(name.encode())
        digest.update(tensors[name].cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()[:_DIGITS]


def _config(where: Path, document: Mapping[str, Any]) -> GptConfig:
    if document.get("format") != FORMAT:
        msg = (
            f"{where}: is no autoregressive image model (its 'format' is "
            f"{document.get('format')!r}, expected {FORMAT!r})"
        )
        raise CheckpointError(msg)
    version = document.get("format_version")
    if version != checkpoint.FORMAT_VERSION:
        msg = f"{where}: model format {version}; this release reads {checkpoint.FORMAT_VERSION}"
        raise CheckpointError(msg)
    try:
        return from_mapping(GptConfig, document.get("model", {}), where=f"{where}")
    except ConfigError as error:
        raise CheckpointError(str(error)) from error
