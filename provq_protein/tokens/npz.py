"""How are token sequences stored in, and read from, a NumPy ``.npz`` archive?"""

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provq_protein.errors import TokenFormatError
from provq_protein.tokens.sequence import TokenSequence
from provq_protein.tokens.table import (
    COLUMNS,
    FORMAT_NAME,
    FORMAT_VERSION,
    OPTIONAL_COLUMNS,
    check_format,
    pack,
    unpack,
)

# What the zip and array readers raise on damaged bytes, besides OSError.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,
    SyntaxError,
    TypeError,
    OverflowError,
    MemoryError,
)


def write_npz(path: Path, tokens: Sequence[TokenSequence]) -> None:
    """
    Write token sequences as a compressed archive of flat arrays.

    Parameters
    ----------
    path : Path
        File to create; its name is used as it is, no suffix is added.
    tokens : sequence of TokenSequence
        Chains, in order.

    See Also
    --------
    provq_protein.tokens.table.pack : The layout of the arrays.
    """
    table = pack(tokens)
    with path.open("wb") as file:
        np.savez_compressed(
            file,
            allow_pickle=False,
            format=np.array(FORMAT_NAME),
            format_version=np.array(FORMAT_VERSION),
            **table,
        )


def read_npz(path: Path) -> list[TokenSequence]:
    """
    Read what `write_npz` wrote.

    Parameters
    ----------
    path : Path
        An ``.npz`` token file.

    Returns
    -------
    list of TokenSequence
        In stored order.

    Raises
    ------
    TokenFormatError
        If the file is damaged, of another kind, or of an unknown version.
    """
    try:
        table = _arrays(path)
    except _DAMAGE as error:
        if isinstance(error, TokenFormatError):
            raise
        msg = f"{path}: truncated or damaged .npz file ({type(error).__name__}: {error})"
        raise TokenFormatError(msg) from error
    return unpack(table, file=str(path))


def _arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        if "format" not in archive or "format_version" not in archive:
            msg = f"{path}: not a token file: an .npz archive with {_some(archive.files)}"
            raise TokenFormatError(msg)
        check_format(archive["format"].tolist(), archive["format_version"].tolist(), file=str(path))
        known = (*COLUMNS, *OPTIONAL_COLUMNS)
        return {name: archive[name] for name in known if name in archive}


def _some(names: list[str]) -> str:
    if not names:
        return "no arrays"
    return "arrays " + ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
