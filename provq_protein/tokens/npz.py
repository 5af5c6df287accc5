"""How are token sequences stored in, and read from, a NumPy ``.npz`` archive?"""

import sys
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from provq_protein.errors import TokenFormatError
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
    NotImplementedError,
    tokenize.TokenError,
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
            format_version=np.array(version_of(tokens)),
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
        If the file is damaged, of another kind, or of an unknown version, or if its arrays are
        larger than `provq_protein.tokens.table.MAX_BYTES`.
    """

    def check(form: object, version: object) -> None:
        check_format(form, version, file=str(path))

    names = (*COLUMNS, *OPTIONAL_COLUMNS)
    return unpack(read_archive(path, names, check=check, kind="token file"), file=str(path))


def read_archive(
    path: Path,
    names: Sequence[str],
    *,
    check: Callable[[object, object], None],
    kind: str,
) -> dict[str, NDArray[np.generic]]:
    """
    Return arrays of an ``.npz`` archive that says which format and version it has.

    Parameters
    ----------
    path : Path
        The archive.
    names : sequence of str
        Arrays to read, as far as they are there.
    check : callable
        Called with format and version before the arrays are read; raises `TokenFormatError`.
    kind : str
        What the archive should be, for messages.

    Returns
    -------
    dict of str to ndarray
        By name. No array is of objects, and no text has characters that are none.

    Raises
    ------
    TokenFormatError
        If the file is damaged or of another kind, or its arrays are larger than
        `provq_protein.tokens.table.MAX_BYTES`.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            if "format" not in archive or "format_version" not in archive:
                msg = f"{path}: not a {kind}: an .npz archive with {_some(archive.files)}"
                raise TokenFormatError(msg)
            _check_sizes(archive.zip, ("format", "format_version"), path)
            check(*(_array(archive, name, path).tolist() for name in ("format", "format_version")))
            known = [name for name in names if name in archive]
            _check_sizes(archive.zip, known, path)
            return {name: _array(archive, name, path) for name in known}
    except _DAMAGE as error:
        if isinstance(error, TokenFormatError):
            raise
        msg = f"{path}: truncated or damaged .npz file ({type(error).__name__}: {error})"
        raise TokenFormatError(msg) from error


def _check_sizes(archive: zipfile.ZipFile, names: Sequence[str], path: Path) -> None:
    """Refuse arrays that would expand to more than the limit; no more than declared is read."""
    members = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    check_size(sum(members[name].file_size for name in names), file=str(path))


def _array(archive: Mapping[str, object], name: str, path: Path) -> NDArray[np.generic]:
    values = archive[name]
    # NumPy gives back the bytes of a member that does not begin as an array does.
    if not isinstance(values, np.ndarray):
        msg = f"{path}: truncated or damaged .npz file: {name} is no array"
        raise TokenFormatError(msg)
    if values.dtype.kind == "U" and values.size:
        # NumPy takes any four bytes for a character; Python's text does not.
        codes = np.ascontiguousarray(values).reshape(-1).view(np.uint32)
        codes = codes if values.dtype.isnative else codes.byteswap()
        if int(codes.max(initial=0)) > sys.maxunicode:
            msg = f"{path}: truncated or damaged .npz file: {name} has characters that are none"
            raise TokenFormatError(msg)
    return values


def _some(names: list[str]) -> str:
    if not names:
        return "no arrays"
    # A name may be any text, and a message is one line.
    shown = [name if name.isprintable() else ascii(name) for name in names[:5]]
    return "arrays " + ", ".join(shown) + (", ..." if len(names) > 5 else "")
