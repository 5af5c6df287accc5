"""Which codes make up training step n?"""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from provq_protein.errors import ConfigError
from provq_vision.codes.code_set import CodeSet


@dataclass(frozen=True, eq=False)
class CodeBatch:
    """
    The codes of one view of some images.

    Parameters
    ----------
    ids : Tensor, shape=(batch, row, column), dtype=int64
        Codes.
    labels : Tensor, shape=(batch,), dtype=int64
        Class numbers.
    """

    ids: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.ids)


class CodePlan:
    """
    Say which codes step n trains on: a pure function of the seed and n.

    The images come as a stream of epochs, each a permutation of the set; a batch may reach over
    the end of one. Which of its views an image shows is drawn anew each time, uniformly. Because
    nothing but the step number decides, a resumed run sees exactly what an unbroken run would
    have seen, and so do all processes of one training. Threads may share a plan.

    Parameters
    ----------
    codes : CodeSet
        Of the training images.
    seed : int
        Decides order and views.
    batch_size : int
        Images per step, over all processes.

    Raises
    ------
    ConfigError
        If a number is impossible.
    """

    def __init__(self, codes: CodeSet, *, seed: int, batch_size: int) -> None:
        if seed < 0 or batch_size < 1:
            msg = f"plan: expected seed >= 0 and batch_size >= 1, got {seed} and {batch_size}"
            raise ConfigError(msg)
        self.codes = codes
        self.seed = seed
        self.batch_size = batch_size
        self._epoch = lru_cache(maxsize=2)(self._order)

    @property
    def steps_per_epoch(self) -> int:
        """Steps after which every image was seen: images by batch size, rounded up."""
        return -(-len(self.codes) // self.batch_size)

    def batch(self, step: int, *, number: int = 0, of: int = 1) -> CodeBatch:
        """
        Return the batch of a step, or a part of it.

        Parameters
        ----------
        step : int
            From 0.
        number : int
            Which part, from 0; only its codes are read.
        of : int
            How many parts there are, of about as many images each. Together they hold every
            image of the batch once, in order.

        Returns
        -------
        CodeBatch
            Codes and classes.

        Raises
        ------
        ConfigError
            If there is no such part, or if there are fewer images than parts.
        TokenFormatError
            If a file of codes was damaged.
        """
        if not 0 <= number < of <= self.batch_size:
            msg = f"a batch of {self.batch_size} images has no part {number} of {of}"
            raise ConfigError(msg)
        rows = np.array_split(np.arange(self.batch_size), of)[number]
        positions = (step * self.batch_size + rows).tolist()
        images = np.array([self._at(position) for position in positions], dtype=np.int64)
        views = [self._view(position) for position in positions]
        return CodeBatch(
            torch.from_numpy(self.codes.take(images, views)),
            torch.from_numpy(self.codes.labels[images]),
        )

    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 0, epoch]).permutation(len(self.codes))

    def _at(self, position: int) -> int:
        """Which image is at a position of the stream."""
        epoch, place = divmod(position, len(self.codes))
        return int(self._epoch(epoch)[place])

    def _view(self, position: int) -> int:
        # Keyed by the position alone, so that a part of a batch draws what the whole would.
        return int(np.random.default_rng([self.seed, 1, position]).integers(self.codes.views))
