"""Which images are drawn, and by what?"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from provq_protein.errors import ConfigError

_NUMBERS = 2**32
_SEEDS = 2**31


@dataclass(frozen=True, kw_only=True)
class DrawPlan:
    """
    Which images to draw: the class and the seed of each, and the part of them that is meant.

    Parameters
    ----------
    classes : sequence of int
        Class ids to draw images of, each once.
    count : int, optional
        Images of all parts together, each of a class that is drawn uniformly, so that classes
        differ in how often they occur.
    per_class : int, optional
        Instead of `count`: images of each class, class after class.
    seed : int
        From 0 to below 2 ** 31. Image number i has the seed ``seed * 2**32 + i``.
    shard : int
        Which part, from 0.
    shards : int
        How many parts there are; each is a run of consecutive numbers, of equal lengths as far as
        possible.

    Raises
    ------
    ConfigError
        If not exactly one of `count` and `per_class` is given, a number is out of range, a class
        occurs twice, or there are fewer images than parts.

    Examples
    --------
    >>> plan = DrawPlan(classes=[7, 3], per_class=2, shard=1, shards=2)
    >>> plan.numbers, plan.labels().tolist(), plan.seeds().tolist()
    (range(2, 4), [3, 3], [2, 3])
    """

    # Bare, because the strict reader of documents takes no list of any length; kept as a tuple.
    classes: Sequence
    count: int | None = None
    per_class: int | None = None
    seed: int = 0
    shard: int = 0
    shards: int = 1

    def __post_init__(self) -> None:
        """Refuse plans that nobody can carry out."""
        object.__setattr__(self, "classes", tuple(self.classes))
        for label in self.classes:
            _check_range("classes", label, 0, _NUMBERS)
        if len(set(self.classes)) < len(self.classes) or not self.classes:
            msg = f"classes: expected one or more, each once, got {list(self.classes)!r:.80}"
            raise ConfigError(msg)
        if (self.count is None) == (self.per_class is None):
            msg = (
                "count, per_class: exactly one of the two says how many images to draw, got "
                f"{self.count!r} and {self.per_class!r}"
            )
            raise ConfigError(msg)
        if self.per_class is None:
            _check_range("count", self.count, 1, _NUMBERS + 1)
        else:
            _check_range("per_class", self.per_class, 1, _NUMBERS // len(self.classes) + 1)
        _check_range("seed", self.seed, 0, _SEEDS)
        _check_range("shards", self.shards, 1, self.total + 1, " (an image or more in each)")
        _check_range("shard", self.shard, 0, self.shards)

    @property
    def total(self) -> int:
        """Images of all parts together."""
        return self.count or len(self.classes) * (self.per_class or 0)

    @property
    def numbers(self) -> range:
        """Numbers of the images of this part."""
        # As numpy.array_split: the first parts have one more.
        size, longer = divmod(self.total, self.shards)
        start = self.shard * size + min(self.shard, longer)
        return range(start, start + size + (self.shard < longer))

    def labels(self) -> NDArray[np.int64]:
        """
        Return the classes of the images of this part.

        Returns
        -------
        ndarray, shape=(image,), dtype=int64
            Each follows from the plan's classes, its seed and the image's number alone.
        """
        classes = np.array(self.classes, dtype=np.int64)
        if self.per_class is not None:
            return classes[np.array(self.numbers) // self.per_class]
        places = [
            np.random.default_rng((self.seed, number)).integers(len(classes))
            for number in self.numbers
        ]
        return classes[places]

    def seeds(self) -> NDArray[np.int64]:
        """
        Return the seeds of the images of this part.

        Returns
        -------
        ndarray, shape=(image,), dtype=int64
            Consecutive numbers.
        """
        return np.array(self.numbers, dtype=np.int64) + self.seed * _NUMBERS


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """
    What drew a set of images, and how.

    Parameters
    ----------
    gpt : str
        Fingerprint of the autoregressive model.
    tokenizer : str
        Fingerprint of the image tokenizer.
    plan : DrawPlan
        Classes and seeds, and the part of the images.
    guidance : float
        Scale of classifier-free guidance. Scores of drawn images mean little without it.
    temperature : float
        Divided the logits.
    top_k : int
        How many of the likeliest tokens remained; 0 for all.
    top_p : float
        The probability that the likeliest tokens reached together; 1 for all.
    width : int
        Images that were computed together, which has a part in what an image is.
    device : str
        Kind of device, for instance "cpu", which has as well.
    provq : str
        Version of this package.
    torch : str
        Version of torch.

    Raises
    ------
    ConfigError
        If the width is no number of images.
    """

    gpt: str
    tokenizer: str
    plan: DrawPlan
    guidance: float
    temperature: float
    top_k: int
    top_p: float
    width: int
    device: str
    provq: str
    torch: str

    def __post_init__(self) -> None:
        """Refuse batches that hold no image."""
        _check_range("width", self.width, 1, _SEEDS)


def _check_range(name: str, value: object, start: int, end: int, why: str = "") -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not start <= value < end:
        msg = f"{name}: must be an integer from {start} to {end - 1}{why}, got {value!r}"
        raise ConfigError(msg)
