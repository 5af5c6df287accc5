"""Images to discrete tokens and back, around the quantizer core of provq_protein."""

from importlib import import_module, metadata
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from provq_protein.errors import CheckpointError as CheckpointError
    from provq_protein.errors import ConfigError as ConfigError
    from provq_protein.errors import ImageError as ImageError
    from provq_protein.errors import MissingExtraError as MissingExtraError
    from provq_protein.errors import ProvqError as ProvqError
    from provq_protein.errors import TokenFormatError as TokenFormatError
    from provq_vision.images.listing import open_images as open_images
    from provq_vision.tokenizer import ImageTokenizer as ImageTokenizer
    from provq_vision.tokens import ImageTokens as ImageTokens

__all__ = [
    "CheckpointError",
    "ConfigError",
    "ImageError",
    "ImageTokenizer",
    "ImageTokens",
    "MissingExtraError",
    "ProvqError",
    "TokenFormatError",
    "open_images",
]

# Where each public name lives. It is imported on first use, so that `import provq_vision`, and
# with it the command line's help, does not wait for torch.
_HOME = {
    "CheckpointError": "provq_protein.errors",
    "ConfigError": "provq_protein.errors",
    "ImageError": "provq_protein.errors",
    "ImageTokenizer": "provq_vision.tokenizer",
    "ImageTokens": "provq_vision.tokens",
    "MissingExtraError": "provq_protein.errors",
    "ProvqError": "provq_protein.errors",
    "TokenFormatError": "provq_protein.errors",
    "open_images": "provq_vision.images.listing",
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
