"""What are the codes, and how is a code looked up?"""

from abc import ABC, abstractmethod
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.errors import ConfigError
from provq_protein.quantize.kmeans import kmeans
from provq_protein.quantize.nearest import nearest_codes
from provq_protein.quantize.revival import IdleCodes

# What moves the codes: a gradient, moving averages of latents, or nothing.
Learning = Literal["gradient", "averages", "nothing"]


class AbstractCodebook(nn.Module, ABC):
    """
    A finite set of codes, whatever parameters they are made of.

    Parameters
    ----------
    size : int
        Number of codes. A book of one code is allowed; every latent has index 0 then.
    dim : int
        Dimension of a code.

    Attributes
    ----------
    learning : {"gradient", "averages", "nothing"}
        What moves the codes: an optimizer, `update`, or nothing.
    index_shape : tuple of int
        Axes of the index of one latent: ``()``, or ``(level,)`` where several codes are added.

    Raises
    ------
    ConfigError
        If `size` or `dim` is below 1.

    Notes
    -----
    The buffer `initialized` says whether the codes have been seeded. It is saved with the model,
    so that a resumed run does not seed again.

    Weight decay pulls codes towards the origin, away from the latents that they stand for: an
    optimizer should leave all parameters of a codebook out of it.
    """

    learning: Learning = "gradient"
    index_shape: tuple[int, ...] = ()
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

    def raw_codes(self) -> Tensor:
        """
        Return the table that the codes are made of, before any map or normalization.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            Detached; the effective codes where there is no such table. Papers that print
            distances between codes often mean this one.
        """
        return self.codes().detach()

    @abstractmethod
    def _place(self, centroids: Tensor) -> None:
        """Set parameters so that the effective codes are the centroids."""

    def project(self, latents: Tensor) -> Tensor:
        """
        Return latents moved to where codes can be, with gradient.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float32
            Encoder output.

        Returns
        -------
        Tensor, shape=(..., dim), dtype=float32
            Unchanged for most books; on the unit sphere, or inside a box, for others.
        """
        return latents

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

    def seed_from(
        self, sample: Tensor, *, generator: torch.Generator, iterations: int = 50
    ) -> None:
        """
        Set the codes to the k-means centroids of a sample and mark the book as initialized.

        Parameters
        ----------
        sample : Tensor, shape=(latent, dim), dtype=float
            Projected latents, finite; 50 or more per code are advisable. With fewer latents than
            codes the surplus codes are copies with noise; see `kmeans`.
        generator : torch.Generator
            Decides the result.
        iterations : int
            Lloyd iterations, at most.

        Raises
        ------
        ValueError
            If the sample is empty, has another shape, or is not finite.
        """
        self.seed(kmeans(sample, self.size, generator=generator, iterations=iterations))

    def nearest(self, latents: Tensor) -> Tensor:
        """
        Return the index of the nearest code of each latent; see `nearest_codes`.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float
            Projected latents, finite.

        Returns
        -------
        Tensor, shape=(..., *index_shape), dtype=int64
            Indices; ties go to the lowest.
        """
        with torch.no_grad():
            return nearest_codes(latents, self.codes())

    def lookup(self, indices: Tensor) -> Tensor:
        """
        Return the codes of some indices, with gradient to the parameters of the codes.

        Parameters
        ----------
        indices : Tensor, shape=(..., *index_shape), dtype=int64
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
        check_indices(indices, self.size)
        return functional.embedding(indices, self.codes())

    def pairs(self, latents: Tensor, indices: Tensor, codes: Tensor) -> list[tuple[Tensor, Tensor]]:
        """
        Return what each code stands for, and the code: the two sides of the losses.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float32
            Projected latents.
        indices : Tensor, shape=(..., *index_shape), dtype=int64
            From `nearest`.
        codes : Tensor, shape=(..., dim), dtype=float32
            From `lookup`.

        Returns
        -------
        list of tuple of Tensor, each shape=(..., dim)
            One pair per level; a book of one level compares the latents with their codes.
        """
        return [(latents, codes)]

    def update(
        self, latents: Tensor, indices: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """
        Learn from a batch without a gradient: moving averages, and new places for idle codes.

        To be called once per optimizer step, after it, by every process of a training.

        Parameters
        ----------
        latents : Tensor, shape=(latent, dim), dtype=float32
            The projected latents of the batch that were valid, in this process.
        indices : Tensor, shape=(latent, *index_shape), dtype=int64
            From `nearest`.
        generator : torch.Generator, optional
            Decides which latents idle codes move to. The same in every process.

        Returns
        -------
        Tensor, shape=(code,), dtype=bool
            True where a code was put elsewhere, so that its optimizer moments mean nothing.
        """
        return torch.zeros(self.size, dtype=torch.bool, device=latents.device)

    def folded(self) -> "AbstractCodebook":
        """
        Return a book of the same codes that are fixed and need no computation.

        Returns
        -------
        AbstractCodebook
            With the same `project`, `nearest` and `lookup`, and no parameters.
        """
        return StaticCodebook(self.codes().detach())

    def extra_repr(self) -> str:
        """Return the sizes, for ``repr``."""
        return f"size={self.size}, dim={self.dim}"


class StaticCodebook(AbstractCodebook):
    """
    A table of codes that never change: what is left of any other book when training is over.

    Parameters
    ----------
    codes : Tensor, shape=(code, dim), dtype=float
        The codes, finite.

    Examples
    --------
    >>> book = StaticCodebook(torch.tensor([[0.0, 0.0], [0.0, 1.0]]))
    >>> book.nearest(torch.tensor([[0.1, 0.7]]))
    tensor([1])
    >>> list(book.parameters())
    []
    """

    learning: Learning = "nothing"
    table: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__(*codes.shape)
        self.register_buffer("table", torch.empty(codes.shape))
        self.seed(codes)

    def codes(self) -> Tensor:
        """
        Return the table.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            The buffer itself, not a copy.
        """
        return self.table

    def _place(self, centroids: Tensor) -> None:
        self.table.copy_(centroids)


class Codebook(AbstractCodebook):
    """
    A table of codes that are free parameters, trained by gradient (vanilla VQ).

    Parameters
    ----------
    size : int
        Number of codes.
    dim : int
        Dimension of a code.
    revive_after : int, optional
        Training steps without a latent after which a code moves to one; see `IdleCodes`.

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

    def __init__(self, size: int, dim: int, *, revive_after: int | None = None) -> None:
        super().__init__(size, dim)
        self.table = nn.Parameter(torch.empty(size, dim))
        nn.init.normal_(self.table)
        self.idle = None if revive_after is None else IdleCodes(size, revive_after)

    def codes(self) -> Tensor:
        """
        Return the table.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            The parameter itself, not a copy.
        """
        return self.table

    @torch.no_grad()
    def update(
        self, latents: Tensor, indices: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """
        Move idle codes to latents of the batch, if the book was made to do so.

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
            True where a code was put elsewhere.
        """
        if self.idle is None:
            return super().update(latents, indices, generator=generator)
        revived, places = self.idle.replacements(latents, indices, generator=generator)
        self.table[revived] = places
        return revived

    def _place(self, centroids: Tensor) -> None:
        self.table.copy_(centroids)
        if self.idle is not None:
            self.idle.reset()


def check_indices(indices: Tensor, size: int) -> None:
    """
    Refuse indices that are no code.

    Parameters
    ----------
    indices : Tensor, dtype=int64
        Indices.
    size : int
        Number of codes.

    Raises
    ------
    ValueError
        If an index is outside [0, size).
    """
    if indices.numel() and not 0 <= int(indices.min()) <= int(indices.max()) < size:
        low, high = int(indices.min()), int(indices.max())
        msg = f"indices: must be in [0, {size}), got values from {low} to {high}"
        raise ValueError(msg)
