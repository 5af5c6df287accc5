"""Which codes does this view of this image have?"""

import hashlib
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from provq_protein.errors import ConfigError, TokenFormatError
from provq_vision.codes.reading import Shard, checked_codes, read_shard
from provq_vision.codes.settings import CodeSettings
from provq_vision.codes.shards import code_dtype, shard_path
from provq_vision.images.decoding import ImageProblem
from provq_vision.images.places import Archives


class CodeSet:
    """
    The codes of a set of images, read when they are asked for.

    Made by `CodeSet.open`. Threads may share a set.

    Parameters
    ----------
    settings : CodeSettings
        What the codes are.
    shards : list of Shard
        All of them, in order.
    """

    def __init__(self, settings: CodeSettings, shards: list[Shard]) -> None:
        self.settings = settings
        self.names = tuple(name for shard in shards for name in shard.names)
        self.labels: NDArray[np.int64] = np.concatenate([shard.labels for shard in shards])
        self.labels.setflags(write=False)
        self.problems: tuple[ImageProblem, ...] = tuple(
            problem for shard in shards for problem in shard.problems
        )
        self._shards = shards
        ends = np.cumsum([len(shard.names) for shard in shards])
        self._starts = np.concatenate([[0], ends[:-1]])
        self._files = Archives()

    @classmethod
    def open(cls, folder: str | Path) -> "CodeSet":
        """
        Open a folder of codes.

        Parameters
        ----------
        folder : str or Path
            As ``provq-vision extract-codes`` fills it.

        Returns
        -------
        CodeSet
            Without the images that could not be read.

        Raises
        ------
        TokenFormatError
            If the folder is none of codes, not complete, or damaged, or if no image could be
            read.
        ConfigError
            If a file of it belongs to other codes.
        """
        folder = Path(folder)
        settings = CodeSettings.load(folder)
        there = set(folder.glob("codes-*.tar"))
        # Counted first: a damaged codes.json may ask for any number.
        count = len(there)
        if count >= settings.n_shards:
            count = sum(shard_path(folder, k) in there for k in range(settings.n_shards))
        if count < settings.n_shards:
            msg = (
                f"{folder}: {count} of {settings.n_shards} files of codes are there; the command "
                "that began it, provq-vision extract-codes with the same options, goes on with "
                "the others"
            )
            raise TokenFormatError(msg)
        try:
            shards = [read_shard(folder, settings, k) for k in range(settings.n_shards)]
        except OSError as error:
            msg = f"{error.filename or folder}: cannot be read: {error.strerror or error}"
            raise TokenFormatError(msg) from error
        if not any(shard.names for shard in shards):
            msg = f"{folder}: none of the {settings.n_images} images could be read"
            raise TokenFormatError(msg)
        return cls(settings, shards)

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"CodeSet({len(self)} images, {self.views} views of {self.grid} x {self.grid})"

    @property
    def fingerprint(self) -> str:
        """Identity of the tokenizer."""
        return self.settings.fingerprint

    @property
    def vocabulary(self) -> int:
        """Number of codes: they lie in ``[0, vocabulary)``."""
        return self.settings.vocabulary

    @property
    def grid(self) -> int:
        """Tokens along one side of an image."""
        return self.settings.grid

    @property
    def image_size(self) -> int:
        """Sides of the crops, in pixels."""
        return self.settings.image_size

    @property
    def classes(self) -> tuple[str, ...]:
        """What the labels stand for."""
        return self.settings.classes

    @property
    def views(self) -> int:
        """Crops of each image."""
        return self.settings.views

    def content_hash(self) -> str:
        """
        Return a hash that tells sets apart without reading the codes.

        Returns
        -------
        str
            SHA-256 in hex, over the settings and the hashes of all that was written.
        """
        digest = hashlib.sha256(self.settings.content_hash().encode())
        for shard in self._shards:
            digest.update(shard.digest.encode())
        return digest.hexdigest()

    def take(self, indices: ArrayLike, views: ArrayLike) -> NDArray[np.int64]:
        """
        Return the codes of some views of images.

        Parameters
        ----------
        indices : array, shape=(n,), dtype=int
            Which images.
        views : array, shape=(n,), dtype=int
            Which view of each.

        Returns
        -------
        ndarray, shape=(n, row, column), dtype=int64
            In ``[0, vocabulary)``.

        Raises
        ------
        ConfigError
            If there is no such image or view.
        TokenFormatError
            If a file was cut short or damaged after the set was opened.
        """
        rows, chosen = np.asarray(indices, np.int64), np.asarray(views, np.int64)
        if rows.ndim != 1 or rows.shape != chosen.shape:
            msg = f"take: expected as many images as views, got {rows.shape} and {chosen.shape}"
            raise ConfigError(msg)
        for what, values, end in (("image", rows, len(self)), ("view", chosen, self.views)):
            if values.size and not 0 <= values.min() <= values.max() < end:
                msg = f"take: {what} {values.min()} to {values.max()} of {end}"
                raise ConfigError(msg)
        shards = np.searchsorted(self._starts, rows, side="right") - 1
        inside = (rows - self._starts[shards]).tolist()
        places = zip(shards.tolist(), inside, chosen.tolist(), strict=True)
        found = [self._codes(*place) for place in places]
        return np.array(found, np.int64).reshape(len(rows), self.grid, self.grid)

    @cached_property
    def _dtype(self) -> np.dtype:
        return code_dtype(self.vocabulary)

    def _codes(self, number: int, row: int, view: int) -> NDArray[np.int64]:
        whole = self._shards[number].place
        size = self.grid**2 * self._dtype.itemsize
        start = self._shards[number].start + (row * self.views + view) * size
        try:
            data = self._files.read(whole._replace(offset=whole.offset + start, size=size))
        except OSError as error:
            msg = f"{whole.path}: cannot be read: {error.strerror or error}"
            raise TokenFormatError(msg) from error
        if len(data) < size:
            msg = f"{whole.path}: was cut short after it was opened; open the codes again"
            raise TokenFormatError(msg)
        return checked_codes(whole.path, np.frombuffer(data, self._dtype), self.vocabulary)
