"""Which pixels make up training step n, and which an evaluation?"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from provq_protein.errors import ConfigError, ImageError
from provq_vision.images.crops import center_crop, flip, random_crop
from provq_vision.images.decoding import ImageProblem, decode_image
from provq_vision.images.listing import ImageSet

CROPS = ("adm_random", "center")
CACHE_BYTES = 512 * 2**20
# So many unreadable images in a row are no accident.
_MOST_TRIES = 32
_SHOWN = 3


@dataclass(frozen=True, eq=False)
class ImageBatch:
    """
    Images of one size.

    Parameters
    ----------
    images : Tensor, shape=(batch, 3, size, size), dtype=uint8
        RGB.
    labels : Tensor, shape=(batch,), dtype=int64
        Class numbers; -1 without one.
    indices : Tensor, shape=(batch,), dtype=int64
        Which images of the set these are.
    problems : tuple of ImageProblem
        Images that should have been here and could not be read.
    """

    images: Tensor
    labels: Tensor
    indices: Tensor
    problems: tuple[ImageProblem, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device) -> "ImageBatch":
        """
        Return the batch on a device.

        Parameters
        ----------
        device : torch.device
            Where.

        Returns
        -------
        ImageBatch
            Shares the tensors that are there already.
        """
        moved = (
            part.to(device, non_blocking=True) for part in (self.images, self.labels, self.indices)
        )
        return ImageBatch(*moved, problems=self.problems)

    def part(self, number: int, of: int) -> "ImageBatch":
        """
        Return some of the images: one of several parts of about as many each.

        Parameters
        ----------
        number : int
            Which part, from 0.
        of : int
            How many there are. Together they hold every image once, in order.

        Returns
        -------
        ImageBatch
            With all problems of the batch.

        Raises
        ------
        ConfigError
            If there is no such part, or if there are fewer images than parts.
        """
        rows = _rows_of_part(len(self), number, of)
        return ImageBatch(
            self.images[rows], self.labels[rows], self.indices[rows], problems=self.problems
        )


def _rows_of_part(count: int, number: int, of: int) -> slice:
    if not 0 <= number < of <= count:
        msg = f"a batch of {count} images has no part {number} of {of}; each needs an image"
        raise ConfigError(msg)
    rows = np.array_split(np.arange(count), of)[number]
    return slice(int(rows[0]), int(rows[-1]) + 1)


class _Pixels:
    """Decoded images of a set; those that came first stay in memory while there is room."""

    def __init__(self, images: ImageSet, cache_bytes: int) -> None:
        self._images = images
        self._free = cache_bytes
        self._kept: dict[int, np.ndarray] = {}
        self._lock = threading.Lock()

    def __getitem__(self, index: int) -> np.ndarray:
        found = self._kept.get(index)
        if found is not None:
            return found
        pixels = decode_image(self._images.read(index), name=self._images.names[index])
        with self._lock:
            if index not in self._kept and pixels.nbytes <= self._free:
                self._free -= pixels.nbytes
                self._kept[index] = pixels
        return pixels


class _Row(NamedTuple):
    """One image of a batch, and those before it that could not be read."""

    image: int
    crop: np.ndarray
    problems: dict[str, str]


class ImagePlan:
    """
    Say which pixels step n trains on: a pure function of the seed and n.

    The images come as a stream of epochs, each a permutation of the set; a batch may reach over
    the end of one. Because nothing but the step number decides, a resumed run sees exactly what
    an unbroken run would have seen, and so do all processes of one training. Threads may share
    a plan.

    Parameters
    ----------
    images : ImageSet
        The training images.
    seed : int
        Decides order, crops and mirroring.
    batch_size : int
        Images per step, over all processes.
    size : int
        Sides of the crops, in pixels.
    crop : str
        "adm_random" (see `random_crop`) or "center" (see `center_crop`).
    flip : bool
        Mirror every other image, at random.
    cache_bytes : int
        Decoded images are kept in memory up to this size; the batches are the same without.
    threads : int
        Decode and crop so many images at a time; the batches are the same with any number.
    """

    def __init__(
        self,
        images: ImageSet,
        *,
        seed: int,
        batch_size: int,
        size: int,
        crop: str = "adm_random",
        flip: bool = True,
        cache_bytes: int = CACHE_BYTES,
        threads: int = 1,
    ) -> None:
        _check_sizes(images, batch_size=batch_size, size=size, threads=threads)
        if crop not in CROPS:
            msg = f"crop: expected one of {', '.join(CROPS)}, got {crop!r}"
            raise ConfigError(msg)
        if seed < 0:
            msg = f"seed: expected 0 or more, got {seed}"
            raise ConfigError(msg)
        self.images = images
        self.seed = seed
        self.batch_size = batch_size
        self.size = size
        self.crop = crop
        self.flip = flip
        self._pixels = _Pixels(images, cache_bytes)
        self._epoch = lru_cache(maxsize=2)(self._order)
        self._pool = ThreadPoolExecutor(threads) if threads > 1 else None

    @property
    def steps_per_epoch(self) -> int:
        """Steps after which every image was seen: images by batch size, rounded up."""
        return -(-len(self.images) // self.batch_size)

    def batch(self, step: int, *, number: int = 0, of: int = 1) -> ImageBatch:
        """
        Return the batch of a step, or a part of it.

        An image that cannot be read is replaced by the next one of its epoch that can.

        Parameters
        ----------
        step : int
            From 0.
        number : int
            Which part, from 0; only its images are read.
        of : int
            How many parts there are.

        Returns
        -------
        ImageBatch
            The same images as ``batch(step).part(number, of)``.

        Raises
        ------
        ImageError
            If most images of the batch cannot be read.
        ConfigError
            If there is no such part.
        """
        part = _rows_of_part(self.batch_size, number, of)
        positions = range(step * self.batch_size + part.start, step * self.batch_size + part.stop)
        run = map if self._pool is None else self._pool.map
        rows = list(run(self._row, positions))
        problems = {name: why for row in rows for name, why in row.problems.items()}
        replaced = sum(bool(row.problems) for row in rows)
        if replaced > 1 and 2 * replaced > len(rows):
            raise ImageError(_refusal(f"step {step}", problems))
        return _batch(
            self.images, [row.image for row in rows], [row.crop for row in rows], problems
        )

    def chosen(self, step: int) -> np.ndarray:
        """
        Return which images a step asks for, read or not.

        Parameters
        ----------
        step : int
            From 0.

        Returns
        -------
        ndarray, shape=(batch,), dtype=int64
            Indices into the set.
        """
        start = step * self.batch_size
        return np.array([self._at(start + row) for row in range(self.batch_size)], dtype=np.int64)

    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.images))

    def _at(self, position: int, ahead: int = 0) -> int:
        """Which image is at a position of the stream, or that many later in the same epoch."""
        epoch, place = divmod(position, len(self.images))
        return int(self._epoch(epoch)[(place + ahead) % len(self.images)])

    def _row(self, position: int) -> _Row:
        problems: dict[str, str] = {}
        for ahead in range(min(len(self.images), _MOST_TRIES)):
            index = self._at(position, ahead)
            try:
                return _Row(index, self._cropped(index, position), problems)
            except ImageError as error:
                _note(problems, self.images.names[index], error)
        raise ImageError(_refusal(f"step {position // self.batch_size}", problems))

    def _cropped(self, index: int, position: int) -> np.ndarray:
        pixels = self._pixels[index]
        # Keyed by the position alone, so that no image changes what another one gets.
        generator = np.random.default_rng([self.seed, 1, position])
        mirrored = self.flip and bool(generator.integers(2))
        if self.crop == "center":
            crop = center_crop(pixels, self.size)
        else:
            crop = random_crop(pixels, self.size, generator)
        return flip(crop) if mirrored else crop


def center_batches(images: ImageSet, *, size: int, batch_size: int) -> Iterator[ImageBatch]:
    """
    Yield all images in order, center-cropped, for evaluation.

    Parameters
    ----------
    images : ImageSet
        Any images.
    size : int
        Sides of the crops, in pixels.
    batch_size : int
        Images per batch; only the last may have fewer.

    Yields
    ------
    ImageBatch
        Images that cannot be read are left out, and listed in the batch they would have been
        in, or in the last.

    Raises
    ------
    ImageError
        If no image can be read.
    ConfigError
        If the set is empty or a size is impossible.
    """
    _check_sizes(images, batch_size=batch_size, size=size)
    chosen, crops = [], []
    problems: dict[str, str] = {}
    for index, name in enumerate(images.names):
        try:
            crop = center_crop(decode_image(images.read(index), name=name), size)
        except ImageError as error:
            _note(problems, name, error)
            continue
        # A full batch waits for the next image, so that problems at the end have a batch.
        if len(chosen) == batch_size:
            yield _batch(images, chosen, crops, problems)
            chosen, crops, problems = [], [], {}
        chosen.append(index)
        crops.append(crop)
    if not chosen:
        raise ImageError(_refusal("evaluation", problems))
    yield _batch(images, chosen, crops, problems)


def _batch(
    images: ImageSet, chosen: list[int], crops: list[np.ndarray], problems: dict[str, str]
) -> ImageBatch:
    pixels = np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2))
    return ImageBatch(
        torch.from_numpy(pixels),
        torch.from_numpy(images.labels[chosen]),
        torch.tensor(chosen, dtype=torch.int64),
        tuple(ImageProblem(name, reason) for name, reason in problems.items()),
    )


def _note(problems: dict[str, str], name: str, error: ImageError) -> None:
    problems[name] = str(error).removeprefix(f"{name}: ")


def _refusal(when: str, problems: dict[str, str]) -> str:
    shown = "; ".join(f"{name}: {reason}" for name, reason in list(problems.items())[:_SHOWN])
    return f"{when}: most images cannot be read, {len(problems)} were tried: {shown}"


def _check_sizes(images: ImageSet, **sizes: int) -> None:
    for name, value in sizes.items():
        if value < 1:
            msg = f"{name}: expected 1 or more, got {value}"
            raise ConfigError(msg)
    if not len(images):
        msg = "the set of images is empty"
        raise ConfigError(msg)
