"""Protein structures to discrete tokens and back, with a trained model included."""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provq_protein.errors import CheckpointError as CheckpointError
    from provq_protein.errors import ConfigError as ConfigError
    from provq_protein.errors import MissingExtraError as MissingExtraError
    from provq_protein.errors import ProvqError as ProvqError
    from provq_protein.errors import StructureError as StructureError
    from provq_protein.errors import TokenFormatError as TokenFormatError
    from provq_protein.structure.backbone import Backbone as Backbone
    from provq_protein.structure.policies import ResiduePolicy as ResiduePolicy
    from provq_protein.structure.reading import read_backbones as read_backbones
    from provq_protein.tokenizer import StructureTokenizer as StructureTokenizer
    from provq_protein.tokens.formats import load_tokens as load_tokens
    from provq_protein.tokens.formats import save_tokens as save_tokens
    from provq_protein.tokens.sequence import TokenSequence as TokenSequence
    from provq_protein.vocabulary.model_inputs import ModelInputs as ModelInputs
    from provq_protein.vocabulary.vocabulary import Vocabulary as Vocabulary

__all__ = [
    "Backbone",
    "CheckpointError",
    "ConfigError",
    "MissingExtraError",
    "ModelInputs",
    "ProvqError",
    "ResiduePolicy",
    "StructureError",
    "StructureTokenizer",
    "TokenFormatError",
    "TokenSequence",
    "Vocabulary",
    "load_tokens",
    "read_backbones",
    "save_tokens",
]

# Where each public name lives. It is imported on first use, so that `import provq_protein`, and
# with it the command line's help, does not wait for torch.
_HOME = {
    "Backbone": "provq_protein.structure.backbone",
    "CheckpointError": "provq_protein.errors",
    "ConfigError": "provq_protein.errors",
    "MissingExtraError": "provq_protein.errors",
    "ModelInputs": "provq_protein.vocabulary.model_inputs",
    "ProvqError": "provq_protein.errors",
    "ResiduePolicy": "provq_protein.structure.policies",
    "StructureError": "provq_protein.errors",
    "StructureTokenizer": "provq_protein.tokenizer",
    "TokenFormatError": "provq_protein.errors",
    "TokenSequence": "provq_protein.tokens.sequence",
    "Vocabulary": "provq_protein.vocabulary.vocabulary",
    "load_tokens": "provq_protein.tokens.formats",
    "read_backbones": "provq_protein.structure.reading",
    "save_tokens": "provq_protein.tokens.formats",
}

try:
    __version__ = metadata.version("provq")
except metadata.PackageNotFoundError:  # a source tree that is on the path but not installed
    __version__ = "0+unknown"


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name not in _HOME:
        msg = f"module {__name__!r} has no attribute {name!r}"
        raise AttributeError(msg)
    value = getattr(import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
