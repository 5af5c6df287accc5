"""What if the codes are a fixed grid, and every number of a latent is rounded by itself?"""

import copy
import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from provq_protein.errors import ConfigError
from provq_protein.quantize.codebook import AbstractCodebook, Learning, check_indices

# The box is wider than the grid by this part, so that the outermost levels can be reached.
_MARGIN = 1e-3
# The numbers of levels that `fsq_levels` may use, and those that it prefers.
_ALLOWED_LEVELS = range(16, 2, -1)
_PREFERRED_LEVELS = range(5, 9)


class FiniteScalarCodebook(AbstractCodebook):
    """
    A grid of codes inside a box, without a table (finite scalar quantization, FSQ).

    Parameters
    ----------
    levels : sequence of int
        Number of levels of each dimension, 2 or more. The book has as many dimensions as there
        are numbers, and as many codes as their product. The paper advises 5 or more.

    Attributes
    ----------
    levels : tuple of int
        As given.

    Raises
    ------
    ConfigError
        If there is no level, or one is below 2.

    Notes
    -----
    With L levels and :math:`h = \\lfloor L / 2 \\rfloor`, `project` is the bounding function of
    the paper [1]_, divided by h:

    .. math::

        f(z) = [\\, w \\tanh(z + \\operatorname{artanh}(o / w)) - o \\,] / h, \\quad
        w = (L - 1)(1 + 10^{-3}) / 2

    where o is 1/2 for even L and 0 for odd L. The codes are the multiples of 1/h from -1 on, L of
    them: for odd L up to 1, for even L up to ``1 - 1/h``. With two levels the codes are -1 and 0
    and z has to be below -3.8 to become -1. Index 0 is -1 everywhere; the first dimension counts
    fastest.

    Nothing is learned and nothing is seeded: `seed` and `seed_from` check what they are given and
    mark the book as initialized.

    References
    ----------
    .. [1] Mentzer et al., "Finite scalar quantization: VQ-VAE made simple", arXiv:2309.15505,
       appendix A.1.

    Examples
    --------
    >>> book = FiniteScalarCodebook([5, 3])
    >>> indices = book.nearest(book.project(torch.tensor([[0.0, 0.0], [0.5, -9.0]])))
    >>> indices
    tensor([7, 3])
    >>> book.lookup(indices)
    tensor([[ 0.0000,  0.0000],
            [ 0.5000, -1.0000]])
    """

    learning: Learning = "nothing"
    _counts: Tensor
    _strides: Tensor

    def __init__(self, levels: Sequence[int]) -> None:
        if not levels or min(levels) < 2:
            msg = f"codebook: levels must be 2 or more in every dimension, got {list(levels)}"
            raise ConfigError(msg)
        super().__init__(math.prod(levels), len(levels))
        self.levels = tuple(levels)
        strides = [math.prod(levels[:axis]) for axis in range(len(levels))]
        # Settings, not state: no part of the state dict.
        self.register_buffer("_counts", torch.tensor(self.levels), persistent=False)
        self.register_buffer("_strides", torch.tensor(strides), persistent=False)

    def codes(self) -> Tensor:
        """
        Return the grid.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            Made anew at each call; `nearest` and `lookup` do without.
        """
        return self.lookup(torch.arange(self.size, device=self._counts.device))

    def project(self, latents: Tensor) -> Tensor:
        """
        Return latents pressed into the box of the grid, with gradient.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float32
            Encoder output.

        Returns
        -------
        Tensor, shape=(..., dim), dtype=float32
            From -1 to 1, or to the largest code below it, exceeded by one part in a thousand.
        """
        width = (self._counts - 1) * (0.5 * (1.0 + _MARGIN))
        offset = torch.where(self._counts % 2 == 0, 0.5, 0.0)
        bounded = torch.tanh(latents + torch.atanh(offset / width)) * width - offset
        return bounded / self._half()

    def nearest(self, latents: Tensor) -> Tensor:
        """
        Return the index of the nearest code of each latent, by rounding.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float
            Projected latents, finite.

        Returns
        -------
        Tensor, shape=(...), dtype=int64
            Indices; ties go to the lowest.

        Raises
        ------
        ValueError
            If a value is not finite or the dimension differs.
        """
        if latents.ndim < 1 or latents.shape[-1] != self.dim:
            msg = f"latents: expected shape (..., {self.dim}), got {tuple(latents.shape)}"
            raise ValueError(msg)
        if not bool(torch.isfinite(latents).all()):
            msg = "latents: contain NaN or infinity; nothing is nearest to that"
            raise ValueError(msg)
        # Halves are rounded down: the lower level has the lower index.
        rounded = torch.ceil(latents.detach().double() * self._half() - 0.5)
        digits = (rounded + self._half()).clamp(min=0.0)
        digits = torch.minimum(digits, self._counts.double() - 1.0).long()
        return (digits * self._strides).sum(dim=-1)

    def lookup(self, indices: Tensor) -> Tensor:
        """
        Return the codes of some indices.

        Parameters
        ----------
        indices : Tensor, shape=(...), dtype=int64
            Indices, in [0, size).

        Returns
        -------
        Tensor, shape=(..., dim), dtype=float32
            Codes, without a gradient: there is no parameter.

        Raises
        ------
        ValueError
            If an index is no code.
        """
        check_indices(indices, self.size)
        digits = indices[..., None] // self._strides % self._counts
        return (digits - self._half()).float() / self._half()

    def seed_from(
        self, sample: Tensor, *, generator: torch.Generator, iterations: int = 50
    ) -> None:
        """
        Check the sample and mark the book as initialized; the grid stays what it is.

        Parameters
        ----------
        sample : Tensor, shape=(latent, dim), dtype=float
            Projected latents, finite.
        generator : torch.Generator
            Not used.
        iterations : int
            Not used.

        Raises
        ------
        ValueError
            If the sample is empty, has another shape, or is not finite.
        """
        if sample.ndim != 2 or sample.shape[1] != self.dim or not sample.shape[0]:
            expected, got = f"(latent, {self.dim})", tuple(sample.shape)
            msg = f"codebook: seeding: expected a sample of shape {expected}, got {got}"
            raise ValueError(msg)
        if not bool(torch.isfinite(sample).all()):
            msg = "codebook: seeding: the sample contains NaN or infinity"
            raise ValueError(msg)
        self.initialized.fill_(True)

    def folded(self) -> "FiniteScalarCodebook":
        """
        Return a copy: this book is fixed, and has no parameters.

        Returns
        -------
        FiniteScalarCodebook
            Of the same levels.
        """
        return copy.deepcopy(self)

    def extra_repr(self) -> str:
        """Return the levels, for ``repr``."""
        return f"levels={list(self.levels)}"

    def _half(self) -> Tensor:
        """Return the steps from 0 to -1, shape=(dim,)."""
        return self._counts // 2

    def _place(self, centroids: Tensor) -> None:
        """Leave the grid where it is."""


def fsq_levels(size: int) -> tuple[int, ...]:
    """
    Return levels of a `FiniteScalarCodebook` that has exactly some number of codes.

    Parameters
    ----------
    size : int
        Number of codes.

    Returns
    -------
    tuple of int
        Levels from 3 to 16, the largest first. Of all that there are: those with the fewest
        numbers outside 5 to 8, which the paper advises; of these the shortest; of these the one
        whose largest number is smallest.

    Raises
    ------
    ConfigError
        If `size` is no product of such numbers. The message names the nearest sizes that are.

    Examples
    --------
    >>> fsq_levels(512), fsq_levels(4096), fsq_levels(64_000)
    ((8, 8, 8), (8, 8, 8, 8), (8, 8, 8, 5, 5, 5))
    >>> fsq_levels(1024)
    (16, 8, 8)
    """
    found = list(_factorizations(size, _ALLOWED_LEVELS[0]))
    if not found:
        above = max(size, _ALLOWED_LEVELS[-1])
        while not _possible(above):
            above += 1
        below = size
        while below > 0 and not _possible(below):
            below -= 1
        nearest = f"{below} and {above}" if below > 0 else f"{above}"
        msg = (
            f"codebook: {size} codes cannot be arranged in a grid of {_ALLOWED_LEVELS[-1]} to "
            f"{_ALLOWED_LEVELS[0]} levels; the nearest sizes that can are: {nearest}"
        )
        raise ConfigError(msg)
    return min(found, key=_unsuitability)


def _factorizations(size: int, largest: int) -> Iterator[tuple[int, ...]]:
    """Yield all products of allowed levels, none above `largest`, that give the size."""
    for level in _ALLOWED_LEVELS:
        if level > largest or size < 1 or size % level:
            continue
        if size == level:
            yield (level,)
        for rest in _factorizations(size // level, level):
            yield (level, *rest)


def _possible(size: int) -> bool:
    return next(_factorizations(size, _ALLOWED_LEVELS[0]), None) is not None


def _unsuitability(levels: tuple[int, ...]) -> tuple[int, int, tuple[int, ...]]:
    unusual = sum(level not in _PREFERRED_LEVELS for level in levels)
    return unusual, len(levels), levels
