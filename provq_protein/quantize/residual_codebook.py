"""How can several codes, each correcting those before it, stand for one latent?"""

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from provq_protein.errors import ConfigError
from provq_protein.quantize.codebook import AbstractCodebook


class ResidualCodebook(AbstractCodebook):
    """
    Several books, each for what those before it have left over (residual quantization, RVQ).

    Parameters
    ----------
    books : sequence of AbstractCodebook
        One per level, at least one, of the same size and dimension.

    Attributes
    ----------
    size : int
        Number of codes *of each level*.
    index_shape : tuple of int
        ``(level,)``: a latent has one index per level.

    Raises
    ------
    ConfigError
        If there is no book, if the books differ in size, dimension or in what they learn by, if
        one is given twice, is itself residual, or moves latents (onto a sphere, into a box), where
        their residuals are not.

    Notes
    -----
    The choice is greedy: each level takes the code nearest to the residual, as SoundStream [1]_
    does. Codes are taken as constants in residuals, so that each level learns alone.

    References
    ----------
    .. [1] Zeghidour et al., "SoundStream: an end-to-end neural audio codec", arXiv:2107.03312,
       algorithm 1.

    Examples
    --------
    >>> from provq_protein.quantize import StaticCodebook
    >>> coarse = StaticCodebook(torch.tensor([[0.0], [10.0]]))
    >>> fine = StaticCodebook(torch.tensor([[-1.0], [1.0]]))
    >>> book = ResidualCodebook([coarse, fine])
    >>> indices = book.nearest(torch.tensor([[8.7]]))
    >>> indices
    tensor([[1, 0]])
    >>> book.lookup(indices)
    tensor([[9.]])
    """

    def __init__(self, books: Sequence[AbstractCodebook]) -> None:
        _check(books)
        super().__init__(books[0].size, books[0].dim)
        self.books = nn.ModuleList(books)
        self.learning = books[0].learning
        self.index_shape = (len(books),)
        self.initialized.fill_(all(bool(book.initialized) for book in books))

    def codes(self) -> Tensor:
        """
        Return the codes of all levels, with gradient to the parameters that they are made of.

        Returns
        -------
        Tensor, shape=(level, code, dim), dtype=float32
            The effective codes: one axis more than other books have.
        """
        return torch.stack([book.codes() for book in self._levels()])

    def raw_codes(self) -> Tensor:
        """
        Return the tables that the codes are made of.

        Returns
        -------
        Tensor, shape=(level, code, dim), dtype=float32
            Detached.
        """
        return torch.stack([book.raw_codes() for book in self._levels()])

    def nearest(self, latents: Tensor) -> Tensor:
        """
        Return, level by level, the index of the code nearest to what is left.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float
            Latents, finite.

        Returns
        -------
        Tensor, shape=(..., level), dtype=int64
            Indices; ties go to the lowest.
        """
        found, residual = [], latents.detach()
        with torch.no_grad():
            for book in self._levels():
                found.append(book.nearest(residual))
                residual = residual - book.lookup(found[-1])
        return torch.stack(found, dim=-1)

    def lookup(self, indices: Tensor) -> Tensor:
        """
        Return the sums of the codes of all levels, with gradient to their parameters.

        Parameters
        ----------
        indices : Tensor, shape=(..., level), dtype=int64
            Indices, in [0, size).

        Returns
        -------
        Tensor, shape=(..., dim), dtype=float32
            Sums of codes.

        Raises
        ------
        ValueError
            If an index is no code, or the last axis is not that of the levels.
        """
        # One after the other: torch's own sum may change its order with the shape.
        total, *others = self._level_codes(indices)
        for code in others:
            total = total + code
        return total

    def pairs(self, latents: Tensor, indices: Tensor, codes: Tensor) -> list[tuple[Tensor, Tensor]]:
        """
        Return the residual and the code of each level: the two sides of the losses.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float32
            Latents.
        indices : Tensor, shape=(..., level), dtype=int64
            From `nearest`.
        codes : Tensor, shape=(..., dim), dtype=float32
            From `lookup`; not needed.

        Returns
        -------
        list of tuple of Tensor, each shape=(..., dim)
            One pair per level. A residual has the gradient of the latents.
        """
        levels = self._level_codes(indices)
        return list(zip(_residuals(latents, levels), levels, strict=True))

    def seed(self, centroids: Tensor) -> None:
        """
        Refuse: one set of centroids says nothing about the residuals. Use `seed_from`.

        Parameters
        ----------
        centroids : Tensor
            Not used.

        Raises
        ------
        ValueError
            Always.
        """
        self._place(centroids)

    def seed_from(
        self, sample: Tensor, *, generator: torch.Generator, iterations: int = 50
    ) -> None:
        """
        Seed each level with the k-means centroids of what the levels before it leave over.

        Parameters
        ----------
        sample : Tensor, shape=(latent, dim), dtype=float
            Latents, finite.
        generator : torch.Generator
            Decides the result.
        iterations : int
            Lloyd iterations per level, at most.

        Raises
        ------
        ValueError
            If the sample is empty, has another shape, or is not finite.
        """
        residual = sample.detach()
        with torch.no_grad(), torch.autocast(sample.device.type, enabled=False):
            for book in self._levels():
                book.seed_from(residual, generator=generator, iterations=iterations)
                residual = residual - book.lookup(book.nearest(residual))
            self.initialized.fill_(True)

    @torch.no_grad()
    def update(
        self, latents: Tensor, indices: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """
        Let each level learn from its residuals.

        Parameters
        ----------
        latents : Tensor, shape=(latent, dim), dtype=float32
            The latents of the batch that were valid, in this process.
        indices : Tensor, shape=(latent, level), dtype=int64
            From `nearest`.
        generator : torch.Generator, optional
            Decides which residuals idle codes move to. The same in every process.

        Returns
        -------
        Tensor, shape=(level, code), dtype=bool
            True where a code was put elsewhere: one axis more than other books have.
        """
        # All residuals are those of the codes before any level is changed.
        residuals = _residuals(latents, self._level_codes(indices))
        moved = [
            book.update(residual, indices[..., level], generator=generator)
            for level, (book, residual) in enumerate(zip(self._levels(), residuals, strict=True))
        ]
        return torch.stack(moved)

    def folded(self) -> "ResidualCodebook":
        """
        Return a book of the same codes that are fixed and need no computation.

        Returns
        -------
        ResidualCodebook
            Of the folded books.
        """
        return ResidualCodebook([book.folded() for book in self._levels()])

    def extra_repr(self) -> str:
        """Return the sizes, for ``repr``."""
        return f"levels={len(self.books)}, {super().extra_repr()}"

    def _levels(self) -> list[AbstractCodebook]:
        return [cast("AbstractCodebook", book) for book in self.books]

    def _level_codes(self, indices: Tensor) -> list[Tensor]:
        """Return the codes of each level, each shape=(..., dim)."""
        if indices.ndim < 1 or indices.shape[-1] != len(self.books):
            expected, got = f"(..., {len(self.books)})", tuple(indices.shape)
            msg = f"indices: expected shape {expected}, one index per level, got {got}"
            raise ValueError(msg)
        books = enumerate(self._levels())
        return [book.lookup(indices[..., level]) for level, book in books]

    def _place(self, centroids: Tensor) -> None:
        msg = (
            f"codebook: {len(self.books)} residual levels cannot be seeded with one set of "
            "centroids; use seed_from with a sample of latents"
        )
        raise ValueError(msg)


def _residuals(latents: Tensor, codes: list[Tensor]) -> list[Tensor]:
    """Return what each level is to stand for: latents less the codes of the levels before."""
    residuals = [latents]
    for code in codes[:-1]:
        residuals.append(residuals[-1] - code.detach())
    return residuals


def _check(books: Sequence[AbstractCodebook]) -> None:
    """Refuse books that cannot be added."""
    if not books:
        msg = "codebook: residual quantization needs at least one book, got none"
        raise ConfigError(msg)
    if len({id(book) for book in books}) < len(books):
        msg = "codebook: a book is given for two residual levels; each needs its own"
        raise ConfigError(msg)
    for what in ("size", "dim", "learning"):
        values = [getattr(book, what) for book in books]
        if any(value != values[0] for value in values):
            msg = f"codebook: residual levels must have the same {what}, got {values}"
            raise ConfigError(msg)
    for level, book in enumerate(books):
        name = type(book).__name__
        if book.index_shape:
            msg = f"codebook: residual level {level} is a {name} itself; give its books one by one"
            raise ConfigError(msg)
        if type(book).project is not AbstractCodebook.project:
            msg = (
                f"codebook: residual level {level} is a {name}, which expects latents on a sphere "
                "or in a box; what is left over of them is not there"
            )
            raise ConfigError(msg)
