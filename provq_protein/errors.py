"""Every exception that provq raises on purpose."""


class ProvqError(Exception):
    """Base of all errors that a user of provq can cause or meet."""


class StructureError(ProvqError, ValueError):
    """A structure file or backbone array cannot be used."""


class TokenFormatError(ProvqError, ValueError):
    """A token file or token array is malformed, or belongs to another tokenizer."""


class ImageError(ProvqError, ValueError):
    """An image file, set of images or image array cannot be used."""


class ConfigError(ProvqError, ValueError):
    """A recipe or model configuration has an unknown, missing or impossible value."""


class CheckpointError(ProvqError, ValueError):
    """A model folder or training checkpoint is missing, damaged or inconsistent."""


class MissingExtraError(ProvqError, ImportError):
    """An optional package is needed; the message names the extra that brings it."""
