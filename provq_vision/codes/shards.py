"""How are the codes of some images written to a file, of which rows can be read alone?"""

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from provq_protein.errors import ConfigError
from provq_protein.runs.files import replacing
from provq_vision.codes.settings import CodeSettings
from provq_vision.images.decoding import ImageProblem

# Members of a shard. The first identifies it and holds the hashes of the others.
HEAD, CODES, LABELS = "shard.json", "codes.npy", "labels.npy"
NAMES, PROBLEMS = "names.json", "problems.json"
_LARGEST_SHORT = 2**16


def shard_path(folder: Path, number: int) -> Path:
    """
    Return where the codes of some images are.

    Parameters
    ----------
    folder : Path
        Of the codes.
    number : int
        Of the shard, from 0.

    Returns
    -------
    Path
        Whether it exists or not.

    Examples
    --------
    >>> shard_path(Path("codes"), 7).name
    'codes-00007.tar'
    """
    return folder / f"codes-{number:05d}.tar"


def code_dtype(vocabulary: int) -> np.dtype[Any]:
    """
    Return the numbers that codes are kept in.

    Parameters
    ----------
    vocabulary : int
        How many codes there are.

    Returns
    -------
    dtype
        The same on every machine.

    Examples
    --------
    >>> code_dtype(65_536), code_dtype(65_537)
    (dtype('uint16'), dtype('int32'))
    """
    return np.dtype("<u2" if vocabulary <= _LARGEST_SHORT else "<i4")


def write_shard(
    folder: Path,
    settings: CodeSettings,
    number: int,
    *,
    codes: ArrayLike,
    labels: ArrayLike,
    names: Sequence[str],
    problems: Sequence[ImageProblem] = (),
) -> None:
    """
    Write the codes of some images, whole or not at all.

    Parameters
    ----------
    folder : Path
        It exists.
    settings : CodeSettings
        Of the folder.
    number : int
        Of the shard, from 0.
    codes : array, shape=(image, view, row, column), dtype=int
        Of the images that could be read.
    labels : array, shape=(image,), dtype=int
        Their classes.
    names : sequence of str
        Of the same images.
    problems : sequence of ImageProblem
        The other images of the shard.

    Raises
    ------
    ConfigError
        If these are not the images, views or codes that the settings promise.

    Notes
    -----
    The bytes follow from the arguments alone: neither time nor user is recorded.
    """
    ids, classes = np.asarray(codes), np.asarray(labels)
    shape = (len(names), settings.views, settings.grid, settings.grid)
    expected = len(settings.members(number))
    for what, found, wanted in (
        ("codes", ids.shape, shape),
        ("labels", classes.shape, (len(names),)),
        ("images", len(names) + len(problems), expected),
    ):
        if found != wanted:
            msg = f"shard {number}: {what}: expected {wanted}, got {found}"
            raise ConfigError(msg)
    for what, values, end in (
        ("codes", ids, settings.vocabulary),
        ("labels", classes, len(settings.classes)),
    ):
        if values.size and not 0 <= values.min() <= values.max() < end:
            msg = f"shard {number}: {what} from {values.min()} to {values.max()}; there are {end}"
            raise ConfigError(msg)
    content = {
        CODES: _array_bytes(ids, code_dtype(settings.vocabulary)),
        LABELS: _array_bytes(classes, np.dtype("<i8")),
        NAMES: json.dumps(list(names)).encode(),
        PROBLEMS: json.dumps([list(each) for each in problems]).encode(),
    }
    head = {
        "settings": settings.content_hash(),
        "shard": number,
        "sha256": {name: hashlib.sha256(data).hexdigest() for name, data in content.items()},
    }
    with replacing(shard_path(folder, number)) as temporary:
        _write_tar(temporary, {HEAD: json.dumps(head).encode(), **content})


def write_codes(
    folder: Path,
    settings: CodeSettings,
    codes: ArrayLike,
    labels: ArrayLike,
    names: Sequence[str],
) -> None:
    """
    Write a folder of codes that are in memory already.

    Parameters
    ----------
    folder : Path
        Made if it does not exist.
    settings : CodeSettings
        What the codes are.
    codes : array, shape=(image, view, row, column), dtype=int
        Of all images of the settings.
    labels : array, shape=(image,), dtype=int
        Their classes.
    names : sequence of str
        Of the images.

    Raises
    ------
    ConfigError
        If these are not the images, views or codes that the settings promise.
    """
    ids, classes = np.asarray(codes), np.asarray(labels)
    if not len(ids) == len(classes) == len(names) == settings.n_images:
        msg = (
            f"codes of {len(ids)} images, {len(classes)} labels and {len(names)} names; expected "
            f"{settings.n_images}"
        )
        raise ConfigError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    settings.save(folder)
    for number in range(settings.n_shards):
        rows = slice(settings.members(number).start, settings.members(number).stop)
        write_shard(
            folder, settings, number, codes=ids[rows], labels=classes[rows], names=names[rows]
        )


def _array_bytes(values: NDArray[Any], dtype: np.dtype[Any]) -> bytes:
    stream = io.BytesIO()
    ordered = np.ascontiguousarray(values, dtype=dtype)
    np.lib.format.write_array(stream, ordered, version=(1, 0), allow_pickle=False)
    return stream.getvalue()


def _write_tar(path: Path, content: Mapping[str, bytes]) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in content.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
