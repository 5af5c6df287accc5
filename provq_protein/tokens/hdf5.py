"""How are token sequences stored in, and read from, an HDF5 file (needs the extra ``h5``)?"""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from provq_protein.errors import TokenFormatError
from provq_protein.extras import require_extra
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

# File names may hold bytes that are no UTF-8; Python keeps them as lone surrogates.
_ENCODING_ERRORS = "surrogatepass"
# The oldest file layout whose structure is checksummed throughout (HDF5 1.10, of 2016). In older
# ones, a damaged byte can send the HDF5 library into an endless loop.
_LAYOUT = ("v110", "v110")


def require_h5py() -> ModuleType:
    """
    Import h5py, or say which extra brings it.

    Returns
    -------
    ModuleType
        The package.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    return require_extra("h5py", extra="h5", purpose="an HDF5 token file")


def write_hdf5(path: Path, tokens: Sequence[TokenSequence]) -> None:
    """
    Write token sequences as flat, compressed data sets.

    Parameters
    ----------
    path : Path
        File to create.
    tokens : sequence of TokenSequence
        Chains, in order.

    Raises
    ------
    MissingExtraError
        If h5py is not installed.

    See Also
    --------
    provq_protein.tokens.table.pack : The layout of the arrays.
    """
    h5py = require_h5py()
    with h5py.File(path, "w", libver=_LAYOUT) as file:
        file.attrs["format"] = np.bytes_(FORMAT_NAME)
        file.attrs["format_version"] = FORMAT_VERSION
        for name, values in pack(tokens).items():
            data, dtype = values, values.dtype
            if values.dtype.kind == "U":
                data = np.char.encode(values.astype(np.str_), "utf-8", _ENCODING_ERRORS)
                # Fixed-length: only then is the text itself compressed, and so checksummed by zlib.
                dtype = h5py.string_dtype("utf-8", max(data.dtype.itemsize, 1))
            file.create_dataset(
                name,
                data=data.astype(dtype),
                dtype=dtype,
                chunks=True if data.size else None,
                compression="gzip" if data.size else None,
            )


def read_hdf5(path: Path) -> list[TokenSequence]:
    """
    Read what `write_hdf5` wrote.

    Parameters
    ----------
    path : Path
        An HDF5 token file.

    Returns
    -------
    list of TokenSequence
        In stored order.

    Raises
    ------
    MissingExtraError
        If h5py is not installed.
    TokenFormatError
        If the file is damaged, of another kind, or of an unknown version.
    """
    h5py = require_h5py()
    # Opened here first: a missing or unreadable file is not a damaged one.
    with path.open("rb"):
        pass
    try:
        table = _arrays(h5py, path)
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, TokenFormatError):
            raise
        msg = f"{path}: truncated or damaged HDF5 file ({type(error).__name__}: {error})"
        raise TokenFormatError(msg) from error
    return unpack(table, file=str(path))


def _arrays(h5py: ModuleType, path: Path) -> dict[str, NDArray[np.generic]]:
    with h5py.File(path, "r") as file:
        if "format" not in file.attrs or "format_version" not in file.attrs:
            msg = f"{path}: not a token file: an HDF5 file that does not name its format"
            raise TokenFormatError(msg)
        name = file.attrs["format"]
        name = name.decode("ascii", "replace") if isinstance(name, bytes) else name
        version = np.asarray(file.attrs["format_version"]).tolist()
        check_format(name, version, file=str(path))
        return {
            name: _values(file[name])
            for name in (*COLUMNS, *OPTIONAL_COLUMNS)
            if name in file and isinstance(file[name], h5py.Dataset)
        }


def _values(dataset: Any) -> NDArray[np.generic]:  # noqa: ANN401 - h5py has no types
    values = np.asarray(dataset[()])
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", _ENCODING_ERRORS)
    return values
