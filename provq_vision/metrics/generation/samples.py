"""Which images were generated, and in which batches are they read?"""

import hashlib
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
from torch import Tensor

from provq_protein.errors import ConfigError, ImageError
from provq_vision.images.batches import center_batches
from provq_vision.images.decoding import MOST_PIXELS
from provq_vision.images.listing import ImageSet, open_images
from provq_vision.metrics.generation.archives import DAMAGE

ARRAY = "arr_0"
"""Name of the images in an archive, as published evaluations have it."""

ARCHIVE_SUFFIX = ".npz"
"""By this, files of samples are told from images."""

MAX_BYTES = 256 << 30
"""Size that the images of one file may have, so that no small file can keep a computer busy."""

_CHANNELS = 3
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


class _Part(NamedTuple):
    """The images of one file."""

    path: Path
    total: int
    rows: np.ndarray


class SampleFiles:
    """
    Images of one or several NumPy archives, read a batch at a time.

    Made by `SampleFiles.open`.

    Parameters
    ----------
    parts : sequence of _Part
        Files, and which of their images are meant.
    size : int
        Sides of all images, in pixels.

    Attributes
    ----------
    size : int
        Sides of all images, in pixels.
    """

    def __init__(self, parts: Sequence[_Part], size: int) -> None:
        self._parts = tuple(parts)
        self.size = size

    @classmethod
    def open(cls, paths: Sequence[str | Path]) -> "SampleFiles":
        """
        Open files; only their headers are read.

        Parameters
        ----------
        paths : sequence of str or Path
            NumPy archives with an array ``arr_0`` of shape (image, size, size, 3) and type uint8,
            as evaluations of generated images exchange them. Other arrays are not looked at.

        Returns
        -------
        SampleFiles
            The images of all files, in the order given.

        Raises
        ------
        ImageError
            If a file is missing, damaged, of another kind, without an image or too large, or if
            images have different sizes.
        """
        parts, sizes = [], {}
        for path in map(Path, paths):
            with _reading(path) as (_, shape):
                parts.append(_Part(path, shape[0], np.arange(shape[0])))
                sizes.setdefault(shape[1], path)
        if len(sizes) != 1:
            shown = ", ".join(f"{size} pixels in {path}" for size, path in sizes.items())
            msg = f"samples: expected images of one size, got {shown or 'no file'}"
            raise ImageError(msg)
        return cls(parts, next(iter(sizes)))

    def __len__(self) -> int:
        return sum(len(part.rows) for part in self._parts)

    def limited(self, limit: int) -> "SampleFiles":
        """
        Return some of the images, spread evenly over all.

        Parameters
        ----------
        limit : int
            How many at most.

        Returns
        -------
        SampleFiles
            In the same order.
        """
        chosen = spread(len(self), limit)
        parts, start = [], 0
        for part in self._parts:
            end = start + len(part.rows)
            own = chosen[(chosen >= start) & (chosen < end)] - start
            parts.append(part._replace(rows=part.rows[own]))
            start = end
        return SampleFiles(parts, self.size)

    def content_hash(self) -> str:
        """
        Return a hash of the images; all of them are read.

        Returns
        -------
        str
            SHA-256 in hex, over the size and the pixels.
        """
        digest = hashlib.sha256(f"{self.size}\n".encode())
        for pixels in self.batches(1):
            digest.update(pixels.data)
        return digest.hexdigest()

    def batches(self, batch_size: int) -> Iterator[np.ndarray]:
        """
        Yield the images in order.

        Parameters
        ----------
        batch_size : int
            Images per batch; the last batch of a file may have fewer.

        Yields
        ------
        ndarray, shape=(batch, size, size, 3), dtype=uint8
            Pixels, RGB.

        Raises
        ------
        ImageError
            If a file is damaged, or another one than when it was opened.
        """
        for part in self._parts:
            with _reading(part.path) as (file, shape):
                if shape != (part.total, self.size, self.size, _CHANNELS):
                    msg = f"{part.path}: was replaced after it was opened"
                    raise ImageError(msg)
                yield from _rows(file, part.rows, self.size, batch_size)


Samples = ImageSet | SampleFiles


class SampleBatch(NamedTuple):
    """
    Images that are measured together.

    Parameters
    ----------
    images : Tensor, shape=(batch, 3, size, size), dtype=uint8
        RGB.
    positions : Tensor, shape=(batch,), dtype=int64
        Which images of the set these are.
    problems : tuple of tuple of str
        Name and reason, of images that should have been here and could not be read.
    """

    images: Tensor
    positions: Tensor
    problems: tuple[tuple[str, str], ...]


def open_samples(paths: Sequence[str | Path]) -> Samples:
    """
    Open generated images; none is read yet.

    Parameters
    ----------
    paths : sequence of str or Path
        Either NumPy archives (``.npz``), as `SampleFiles.open` takes them, or folders, tar
        archives and files of images, as `open_images` takes them.

    Returns
    -------
    SampleFiles or ImageSet
        The images of all paths.

    Raises
    ------
    ConfigError
        If both kinds are named, none is, or a path holds no image.
    ImageError
        If a file is damaged or of another kind.
    """
    are_archives = {Path(path).suffix.lower() == ARCHIVE_SUFFIX for path in paths}
    if len(are_archives) > 1:
        msg = f"name either {ARCHIVE_SUFFIX} files of samples or image files, folders and archives"
        raise ConfigError(msg)
    return SampleFiles.open(paths) if True in are_archives else open_images(paths)


def sample_batches(samples: Samples, *, size: int, batch_size: int) -> Iterator[SampleBatch]:
    """
    Yield generated or real images in order.

    Parameters
    ----------
    samples : ImageSet or SampleFiles
        Images of a set are center-cropped; those of files are taken as they are.
    size : int
        Sides in pixels.
    batch_size : int
        Images per batch; some may have fewer.

    Yields
    ------
    SampleBatch
        Images that cannot be read are left out and listed.

    Raises
    ------
    ImageError
        If no image can be read, or the images of files have another size.
    ConfigError
        If a number is impossible.
    """
    if isinstance(samples, ImageSet):
        for batch in center_batches(samples, size=size, batch_size=batch_size):
            problems = tuple((problem.name, problem.reason) for problem in batch.problems)
            yield SampleBatch(batch.images, batch.indices, problems)
        return
    if samples.size != size:
        msg = (
            f"samples have {samples.size} x {samples.size} pixels, expected {size} x {size}; "
            "resizing changes every distance, so sample and compare at one size"
        )
        raise ImageError(msg)
    if batch_size < 1:
        msg = f"batch_size: expected 1 or more, got {batch_size}"
        raise ConfigError(msg)
    start = 0
    for pixels in samples.batches(batch_size):
        images = torch.from_numpy(np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)))
        yield SampleBatch(images, torch.arange(start, start + len(images)), ())
        start += len(images)


def spread(total: int, count: int) -> np.ndarray:
    """
    Return evenly spread positions.

    Parameters
    ----------
    total : int
        Number of positions there are.
    count : int
        How many to choose, at most.

    Returns
    -------
    ndarray, shape=(chosen,), dtype=int64
        Ascending; all of them if `count` is not smaller than `total`.

    Examples
    --------
    >>> spread(10, 4).tolist(), spread(2, 4).tolist()
    ([0, 2, 5, 7], [0, 1])
    """
    chosen = min(total, count)
    return np.arange(chosen) * total // max(chosen, 1)


@contextmanager
def _reading(path: Path) -> Iterator[tuple[IO[bytes], tuple[int, int, int, int]]]:
    """Open the array of images of a file behind its header, and return its shape."""
    try:
        with path.open("rb") as raw, zipfile.ZipFile(raw) as archive:
            entry = archive.getinfo(f"{ARRAY}.npy")
            with archive.open(entry) as file:
                yield file, _shape(path, file, entry.file_size)
    except OSError as error:
        msg = f"{path}: cannot be read: {error.strerror or error}"
        raise ImageError(msg) from error
    except ImageError:
        raise
    except DAMAGE as error:
        reason = " ".join(str(error).split())
        msg = f"{path}: is damaged, or no .npz file with an array {ARRAY!r} of images: {reason}"
        raise ImageError(msg) from error


def _shape(path: Path, file: IO[bytes], declared: int) -> tuple[int, int, int, int]:
    """Read the header of the array, and refuse what are no square images."""
    version = np.lib.format.read_magic(file)
    if version not in _HEADERS:
        msg = f"array format {version} is unknown"
        raise ValueError(msg)
    shape, is_transposed, dtype = _HEADERS[version](file)
    fits = len(shape) == 4 and shape[1] == shape[2] and shape[3] == _CHANNELS
    if not fits or is_transposed or dtype != np.uint8:
        order = ", columns first" if is_transposed else ""
        msg = (
            f"{path}: {ARRAY}: expected uint8 of shape (image, size, size, 3), rows first, got "
            f"{dtype} of {shape}{order}"
        )
        raise ImageError(msg)
    count, size = shape[0], shape[1]
    if not count or not size:
        msg = f"{path}: {ARRAY}: there is no image in it (shape {shape})"
        raise ImageError(msg)
    data = count * size * size * _CHANNELS
    if size * size > MOST_PIXELS or data > MAX_BYTES:
        msg = (
            f"{path}: {count:,} images of {size} pixels are more than the limits of "
            f"{MOST_PIXELS:,} pixels an image and {MAX_BYTES:,} bytes a file"
        )
        raise ImageError(msg)
    if declared != file.tell() + data:
        msg = f"{declared} bytes of {ARRAY}, its header says {file.tell() + data}"
        raise ValueError(msg)
    return count, size, size, _CHANNELS


def _rows(file: IO[bytes], rows: np.ndarray, size: int, batch_size: int) -> Iterator[np.ndarray]:
    """Yield chosen rows of the array whose data begin here; the others are passed over."""
    length = size * size * _CHANNELS
    place = 0
    for start in range(0, len(rows), batch_size):
        pixels = bytearray()
        for row in rows[start : start + batch_size].tolist():
            while place < row:
                _read(file, length)
                place += 1
            pixels += _read(file, length)
            place += 1
        yield np.frombuffer(pixels, dtype=np.uint8).reshape(-1, size, size, _CHANNELS)


def _read(file: IO[bytes], length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        msg = "the data end early"
        raise EOFError(msg)
    return data
