"""Which bytes does a file hold?"""

import hashlib
from pathlib import Path

from provq_protein.errors import CheckpointError


def file_sha256(path: Path) -> str:
    """
    Return the SHA-256 of a file of weights.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    str
        64 hex digits.

    Raises
    ------
    CheckpointError
        If the file cannot be read.
    """
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        msg = f"{path}: no readable file of weights: {error.strerror or error}"
        raise CheckpointError(msg) from error
