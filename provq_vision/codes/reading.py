"""What does a file of codes hold, and is it whole?"""

import hashlib
import io
import json
import tokenize
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from provq_protein.errors import ConfigError, ImageError, TokenFormatError
from provq_vision.codes.settings import CodeSettings
from provq_vision.codes.shards import (
    CODES,
    HEAD,
    LABELS,
    NAMES,
    PROBLEMS,
    code_dtype,
    shard_path,
)
from provq_vision.images.decoding import ImageProblem
from provq_vision.images.places import Archives, Place, archive_members

_HASHED = (CODES, LABELS, NAMES, PROBLEMS)
# More than NumPy writes before any array of codes.
_MOST_HEADER = 4096
# What NumPy raises for a damaged description of an array.
_DAMAGE = (
    ValueError,
    SyntaxError,
    TypeError,
    OverflowError,
    EOFError,
    RecursionError,
    MemoryError,
    Warning,
    tokenize.TokenError,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class Shard:
    """
    A file of codes: all that is in it but the codes, and where these are.

    Parameters
    ----------
    names : tuple of str
        Of the images that could be read.
    labels : ndarray, shape=(image,), dtype=int64
        Their classes.
    problems : tuple of ImageProblem
        The images that could not be read.
    place : Place
        Of the array of codes in the file.
    start : int
        Bytes of the array before the first code.
    sha256 : str
        Hash of the array as it was written.
    digest : str
        Hash of all that was written.
    """

    names: tuple[str, ...]
    labels: NDArray[np.int64]
    problems: tuple[ImageProblem, ...]
    place: Place
    start: int
    sha256: str
    digest: str


class _Head(NamedTuple):
    """What ``shard.json`` says: whose shard this is, and the hashes of the other members."""

    settings: str
    shard: int
    sha256: dict[str, str]


def read_shard(folder: Path, settings: CodeSettings, number: int) -> Shard:
    """
    Read all of a shard but its codes.

    Parameters
    ----------
    folder : Path
        Of the codes.
    settings : CodeSettings
        Of the folder.
    number : int
        Of the shard, from 0.

    Returns
    -------
    Shard
        What was read is what was written.

    Raises
    ------
    TokenFormatError
        If the file is damaged, or no shard of codes.
    ConfigError
        If it is another shard, or one of other codes.
    OSError
        If it cannot be read.
    """
    path = shard_path(folder, number)
    places = _places(path)
    files = Archives()
    data = files.read(places[HEAD])
    head = _head(path, data)
    if (head.settings, head.shard) != (settings.content_hash(), number):
        msg = (
            f"{path}: is shard {head.shard} of the codes {head.settings[:16]}; expected shard "
            f"{number} of {settings.content_hash()[:16]}, as codes.json says; move it away"
        )
        raise ConfigError(msg)
    content = {name: files.read(places[name]) for name in (LABELS, NAMES, PROBLEMS)}
    for name, found in content.items():
        if hashlib.sha256(found).hexdigest() != head.sha256[name]:
            raise _damaged(path, f"{name} is not as it was written")
    names, problems = _names(path, content[NAMES]), _problems(path, content[PROBLEMS])
    if len(names) + len(problems) != len(settings.members(number)):
        raise _damaged(path, f"{len(names)} and {len(problems)} images are not those of the shard")
    place = places[CODES]
    begin = files.read(place._replace(size=min(place.size, _MOST_HEADER)))
    shape = (len(names), settings.views, settings.grid, settings.grid)
    return Shard(
        names=names,
        labels=_labels(path, content[LABELS], len(names), len(settings.classes)),
        problems=problems,
        place=place,
        start=_start(path, CODES, begin, place.size, code_dtype(settings.vocabulary), shape),
        sha256=head.sha256[CODES],
        digest=hashlib.sha256(data).hexdigest(),
    )


def read_codes(shard: Shard, settings: CodeSettings) -> NDArray[np.int64]:
    """
    Read all codes of a shard.

    Parameters
    ----------
    shard : Shard
        Which.
    settings : CodeSettings
        Of its folder.

    Returns
    -------
    ndarray, shape=(image, view, row, column), dtype=int64
        What was written, in ``[0, vocabulary)``.

    Raises
    ------
    TokenFormatError
        If the file is damaged.
    OSError
        If it cannot be read.
    """
    path = shard.place.path
    data = Archives().read(shard.place)
    if hashlib.sha256(data).hexdigest() != shard.sha256:
        raise _damaged(path, f"{CODES} is not as it was written")
    flat = np.frombuffer(data, code_dtype(settings.vocabulary), offset=shard.start)
    shape = (len(shard.names), settings.views, settings.grid, settings.grid)
    return checked_codes(path, flat, settings.vocabulary).reshape(shape)


def checked_codes(path: Path, codes: NDArray[Any], vocabulary: int) -> NDArray[np.int64]:
    """
    Refuse codes that the tokenizer does not have.

    Parameters
    ----------
    path : Path
        Where they are from.
    codes : ndarray, dtype=int
        As stored.
    vocabulary : int
        How many codes there are.

    Returns
    -------
    ndarray, dtype=int64
        The same.

    Raises
    ------
    TokenFormatError
        If one is outside of ``[0, vocabulary)``.
    """
    if codes.size and not 0 <= codes.min() <= codes.max() < vocabulary:
        raise _damaged(path, f"codes from {codes.min()} to {codes.max()}; there are {vocabulary}")
    return codes.astype(np.int64)


def _damaged(path: Path, problem: str) -> TokenFormatError:
    msg = (
        f"{path}: truncated or damaged: {problem}; provq-vision extract-codes, with the options "
        "that began the folder, makes the file again"
    )
    return TokenFormatError(msg)


def _places(path: Path) -> dict[str, Place]:
    try:
        members = list(archive_members(path))
    except ImageError as error:
        raise _damaged(path, str(error).removeprefix(f"{path}: ")) from error
    names = [name for name, _ in members]
    if sorted(names) != sorted((HEAD, *_HASHED)):
        raise _damaged(path, f"expected {', '.join((HEAD, *_HASHED))}, got {names!r:.80}")
    return dict(members)


def _json(path: Path, name: str, data: bytes) -> Any:  # noqa: ANN401 (any JSON value)
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise _damaged(path, f"{name} is not JSON") from error


def _head(path: Path, data: bytes) -> _Head:
    match _json(path, HEAD, data):
        case {"settings": str(settings), "shard": int(shard), "sha256": dict(sha256)}:
            if sha256.keys() == set(_HASHED):
                return _Head(settings, shard, sha256)
    raise _damaged(path, f"{HEAD} does not say what the file holds")


def _names(path: Path, data: bytes) -> tuple[str, ...]:
    found = _json(path, NAMES, data)
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise _damaged(path, f"{NAMES} is no list of names")
    return tuple(found)


def _problems(path: Path, data: bytes) -> tuple[ImageProblem, ...]:
    found = _json(path, PROBLEMS, data)
    problems = []
    for row in found if isinstance(found, list) else [found]:
        match row:
            case [str(name), str(reason)]:
                problems.append(ImageProblem(name, reason))
            case _:
                raise _damaged(path, f"{PROBLEMS} is no list of names and reasons")
    return tuple(problems)


def _labels(path: Path, data: bytes, count: int, classes: int) -> NDArray[np.int64]:
    dtype = np.dtype("<i8")
    start = _start(path, LABELS, data, len(data), dtype, (count,))
    labels = np.frombuffer(data, dtype, offset=start).astype(np.int64)
    if count and not 0 <= labels.min() <= labels.max() < classes:
        raise _damaged(path, f"labels from {labels.min()} to {labels.max()} of {classes} classes")
    return labels


def _start(
    path: Path,
    name: str,
    begin: bytes,
    size: int,
    dtype: np.dtype[Any],
    shape: tuple[int, ...],
) -> int:
    """Return how many bytes stand before the values of an array that must be as expected."""
    stream = io.BytesIO(begin)
    try:
        version = np.lib.format.read_magic(stream)
        found = np.lib.format.read_array_header_1_0(stream)
    except _DAMAGE as error:
        raise _damaged(path, f"{name} is no array") from error
    whole = stream.tell() + int(np.prod(shape)) * dtype.itemsize
    if (version, found, size) != ((1, 0), (shape, False, dtype), whole):
        raise _damaged(path, f"{name} is no array of {dtype} {shape}, or cut short")
    return stream.tell()
