"""How many of the codes are used, and how evenly?"""

import math

import torch
from torch import Tensor

from provq_protein.quantize.distributed import summed
from provq_protein.quantize.quantized import NO_CODE


def code_counts(indices: Tensor, size: int, *, mask: Tensor | None = None) -> Tensor:
    """
    Count how often each code occurs.

    Parameters
    ----------
    indices : Tensor, shape=(...), dtype=int64
        Indices of codes; -1, "not quantized", is not counted.
    size : int
        Number of codes.
    mask : Tensor, shape=(...), dtype=bool, optional
        True where an index counts.

    Returns
    -------
    Tensor, shape=(code,), dtype=int64
        Counts.

    Raises
    ------
    ValueError
        If an index that counts is neither a code nor -1, or the mask has another shape.

    Examples
    --------
    >>> code_counts(torch.tensor([0, 2, 2, -1]), 4)
    tensor([1, 0, 2, 0])
    """
    if mask is not None:
        if mask.shape != indices.shape or mask.dtype != torch.bool:
            expected, got = tuple(indices.shape), tuple(mask.shape)
            msg = f"mask: expected bool of shape {expected}, got {mask.dtype} of {got}"
            raise ValueError(msg)
        indices = indices[mask]
    chosen = indices[indices != NO_CODE].flatten()
    if chosen.numel() and not 0 <= int(chosen.min()) <= int(chosen.max()) < size:
        low, high = int(chosen.min()), int(chosen.max())
        msg = f"indices: must be -1 or in [0, {size}), got values from {low} to {high}"
        raise ValueError(msg)
    return torch.bincount(chosen, minlength=size)


def utilization(counts: Tensor) -> float:
    """
    Return the share of codes that occur.

    Parameters
    ----------
    counts : Tensor, shape=(code,), dtype=int64
        From `code_counts`, over whatever the share is meant for: over a corpus it is larger
        than the mean over its parts.

    Returns
    -------
    float
        In [0, 1]; 0 if nothing was counted.

    Examples
    --------
    >>> utilization(torch.tensor([1, 0, 2, 0]))
    0.5
    """
    return float((counts > 0).double().mean())


def entropy(counts: Tensor) -> float:
    """
    Return the entropy of the code frequencies, in nats.

    Parameters
    ----------
    counts : Tensor, shape=(code,), dtype=int64
        From `code_counts`.

    Returns
    -------
    float
        From 0 to the natural logarithm of the number of codes; 0 if nothing was counted.

    Examples
    --------
    >>> round(entropy(torch.tensor([5, 0, 5, 0])), 6)
    0.693147
    """
    frequency = counts.double() / max(1, int(counts.sum()))
    # xlogy is 0 where a code does not occur; the unused share adds nothing. Nor does a frequency
    # of 1, whose zero must not get a sign.
    return abs(float(torch.special.xlogy(frequency, frequency).sum()))


def perplexity(counts: Tensor) -> float:
    """
    Return the exponential of the entropy of the code frequencies.

    Parameters
    ----------
    counts : Tensor, shape=(code,), dtype=int64
        From `code_counts`.

    Returns
    -------
    float
        Number of equally frequent codes with the same entropy, from 1 to the number of codes;
        0 if nothing was counted.

    Examples
    --------
    >>> round(perplexity(torch.tensor([5, 0, 5, 0])), 6)
    2.0
    """
    return math.exp(entropy(counts)) if int(counts.sum()) else 0.0


def normalized_perplexity(counts: Tensor) -> float:
    """
    Return the perplexity divided by the number of codes.

    Parameters
    ----------
    counts : Tensor, shape=(code,), dtype=int64
        From `code_counts`.

    Returns
    -------
    float
        In [0, 1]; 1 if all codes are equally frequent, 0 if nothing was counted.

    Examples
    --------
    >>> round(normalized_perplexity(torch.tensor([5, 0, 5, 0])), 6)
    0.5
    """
    return perplexity(counts) / counts.shape[0]


class CodeUsage:
    """
    Code counts that grow batch by batch: usage pooled over a corpus.

    Parameters
    ----------
    size : int
        Number of codes.

    Raises
    ------
    ValueError
        If `size` is below 1.

    Notes
    -----
    The numbers are those of all indices together. A mean over batches, which papers often print,
    is a different number; see `BatchUsage`.

    One object counts one level. A book whose index has a level axis needs one object per level,
    with ``usage.add(indices[..., level], mask=mask)``.

    Examples
    --------
    >>> usage = CodeUsage(4)
    >>> usage.add(torch.tensor([0, 1, 1]))
    >>> usage.add(torch.tensor([1, 3]), mask=torch.tensor([True, False]))
    >>> usage.counts
    tensor([1, 3, 0, 0])
    >>> usage.utilization
    0.5
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            msg = f"size must be 1 or more, got {size}"
            raise ValueError(msg)
        self._counts = torch.zeros(size, dtype=torch.int64)

    def add(self, indices: Tensor, *, mask: Tensor | None = None) -> None:
        """
        Count more indices.

        Parameters
        ----------
        indices : Tensor, shape=(...), dtype=int64
            Indices of codes; -1 is not counted.
        mask : Tensor, shape=(...), dtype=bool, optional
            True where an index counts.

        Raises
        ------
        ValueError
            As `code_counts`; nothing is counted then.
        """
        self._counts += code_counts(indices, self._counts.shape[0], mask=mask).cpu()

    def merged(self, other: "CodeUsage") -> "CodeUsage":
        """
        Return the usage over both.

        Parameters
        ----------
        other : CodeUsage
            Of the same codebook.

        Returns
        -------
        CodeUsage
            A new object.

        Raises
        ------
        ValueError
            If the numbers of codes differ.
        """
        if other.counts.shape != self._counts.shape:
            sizes = f"{self._counts.shape[0]} and {other.counts.shape[0]}"
            msg = f"cannot merge the usage of codebooks of different sizes: {sizes} codes"
            raise ValueError(msg)
        both = CodeUsage(self._counts.shape[0])
        both._counts = self._counts + other.counts
        return both

    def reduced(self) -> "CodeUsage":
        """
        Return the usage over all processes of a training, exactly.

        To be called by every process of ``torch.distributed``, with the same number of codes.

        Returns
        -------
        CodeUsage
            A new object, the same in every process; a copy where there is one process.
        """
        pooled = CodeUsage(self._counts.shape[0])
        pooled._counts = summed(self._counts)
        return pooled

    @property
    def counts(self) -> Tensor:
        """
        How often each code was counted.

        Returns
        -------
        Tensor, shape=(code,), dtype=int64
            A copy, on the CPU.
        """
        return self._counts.clone()

    @property
    def total(self) -> int:
        """Number of indices counted."""
        return int(self._counts.sum())

    @property
    def utilization(self) -> float:
        """Share of codes counted at least once; see `utilization`."""
        return utilization(self._counts)

    @property
    def entropy(self) -> float:
        """Entropy of the code frequencies, in nats; see `entropy`."""
        return entropy(self._counts)

    @property
    def perplexity(self) -> float:
        """Exponential of the entropy; see `perplexity`."""
        return perplexity(self._counts)

    @property
    def normalized_perplexity(self) -> float:
        """Perplexity divided by the number of codes; see `normalized_perplexity`."""
        return normalized_perplexity(self._counts)
