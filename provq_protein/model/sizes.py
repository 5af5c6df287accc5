"""Which sizes may the parts of a model have, before anything is built?"""

import dataclasses
from collections.abc import Collection
from typing import Any

from provq_protein.errors import ConfigError

LARGEST_SIZE = 1 << 16
"""Largest width, number of heads and the like."""
LARGEST_CODEBOOK = 1 << 20
"""Most codes."""
MOST_BLOCKS = 64
"""Most blocks of one kind."""


def check_sizes(part: str, config: Any, *, may_be_zero: Collection[str] = ()) -> None:  # noqa: ANN401
    """
    Refuse whole numbers that no part of a model can have.

    Parameters
    ----------
    part : str
        ``"encoder"``, ``"decoder"`` or ``"codebook"``, for the message.
    config : dataclass instance
        The sizes; fields that are no whole numbers are passed over.
    may_be_zero : collection of str
        Fields for which 0 is a choice.

    Raises
    ------
    ConfigError
        If one is too small, or so large that a damaged or hostile configuration must be meant.

    Notes
    -----
    Shapes of weights are compared with a file before memory is spent on them; what is refused
    here would already make that comparison endless.
    """
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        if not isinstance(value, int) or isinstance(value, bool):
            continue
        least = 0 if field.name in may_be_zero else 1
        most = LARGEST_SIZE
        if field.name.endswith("blocks"):
            most = MOST_BLOCKS
        elif (part, field.name) == ("codebook", "size"):
            most = LARGEST_CODEBOOK
        if not least <= value <= most:
            msg = f"{part}: {field.name} must be between {least} and {most:,}, got {value!r:.40}"
            raise ConfigError(msg)
