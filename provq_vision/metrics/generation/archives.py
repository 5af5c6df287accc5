"""Which arrays does a NumPy archive hold, if it can be trusted?"""

import struct
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from provq_protein.errors import CheckpointError

MAX_BYTES = 4 << 30
"""Size that arrays may have in memory, so that no small file can fill it."""

DAMAGE = (
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    OverflowError,
    RuntimeError,
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What the zip and array readers raise on damaged bytes, besides OSError."""

_SUFFIX = ".npy"


def array_names(path: Path) -> set[str]:
    """
    Return the names of the arrays of an archive; none is read.

    Parameters
    ----------
    path : Path
        The file.

    Returns
    -------
    set of str
        Names without suffix.

    Raises
    ------
    CheckpointError
        If the file is missing, or no archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            return {name.removesuffix(_SUFFIX) for name in archive.namelist()}
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise CheckpointError(msg) from error
    except DAMAGE as error:
        msg = f"{path}: is no, or a damaged, .npz file: {error}"
        raise CheckpointError(msg) from error


def read_arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    """
    Read some of the arrays of an archive, without unpickling any.

    Parameters
    ----------
    path : Path
        The file.
    names : iterable of str
        Which arrays.

    Returns
    -------
    dict of str to ndarray
        By name.

    Raises
    ------
    CheckpointError
        If the file is missing or damaged, lacks one of the arrays, or declares more than
        `MAX_BYTES` for them.
    """
    try:
        # Opened here: numpy leaves a damaged archive open.
        with path.open("rb") as file, zipfile.ZipFile(file) as archive:
            declared = sum(archive.getinfo(f"{name}{_SUFFIX}").file_size for name in names)
            if declared > MAX_BYTES:
                msg = f"its arrays expand to {declared:,} bytes; at most {MAX_BYTES:,} are read"
                raise ValueError(msg)
            return {name: _array(archive, name) for name in names}
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise CheckpointError(msg) from error
    except (*DAMAGE, MemoryError) as error:
        msg = f"{path}: is damaged, or an archive of another kind: {' '.join(str(error).split())}"
        raise CheckpointError(msg) from error


def _array(archive: zipfile.ZipFile, name: str) -> np.ndarray:
    with archive.open(f"{name}{_SUFFIX}") as file:
        return np.lib.format.read_array(file, allow_pickle=False)
