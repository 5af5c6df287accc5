"""How can codes follow the average of the latents that choose them?"""

import torch
from torch import Tensor

from provq_protein.errors import ConfigError
from provq_protein.quantize.codebook import AbstractCodebook, Learning
from provq_protein.quantize.distributed import summed
from provq_protein.quantize.revival import IdleCodes


class EmaCodebook(AbstractCodebook):
    """
    A table of codes that are moving averages of latents (VQ-VAE with EMA updates).

    Parameters
    ----------
    size : int
        Number of codes.
    dim : int
        Dimension of a code.
    decay : float
        Share of the averages that is kept at each step (gamma), in [0, 1).
    epsilon : float
        Laplace smoothing of the counts, above 0.
    revive_after : int, optional
        Training steps without a latent after which a code moves to one; see `IdleCodes`.

    Raises
    ------
    ConfigError
        If a value is outside its range.

    Notes
    -----
    With n latents of sum s choosing a code in a step, over all processes, `update` sets [1]_

    .. math::

        N &\\leftarrow \\gamma N + (1 - \\gamma) n, \\quad
            m \\leftarrow \\gamma m + (1 - \\gamma) s

        e &\\leftarrow m / \\tilde N, \\quad
            \\tilde N = \\frac{N + \\epsilon}{\\sum N + K \\epsilon} \\sum N

    Only codes that were chosen in the step are set. For another one N and m shrink alike, so that
    its average has not changed; the smoothed count does not shrink along, and the formula would
    pull a code that is idle for long to the origin. A code that was chosen is multiplied by
    :math:`(1 + K \\epsilon / \\sum N) / (1 + \\epsilon / N)` by the smoothing, which is near 1.

    Codes start, by seeding, by revival or by chance, as an average of one latent: N is 1 and m is
    the code. The first update thus moves a code that n latents choose by a part
    ``(1 - decay) n / (decay + (1 - decay) n)`` of the way to their mean.

    Before seeding the codes are drawn from the standard normal distribution.

    References
    ----------
    .. [1] van den Oord et al., "Neural discrete representation learning", arXiv:1711.00937,
       appendix A.1.

    Examples
    --------
    >>> book = EmaCodebook(2, 1, decay=0.5)
    >>> book.seed(torch.tensor([[0.0], [8.0]]))
    >>> latents = torch.tensor([[1.0]])
    >>> moved = book.update(latents, book.nearest(latents))
    >>> [round(value, 3) for value in book.codes().flatten().tolist()]
    [0.5, 8.0]
    """

    learning: Learning = "averages"
    table: Tensor
    counts: Tensor
    sums: Tensor

    def __init__(
        self,
        size: int,
        dim: int,
        *,
        decay: float = 0.99,
        epsilon: float = 1e-5,
        revive_after: int | None = None,
    ) -> None:
        super().__init__(size, dim)
        # Both written so that NaN is refused as well.
        if not 0.0 <= decay < 1.0:
            msg = f"codebook: decay must be in [0, 1), got {decay}"
            raise ConfigError(msg)
        if not 0.0 < epsilon < float("inf"):
            msg = f"codebook: epsilon must be above 0 and finite, got {epsilon}"
            raise ConfigError(msg)
        self.decay = decay
        self.epsilon = epsilon
        self.register_buffer("table", torch.empty(size, dim).normal_())
        self.register_buffer("counts", torch.ones(size))
        self.register_buffer("sums", self.table.clone())
        self.idle = None if revive_after is None else IdleCodes(size, revive_after)

    def codes(self) -> Tensor:
        """
        Return the table.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            The buffer itself, not a copy.
        """
        return self.table

    @torch.no_grad()
    def update(
        self, latents: Tensor, indices: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """
        Take a batch into the averages, and move idle codes if the book was made to do so.

        Parameters
        ----------
        latents : Tensor, shape=(latent, dim), dtype=float32
            The projected latents of the batch that were valid, in this process.
        indices : Tensor, shape=(latent,), dtype=int64
            From `nearest`.
        generator : torch.Generator, optional
            Decides which latents idle codes move to. The same in every process.

        Returns
        -------
        Tensor, shape=(code,), dtype=bool
            True where an idle code was put elsewhere; its average starts anew.

        Raises
        ------
        ValueError
            If the sum of the latents of any process is not finite. The book is unchanged then.
        """
        counts, sums = self._batch(latents, indices)
        if not bool(torch.isfinite(sums).all()):
            msg = "codebook: averages: latents contain NaN or infinity, or their sum overflows"
            raise ValueError(msg)
        # Before the averages change, so that they are whole if this is refused.
        revived, places = torch.zeros_like(counts, dtype=torch.bool), self.table[:0]
        if self.idle is not None:
            revived, places = self.idle.replacements(latents, indices, generator=generator)
        self.counts.lerp_(counts, 1.0 - self.decay)
        self.sums.lerp_(sums, 1.0 - self.decay)
        total = self.counts.sum()
        smoothed = (self.counts + self.epsilon) / (total + self.size * self.epsilon) * total
        chosen = counts > 0
        self.table[chosen] = self.sums[chosen] / smoothed[chosen, None]
        self._start(revived, places)
        return revived

    def _batch(self, latents: Tensor, indices: Tensor) -> tuple[Tensor, Tensor]:
        """Return, for each code, number and sum of its latents in all processes."""
        batch = self.table.new_zeros(self.size, 1 + self.dim)
        ones = self.table.new_ones(latents.shape[0], 1)
        # One table, so that the processes have to talk once.
        batch.index_add_(0, indices, torch.cat([ones, latents.to(self.table.dtype)], dim=1))
        batch = summed(batch)
        return batch[:, 0], batch[:, 1:]

    def _start(self, which: Tensor, places: Tensor) -> None:
        """Put codes somewhere, as averages of one latent."""
        self.table[which] = places.to(self.table.dtype)
        self.sums[which] = places.to(self.table.dtype)
        self.counts[which] = 1.0

    def _place(self, centroids: Tensor) -> None:
        self._start(torch.ones_like(self.counts, dtype=torch.bool), centroids)
        if self.idle is not None:
            self.idle.reset()
