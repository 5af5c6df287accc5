"""How are latents compared with codes by their direction alone?"""

import torch
from torch import Tensor

from provq_protein.errors import ConfigError
from provq_protein.quantize.codebook import AbstractCodebook

# What is shorter than this, by its largest component, has no direction.
_SHORTEST = 1e-12


class SphericalCodebook(AbstractCodebook):
    """
    Any other book on the unit sphere: latents and codes are divided by their lengths.

    Parameters
    ----------
    inner : AbstractCodebook
        The book whose codes are normalized. It learns as it would alone: a gradient passes the
        normalization, and moving averages are those of normalized latents.

    Raises
    ------
    ConfigError
        If `inner` adds several codes, or moves latents by itself: neither stays on a sphere.

    Notes
    -----
    On the unit sphere the nearest code is the one of largest cosine similarity. This is the
    l2-normalized codebook of ViT-VQGAN [1]_ and LlamaGen.

    A latent whose largest component is below 1e-12 has no direction. It is taken for zero, at the
    same distance from every code, and gets no gradient. For longer ones the gradient is that of
    the normalization, and grows as one over the length.

    References
    ----------
    .. [1] Yu et al., "Vector-quantized image modeling with improved VQGAN", arXiv:2110.04627.

    Examples
    --------
    >>> from provq_protein.quantize import Codebook
    >>> book = SphericalCodebook(Codebook(2, 2))
    >>> book.seed(torch.tensor([[9.0, 0.0], [0.0, 0.1]]))
    >>> book.codes().detach()
    tensor([[1., 0.],
            [0., 1.]])
    >>> book.project(torch.tensor([[3.0, 4.0]]))
    tensor([[0.6000, 0.8000]])
    """

    def __init__(self, inner: AbstractCodebook) -> None:
        super().__init__(inner.size, inner.dim)
        name = type(inner).__name__
        if inner.index_shape:
            msg = (
                f"codebook: {name} adds several codes, and a sum of unit vectors is not on the "
                "unit sphere; use a book of one level"
            )
            raise ConfigError(msg)
        if type(inner).project is not AbstractCodebook.project:
            msg = (
                f"codebook: {name} moves latents by itself, and normalizing them as well leaves "
                "no place for both; use it alone"
            )
            raise ConfigError(msg)
        self.inner = inner
        self.learning = inner.learning
        self.initialized.copy_(inner.initialized)

    def codes(self) -> Tensor:
        """
        Return the codes of the inner book, normalized.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            Of length 1.
        """
        return _normalized(self.inner.codes())

    def raw_codes(self) -> Tensor:
        """
        Return the table that the inner book is made of.

        Returns
        -------
        Tensor, shape=(code, dim), dtype=float32
            Detached, of any length.
        """
        return self.inner.raw_codes()

    def project(self, latents: Tensor) -> Tensor:
        """
        Return latents divided by their lengths, with gradient.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float32
            Encoder output.

        Returns
        -------
        Tensor, shape=(..., dim), dtype=float32
            Of length 1, or 0 where a latent has no direction.
        """
        return _normalized(latents)

    def seed_from(
        self, sample: Tensor, *, generator: torch.Generator, iterations: int = 50
    ) -> None:
        """
        Set the codes to the directions of the k-means centroids of normalized latents.

        Parameters
        ----------
        sample : Tensor, shape=(latent, dim), dtype=float
            Latents, finite; they are normalized here, if they were not.
        generator : torch.Generator
            Decides the result.
        iterations : int
            Lloyd iterations, at most.

        Raises
        ------
        ValueError
            If the sample is empty, has another shape, or is not finite, or if a centroid has no
            direction.
        """
        super().seed_from(_normalized(sample), generator=generator, iterations=iterations)

    def update(
        self, latents: Tensor, indices: Tensor, *, generator: torch.Generator | None = None
    ) -> Tensor:
        """
        Let the inner book learn from normalized latents.

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
        return self.inner.update(latents, indices, generator=generator)

    def folded(self) -> "SphericalCodebook":
        """
        Return a book of the same codes that are fixed.

        Returns
        -------
        SphericalCodebook
            Around a table of the codes before their normalization, which is done in the same way
            and gives the same bits.
        """
        return SphericalCodebook(self.inner.folded())

    def _place(self, centroids: Tensor) -> None:
        unit = _normalized(centroids)
        directed = unit.any(dim=1)
        if not bool(directed.all()):
            count = int((~directed).sum())
            msg = (
                f"codebook: seeding: {count} of {self.size} centroids have no direction; the "
                "latents are zero, or cancel each other"
            )
            raise ValueError(msg)
        self.inner.seed(unit)


def _normalized(vectors: Tensor) -> Tensor:
    """Return vectors of length 1, or 0 where there is no direction."""
    # Dividing by the largest component first keeps squares from overflow and underflow. It changes
    # no direction, so the gradient is right with that number taken for a constant.
    largest = vectors.detach().abs().amax(dim=-1, keepdim=True)
    # Written so that NaN stays NaN, to be refused later.
    short = largest < _SHORTEST
    scaled = vectors / torch.where(short, 1.0, largest)
    length = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
    return torch.where(short, 0.0, scaled / torch.where(short, 1.0, length))
