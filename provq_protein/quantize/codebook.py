"""What are the codes, and how is a code looked up?"""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.errors import ConfigError
from provq_protein.quantize.nearest import nearest_codes


class AbstractCodebook(nn.Module, ABC):
    """
    A finite set of codes, whatever parameters they are made of.

    Parameters
    ----------
    size : int
        Number of codes. A book of one code is allowed; every latent has index 0 then.
    dim : int
        Dimension of a code.

    Raises
    ------
    ConfigError
        If `size` or `dim` is below 1.

    Notes
    -----
    The buffer `initialized` says whether `seed` has set the codes. It is saved with the model,
    so that a resumed run does not seed again.

    Weight decay pulls codes towards the origin, away from the latents that they stand for: an
    optimizer should leave all parameters of a codebook out of it.
    """

    initialized: Tensor

    def __init__(self, size: int, dim: int) -> None:
        super().__init__()
        for name, value in (("size", size), ("dim", dim)):
            if value < 1:
                msg = f"codebook: {name} must be 1 or more, got {value}"
                raise ConfigError(msg)
        self.size = size
        self.dim = dim
        self.register_buffer("initialized", torch.tensor(False))

    @abstractmethod
    def codes(self) -> Tensor:
        """
        Return all codes, with gradient to the parameters that they are made of.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            The effective codes: what latents are compared with and replaced by.
        """

    @abstractmethod
    def _place(self, centroids: Tensor) -> None:
        """Set parameters so that the effective codes are the centroids."""

    def seed(self, centroids: Tensor) -> None:
        """
        Set the codes in place and mark the book as initialized.

        Optimizer moments of the parameters describe the old codes; reset them along.

        Parameters
        ----------
        centroids : Tensor, shape=(code, dim), dtype=float
            The new codes, finite.

        Raises
        ------
        ValueError
            If the shape differs from ``(size, dim)`` or a value is not finite. The book is
            unchanged then.
        """
        if centroids.shape != (self.size, self.dim):
            expected, got = (self.size, self.dim), tuple(centroids.shape)
            msg = f"codebook: seeding: expected centroids of shape {expected}, got {got}"
            raise ValueError(msg)
        if not bool(torch.isfinite(centroids).all()):
            msg = "codebook: seeding: centroids contain NaN or infinity"
            raise ValueError(msg)
        with torch.no_grad(), torch.autocast(centroids.device.type, enabled=False):
            self._place(centroids.detach())
            self.initialized.fill_(True)

    def nearest(self, latents: Tensor) -> Tensor:
        """
        Return the index of the nearest code of each latent; see `nearest_codes`.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float
            Latents, finite.

        Returns
        -------
        Tensor, shape=(...), dtype=int64
            Indices; ties go to the lowest.
        """
        return nearest_codes(latents, self.codes())

    def lookup(self, indices: Tensor) -> Tensor:
        """
        Return the codes of some indices, with gradient to the parameters of the codes.

        Parameters
        ----------
        indices : Tensor, shape=(...), dtype=int64
            Indices, in [0, size).

        Returns
        -------
        Tensor, shape=(..., dim), dtype=float32
            Codes.

        Raises
        ------
        ValueError
            If an index is no code.
        """
        if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < self.size:
            low, high = int(indices.min()), int(indices.max())
            msg = f"indices: must be in [0, {self.size}), got values from {low} to {high}"
            raise ValueError(msg)
        return functional.embedding(indices, self.codes())

    def extra_repr(self) -> str:
        """Return the sizes, for ``repr``."""
        return f"size={self.size}, dim={self.dim}"


class Codebook(AbstractCodebook):
    """
    A table of codes that are free parameters, trained by gradient (vanilla VQ).

    Parameters
    ----------
    size : int
        Number of codes.
    dim : int
        Dimension of a code.

    Notes
    -----
    Before seeding the codes are drawn from the standard normal distribution.

    Examples
    --------
    >>> book = Codebook(3, 2)
    >>> book.seed(torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]]))
    >>> book.nearest(torch.tensor([[0.1, 0.7]]))
    tensor([1])
    >>> book.lookup(torch.tensor([2])).detach()
    tensor([[1., 0.]])
    """

    def __init__(self, size: int, dim: int) -> None:
        super().__init__(size, dim)
        self.table = nn.Parameter(torch.empty(size, dim))
        nn.init.normal_(self.table)

    def codes(self) -> Tensor:
        """
        Return the table.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            The parameter itself, not a copy.
        """
        return self.table

    def _place(self, centroids: Tensor) -> None:
        self.table.copy_(centroids)
