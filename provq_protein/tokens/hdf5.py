"""How are token sequences stored in, and read from, an HDF5 file (needs the extra ``h5``)?"""

import math
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
    OPTIONAL_COLUMNS,
    check_format,
    check_size,
    pack,
    unpack,
    version_of,
)

# File names may hold bytes that are no UTF-8; Python keeps them as lone surrogates.
_ENCODING_ERRORS = "surrogatepass"
# The oldest file layout whose structure is checksummed throughout (HDF5 1.10, of 2016). In older
# ones, a damaged byte can send the HDF5 library into an endless loop.
_LAYOUT = ("v110", "v110")
# What h5py and NumPy raise on damaged bytes.
_DAMAGE = (
    OSError,
    KeyError,
    RuntimeError,
    TypeError,
    ValueError,
    OverflowError,
    AttributeError,
    MemoryError,
)


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
        file.attrs["format_version"] = version_of(tokens)
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
        If the file is damaged, of another kind, or of an unknown version, or if its arrays are
        larger than `provq_protein.tokens.table.MAX_BYTES`.

    Notes
    -----
    Nothing outside the file is read: links to other places, and data sets whose values lie in
    other files, are refused.
    """
    h5py = require_h5py()
    # Opened here first: a missing or unreadable file is not a damaged one.
    with path.open("rb"):
        pass
    try:
        table = _arrays(h5py, path)
    except _DAMAGE as error:
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
        known = (*COLUMNS, *OPTIONAL_COLUMNS)
        datasets = {name: _dataset(h5py, file, name, path) for name in known}
        held = {name: dataset for name, dataset in datasets.items() if dataset is not None}
        check_size(sum(dataset.nbytes for dataset in held.values()), file=str(path))
        return {name: _values(dataset) for name, dataset in held.items()}


def _dataset(h5py: ModuleType, file: Any, name: str, path: Path) -> Any:  # noqa: ANN401
    """Return a data set whose values are all in this very file, or None if there is none."""
    link = file.get(name, getlink=True)
    if link is None:
        return None
    reason = None
    if not isinstance(link, h5py.HardLink):
        reason = "is a link to another place, which is not followed"
    elif not isinstance(file[name], h5py.Dataset):
        reason = "is no data set"
    elif file[name].external or file[name].is_virtual:
        reason = "has its values in another file, which is not opened"
    elif not _is_written(file[name], path.stat().st_size):
        # Else a file of a few bytes could ask for all memory, to be filled with zeros.
        reason = "declares more values than the file holds"
    if reason:
        msg = f"{path}: {name} {reason}; the file is damaged, or was not written by provq"
        raise TokenFormatError(msg)
    return file[name]


def _is_written(dataset: Any, file_size: int) -> bool:  # noqa: ANN401 - h5py has no types
    if not dataset.size:
        return True
    if not dataset.chunks:
        return dataset.id.get_storage_size() >= dataset.nbytes
    pairs = zip(dataset.shape, dataset.chunks, strict=True)
    needed = math.prod(-(-size // chunk) for size, chunk in pairs)
    # Each takes bytes of the file; to count more of them than it could hold would take long.
    return needed <= file_size and dataset.id.get_num_chunks() >= needed


def _values(dataset: Any) -> NDArray[np.generic]:  # noqa: ANN401 - h5py has no types
    values = np.asarray(dataset[()])
    if values.dtype.kind == "S":
        return np.char.decode(values, "utf-8", _ENCODING_ERRORS)
    return values
