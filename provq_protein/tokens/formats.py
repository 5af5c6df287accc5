"""Which file format holds token sequences, and how are they saved and loaded safely?"""

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from provq_protein.errors import ConfigError, TokenFormatError
from provq_protein.runs.files import check_output as check_file
from provq_protein.runs.files import replacing
from provq_protein.tokens.hdf5 import read_hdf5, require_h5py, write_hdf5
from provq_protein.tokens.jsonl import read_jsonl, write_jsonl
from provq_protein.tokens.npz import read_npz, write_npz
from provq_protein.tokens.parquet import read_parquet, require_pyarrow, write_parquet
from provq_protein.tokens.sequence import TokenSequence
from provq_protein.tokens.table import FORMAT_VERSION as FORMAT_VERSION

FORMATS = ("npz", "h5", "jsonl", "parquet")

_FORMAT_OF_SUFFIX = {
    ".npz": "npz",
    ".h5": "h5",
    ".hdf5": "h5",
    ".jsonl": "jsonl",
    ".parquet": "parquet",
}
_WRITERS: dict[str, Callable[[Path, Sequence[TokenSequence]], object]] = {
    "npz": write_npz,
    "h5": write_hdf5,
    "jsonl": write_jsonl,
    "parquet": write_parquet,
}
_READERS: dict[str, Callable[[Path], list[TokenSequence]]] = {
    "npz": read_npz,
    "h5": read_hdf5,
    "jsonl": read_jsonl,
    "parquet": read_parquet,
}
_PACKAGE_CHECKS: dict[str, Callable[[], object]] = {"h5": require_h5py, "parquet": require_pyarrow}
_ZIP_MAGIC = b"PK\x03\x04"
_HDF5_MAGIC = b"\x89HDF\r\n\x1a\n"
_PARQUET_MAGIC = b"PAR1"


def output_format(path: str | Path, *, format: str | None = None) -> str:
    """
    Return the format in which a token file of this name is written.

    Parameters
    ----------
    path : str or Path
        File to write.
    format : str, optional
        One of `FORMATS`; decides whatever the suffix is.

    Returns
    -------
    str
        `format`, or what the suffix stands for, or ``"npz"`` if there is no suffix.

    Raises
    ------
    TokenFormatError
        If the suffix, or `format`, is unknown.
    MissingExtraError
        If the format needs a package that is not installed.

    Examples
    --------
    >>> output_format("corpus.jsonl"), output_format("corpus")
    ('jsonl', 'npz')
    """
    path = Path(path)
    if format is None:
        format = _FORMAT_OF_SUFFIX.get(path.suffix.lower()) if path.suffix else "npz"
    if format not in FORMATS:
        what = f"format {format!r}" if format is not None else f"suffix {path.suffix!r}"
        msg = (
            f"{path}: unknown token file {what}; use one of the formats {', '.join(FORMATS)} "
            f"or a suffix of {', '.join(_FORMAT_OF_SUFFIX)}"
        )
        raise TokenFormatError(msg)
    if format in _PACKAGE_CHECKS:
        _PACKAGE_CHECKS[format]()
    return format


def detect_format(path: str | Path) -> str | None:
    """
    Say which token file format a file has, from its first bytes and its suffix.

    Parameters
    ----------
    path : str or Path
        An existing file.

    Returns
    -------
    str or None
        One of `FORMATS`; None if this is no token file.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(64)
    if head.startswith(_ZIP_MAGIC):
        return "npz"
    if head.startswith(_HDF5_MAGIC):
        return "h5"
    if head.startswith(_PARQUET_MAGIC):
        return "parquet"
    if path.suffix.lower() == ".jsonl" or head.lstrip().startswith(b"{"):
        return "jsonl"
    return None


def save_tokens(
    path: str | Path,
    tokens: Iterable[TokenSequence],
    *,
    format: str | None = None,
    overwrite: bool = False,
) -> None:
    """
    Save token sequences to one file.

    Parameters
    ----------
    path : str or Path
        File to write. The name is used as it is, no suffix is added.
    tokens : iterable of TokenSequence
        Chains, in order; may be empty.
    format : {"npz", "h5", "jsonl", "parquet"}, optional
        By default what the suffix stands for, or ``"npz"`` if there is none. All hold the same
        information.
    overwrite : bool, optional
        Whether an existing file may be replaced.

    Raises
    ------
    TokenFormatError
        If the suffix or format is unknown, or the file exists and `overwrite` is False.
    MissingExtraError
        If the format needs a package (h5py, pyarrow) that is not installed.

    Notes
    -----
    The file appears under its name only when it is complete: it is written next to it, and
    then renamed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_tokens(f"{folder}/none.npz", [])
    ...     load_tokens(f"{folder}/none.npz")
    []
    """
    path = Path(path)
    write = _WRITERS[output_format(path, format=format)]
    check_output(path, overwrite=overwrite)
    with replacing(path) as temporary:
        write(temporary, list(tokens))


def load_tokens(path: str | Path) -> list[TokenSequence]:
    """
    Load the token sequences of one file.

    Parameters
    ----------
    path : str or Path
        A file written by `save_tokens` or ``provq-protein encode``; its format is told by
        its content, not by its name.

    Returns
    -------
    list of TokenSequence
        One per chain, in stored order.

    Raises
    ------
    TokenFormatError
        If the file is absent, damaged, no token file, or of an unknown version.
    MissingExtraError
        If the format needs a package (h5py, pyarrow) that is not installed.
    """
    path = Path(path)
    try:
        if path.is_dir():
            msg = f"{path}: is a directory; pass a token file"
            raise TokenFormatError(msg)
        format = detect_format(path)
        if format is None:
            empty = path.stat().st_size == 0
            expected = ", ".join(_FORMAT_OF_SUFFIX)
            msg = f"{path}: {'empty file' if empty else 'not a token file'}; expected {expected}"
            raise TokenFormatError(msg)
        return _READERS[format](path)
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise TokenFormatError(msg) from error


def check_output(path: str | Path, *, overwrite: bool) -> None:
    """
    Refuse an output file that could not, or should not, be written.

    Parameters
    ----------
    path : str or Path
        File to write.
    overwrite : bool
        Whether it may exist.

    Raises
    ------
    TokenFormatError
        If its folder does not exist or is not writable, or it is no regular file, or it
        exists and `overwrite` is False.
    """
    try:
        check_file(Path(path), overwrite=overwrite)
    except ConfigError as error:
        raise TokenFormatError(str(error)) from error
