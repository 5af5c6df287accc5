"""How evenly are the codes used within a batch, on average?"""

import math

import torch
from torch import Tensor

from provq_protein.quantize.distributed import gathered
from provq_protein.quantize.usage import code_counts, perplexity


class BatchUsage:
    """
    Usage batch by batch, and its mean over batches.

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
    Papers on image tokenizers print the mean, over evaluation batches of 64 images, of the
    perplexity of one batch. That number grows with the number of latents in a batch and can never
    exceed it, so that it says nothing without `latents_per_batch`. Where batches are alike it
    lies below the perplexity of the pooled counts, which `CodeUsage` gives.

    Every batch counts the same, whatever its number of latents; a batch with no valid latent is
    left out. Under ``torch.distributed`` a batch is what one process adds at once.

    Examples
    --------
    >>> usage = BatchUsage(4)
    >>> usage.add(torch.tensor([0, 0]))
    >>> usage.add(torch.tensor([0, 1, 2, 3]))
    >>> round(usage.batch_perplexity, 6), usage.batch_utilization, usage.latents_per_batch
    (2.5, 0.625, 3.0)
    """

    def __init__(self, size: int) -> None:
        if size < 1:
            msg = f"size must be 1 or more, got {size}"
            raise ValueError(msg)
        self._size = size
        # One row per batch: number of latents, codes used, perplexity. All rows are kept, so that
        # means do not depend on the order in which processes or parts are merged.
        self._rows: list[tuple[float, float, float]] = []

    def add(self, indices: Tensor, *, mask: Tensor | None = None) -> None:
        """
        Count one batch.

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
        counts = code_counts(indices, self._size, mask=mask)
        total = int(counts.sum())
        if total:
            self._rows.append((total, int((counts > 0).sum()), perplexity(counts)))

    def merged(self, other: "BatchUsage") -> "BatchUsage":
        """
        Return the usage over the batches of both.

        Parameters
        ----------
        other : BatchUsage
            Of the same codebook.

        Returns
        -------
        BatchUsage
            A new object.

        Raises
        ------
        ValueError
            If the numbers of codes differ.
        """
        if other._size != self._size:
            sizes = f"{self._size} and {other._size}"
            msg = f"cannot merge the usage of codebooks of different sizes: {sizes} codes"
            raise ValueError(msg)
        both = BatchUsage(self._size)
        both._rows = self._rows + other._rows
        return both

    def reduced(self) -> "BatchUsage":
        """
        Return the usage over the batches of all processes of a training, exactly.

        To be called by every process of ``torch.distributed``; the numbers of batches may differ.

        Returns
        -------
        BatchUsage
            A new object, the same in every process; a copy where there is one process.
        """
        pooled = BatchUsage(self._size)
        rows = gathered(torch.tensor(self._rows, dtype=torch.float64).reshape(-1, 3))
        pooled._rows = [(row[0], row[1], row[2]) for row in rows.tolist()]
        return pooled

    @property
    def batches(self) -> int:
        """Number of batches with a valid latent."""
        return len(self._rows)

    @property
    def latents_per_batch(self) -> float:
        """Mean number of latents counted in a batch; 0 without a batch."""
        return self._mean(0)

    @property
    def batch_utilization(self) -> float:
        """Mean over batches of the share of codes that occur in a batch; 0 without a batch."""
        return self._mean(1) / self._size

    @property
    def batch_perplexity(self) -> float:
        """Mean over batches of the perplexity of a batch; 0 without a batch."""
        return self._mean(2)

    def _mean(self, column: int) -> float:
        # fsum rounds once, so that the order of the batches does not matter.
        return math.fsum(row[column] for row in self._rows) / max(1, len(self._rows))
