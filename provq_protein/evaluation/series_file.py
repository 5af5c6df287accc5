"""How is the token series of a chain stored in, and read from, an ``.npz`` archive?"""

from pathlib import Path
from typing import Any

import numpy as np

from provq_protein.errors import TokenFormatError
from provq_protein.evaluation.token_series import TokenSeries
from provq_protein.runs.files import replacing
from provq_protein.tokens.npz import read_archive

FORMAT_NAME = "provq-token-series"
FORMAT_VERSION = 1

_ARRAYS = ("ids", "resolved", "frames", "times", "author_numbers", "label_numbers", "rmsf")
_TEXT_PER_RESIDUE = ("residue_names", "insertion_codes")
_TEXT = ("sequence", "chain_id", "label_chain_id", "source", "fingerprint")
_SIZE = "codebook_size"
_CODES = "codes"
_DTYPES = {
    "ids": np.int32,
    "resolved": np.bool_,
    "frames": np.int64,
    "times": np.float64,
    "author_numbers": np.int32,
    "label_numbers": np.int32,
    "rmsf": np.float64,
    _CODES: np.float32,
}


def save_series(path: str | Path, series: TokenSeries) -> None:
    """
    Write a token series.

    Parameters
    ----------
    path : str or Path
        File to write or replace; it appears complete or not at all.
    series : TokenSeries
        One chain.

    Raises
    ------
    TokenFormatError
        If the file cannot be written.

    Notes
    -----
    The archive holds the fields of `TokenSeries` under their names, in the dtypes that are said
    there, and ``format`` and ``format_version``. ``codes`` is absent where it is None. numpy
    reads it with ``allow_pickle=False``.
    """
    arrays: dict[str, Any] = {name: getattr(series, name) for name in _ARRAYS}
    for name in (*_TEXT, *_TEXT_PER_RESIDUE):
        arrays[name] = np.array(getattr(series, name), dtype=np.str_)
    if series.codes is not None:
        arrays[_CODES] = series.codes
    try:
        with replacing(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                allow_pickle=False,
                format=np.array(FORMAT_NAME),
                format_version=np.array(FORMAT_VERSION),
                codebook_size=np.array(series.codebook_size),
                **arrays,
            )
    except OSError as error:
        msg = f"{path}: cannot be written: {error.strerror or error}; check the folder"
        raise TokenFormatError(msg) from error


def load_series(path: str | Path) -> TokenSeries:
    """
    Read what `save_series` wrote.

    Parameters
    ----------
    path : str or Path
        The archive.

    Returns
    -------
    TokenSeries
        One chain.

    Raises
    ------
    TokenFormatError
        If the file cannot be read, is damaged, of another kind or of an unknown version.
    """
    file = Path(path)

    def check(form: object, version: object) -> None:
        if form != FORMAT_NAME:
            msg = f"{file}: not a token series: its format is {form!r}, expected {FORMAT_NAME!r}"
            raise TokenFormatError(msg)
        if isinstance(version, bool) or version != FORMAT_VERSION:
            msg = (
                f"{file}: token series version {version!r} is unknown to this release, which "
                f"reads version {FORMAT_VERSION}; install a newer provq"
            )
            raise TokenFormatError(msg)

    required = (*_ARRAYS, *_TEXT_PER_RESIDUE, *_TEXT, _SIZE)
    try:
        found: dict[str, Any] = {}
        found |= read_archive(file, (*required, _CODES), check=check, kind="token series")
    except OSError as error:
        msg = f"{file}: cannot be read: {error.strerror or error}"
        raise TokenFormatError(msg) from error
    missing = [name for name in required if name not in found]
    if missing:
        msg = f"{file}: damaged: {', '.join(missing)} not in the archive"
        raise TokenFormatError(msg)
    for name, dtype in _DTYPES.items():
        if name in found and found[name].dtype != dtype:
            msg = f"{file}: damaged: {name} is {found[name].dtype}, not {np.dtype(dtype).name}"
            raise TokenFormatError(msg)
    try:
        fields = {name: found[name] for name in _ARRAYS}
        fields |= {name: tuple(found[name].tolist()) for name in _TEXT_PER_RESIDUE}
        fields |= {name: str(found[name]) for name in _TEXT}
        return TokenSeries(**fields, codebook_size=int(found[_SIZE]), codes=found.get(_CODES))
    except (ValueError, TypeError, IndexError) as error:
        msg = f"{file}: damaged: {' '.join(str(error).split())}"
        raise TokenFormatError(msg) from error
