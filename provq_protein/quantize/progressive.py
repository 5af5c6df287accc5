"""What does the decoder get, and what does quantization cost, at a given training step?"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from provq_protein.errors import ConfigError
from provq_protein.quantize.codebook import AbstractCodebook
from provq_protein.quantize.kmeans import kmeans
from provq_protein.quantize.schedule import ProgressiveSchedule
from provq_protein.quantize.straight_through import straight_through

# The index of a latent that was not quantized: never a code.
NO_CODE = -1


@dataclass(frozen=True, eq=False)
class Quantized:
    """
    What `ProgressiveQuantizer` returns.

    Attributes
    ----------
    latents : Tensor, shape=(..., dim), dtype=float32
        What the decoder gets: the soft latents of Eq. 2.
    indices : Tensor, shape=(...), dtype=int64
        The nearest code of each latent; -1 everywhere during the warm-up.
    codes : Tensor, shape=(..., dim), dtype=float32
        These codes, with gradient to the codebook; during the warm-up the latents, detached.
    codebook_loss : Tensor, shape=(), dtype=float32
        Mean squared distance, with gradient to the codes only.
    commitment_loss : Tensor, shape=(), dtype=float32
        The same value, with gradient to the latents only.
    alpha : float
        Share of the continuous latents, in [0, 1].
    omega : float
        Weight of the two losses, in [0, 1].
    """

    latents: Tensor
    indices: Tensor
    codes: Tensor
    codebook_loss: Tensor
    commitment_loss: Tensor
    alpha: float
    omega: float


class ProgressiveQuantizer(nn.Module):
    """
    Vector quantization that starts continuous and becomes hard (ProVQ).

    Parameters
    ----------
    codebook : AbstractCodebook
        Holds the codes; all parameters of this module are its.
    schedule : ProgressiveSchedule
        The curriculum.
    commitment_weight : float
        Weight of the commitment loss relative to the codebook loss (beta), 0 or more.

    Raises
    ------
    ConfigError
        If `commitment_weight` is negative or not finite.

    Notes
    -----
    The paper [1]_ gives the decoder, in Eq. 2, and minimizes, in Eq. 4,

    .. math::

        \\tilde z &= \\alpha z + (1 - \\alpha) z_q, \\quad
            z_q = \\mathrm{sg}[e_k] + z - \\mathrm{sg}[z], \\quad
            k = \\arg\\min_i \\lVert z - e_i \\rVert

        L &= L_{recon}(x, D(\\tilde z)) + \\omega (L_{VQ} + \\beta L_{commit})

    Here :math:`\\tilde z = z + (1 - \\alpha)\\, \\mathrm{sg}[e_k - z]`, which is the same: for
    every alpha the Jacobian with respect to z is the identity, only the forward value changes,
    and the reconstruction loss never trains a code.

    The paper writes :math:`z_q` in its :math:`L_{VQ} = \\lVert \\mathrm{sg}[z] - z_q \\rVert^2`
    too. Taken literally that has no gradient for the codes, and its gradient for z drives latents
    away from their codes. The losses here use the code :math:`e_k` itself. A squared distance is
    a mean over dimensions, then over valid latents. The paper states no beta; 0.25 is the value
    of the original VQ-VAE.

    In eval mode, and where no step is given, quantization is hard.

    References
    ----------
    .. [1] Zhao et al., "Mitigating Premature Discretization with Progressive Quantization for
       Robust Vector Tokenization" (ProVQ), arXiv:2603.22304, section 4.

    Examples
    --------
    >>> from provq_protein.quantize import Codebook
    >>> schedule = ProgressiveSchedule(
    ...     warmup_steps=10, transition_steps=10, shape="cosine", initial_coupling=1.0
    ... )
    >>> quantizer = ProgressiveQuantizer(Codebook(2, 1), schedule)
    >>> quantizer.codebook.seed(torch.tensor([[0.0], [1.0]]))
    >>> latents = torch.tensor([[0.75]])
    >>> [quantizer(latents, step=step).latents.item() for step in (0, 10, 15, 20)]
    [0.75, 0.75, 0.875, 1.0]
    >>> quantizer.eval()(latents, step=15).latents.item()
    1.0
    """

    def __init__(
        self,
        codebook: AbstractCodebook,
        schedule: ProgressiveSchedule,
        *,
        commitment_weight: float = 0.25,
    ) -> None:
        super().__init__()
        if not 0.0 <= commitment_weight < float("inf"):
            msg = f"quantizer: commitment_weight must be 0 or more, got {commitment_weight}"
            raise ConfigError(msg)
        self.codebook = codebook
        self.schedule = schedule
        self.commitment_weight = commitment_weight

    def forward(
        self, latents: Tensor, *, step: int | None = None, mask: Tensor | None = None
    ) -> Quantized:
        """
        Quantize latents as softly as the training step asks for.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float
            Encoder output. Low-precision latents are quantized in float32.
        step : int, optional
            Optimizer steps done so far. Without it, or in eval mode, quantization is hard.
        mask : Tensor, shape=(...), dtype=bool, optional
            True where a latent is valid. The others are quantized along, after a value that is
            not finite has been replaced by 0, but have no part in losses and their gradients.

        Returns
        -------
        Quantized
            During the warm-up the codebook is not looked at: no indices, zero losses. Where no
            latent is valid the losses are zero as well.

        Raises
        ------
        ValueError
            If a valid latent is not finite, or a shape does not fit.
        """
        latents = self._checked(latents, mask)
        alpha, omega = 0.0, 1.0
        if self.training and step is not None:
            alpha, omega = self.schedule.alpha(step), self.schedule.omega(step)
            if self.schedule.stage(step) == "warmup":
                return _continuous(latents, omega=omega)
        indices = self.codebook.nearest(latents.detach())
        codes = self.codebook.lookup(indices)
        return Quantized(
            latents=_soften(latents, codes, alpha),
            indices=indices,
            codes=codes,
            codebook_loss=_mean_squared_distance(codes, latents.detach(), mask),
            commitment_loss=_mean_squared_distance(latents, codes.detach(), mask),
            alpha=alpha,
            omega=omega,
        )

    def vq_loss(self, quantized: Quantized) -> Tensor:
        """
        Return the quantization part of the training objective (Eq. 4).

        Parameters
        ----------
        quantized : Quantized
            From `forward`.

        Returns
        -------
        Tensor, shape=(), dtype=float32
            ``omega * (codebook_loss + commitment_weight * commitment_loss)``.
        """
        distances = quantized.codebook_loss + self.commitment_weight * quantized.commitment_loss
        return quantized.omega * distances

    def encode(self, latents: Tensor) -> Tensor:
        """
        Return the index of the nearest code of each latent.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float
            Latents, finite.

        Returns
        -------
        Tensor, shape=(...), dtype=int64
            Indices; ties go to the lowest.
        """
        return self.codebook.nearest(latents)

    def decode(self, indices: Tensor) -> Tensor:
        """
        Return the codes of some indices: the decoder's input in inference.

        Parameters
        ----------
        indices : Tensor, shape=(...), dtype=int64
            Indices.

        Returns
        -------
        Tensor, shape=(..., dim), dtype=float32
            Codes, equal to what `forward` gives in eval mode.
        """
        return self.codebook.lookup(indices)

    def seed(self, sample: Tensor, generator: torch.Generator, *, iterations: int = 50) -> None:
        """
        Set the codes to the k-means centroids of a sample of latents (end of section 4.1).

        Parameters
        ----------
        sample : Tensor, shape=(latent, dim), dtype=float
            Valid latents only; 50 or more per code are advisable.
        generator : torch.Generator
            Decides the result.
        iterations : int
            Lloyd iterations, at most.

        Raises
        ------
        ValueError
            If the sample is empty, has another dimension, or is not finite.
        """
        if sample.ndim != 2 or sample.shape[1] != self.codebook.dim:
            expected, got = f"(latent, {self.codebook.dim})", tuple(sample.shape)
            msg = f"quantizer: seeding: expected a sample of shape {expected}, got {got}"
            raise ValueError(msg)
        centroids = kmeans(sample, self.codebook.size, generator=generator, iterations=iterations)
        self.codebook.seed(centroids)

    def _checked(self, latents: Tensor, mask: Tensor | None) -> Tensor:
        if latents.ndim < 1 or latents.shape[-1] != self.codebook.dim:
            expected, got = f"(..., {self.codebook.dim})", tuple(latents.shape)
            msg = f"quantizer: latents: expected shape {expected}, got {got}"
            raise ValueError(msg)
        if mask is not None and (mask.shape != latents.shape[:-1] or mask.dtype != torch.bool):
            expected, got = tuple(latents.shape[:-1]), tuple(mask.shape)
            msg = f"quantizer: mask: expected bool of shape {expected}, got {mask.dtype} of {got}"
            raise ValueError(msg)
        finite = torch.isfinite(latents.detach()).all(dim=-1)
        broken = ~finite if mask is None else ~finite & mask
        if bool(broken.any()):
            count, total = int(broken.sum()), broken.numel() if mask is None else int(mask.sum())
            msg = (
                f"quantizer: latents: {count} of {total} valid latents contain NaN or infinity; "
                "the encoder has diverged, or its input was not finite"
            )
            raise ValueError(msg)
        precise = latents.to(torch.promote_types(latents.dtype, torch.float32))
        return precise if mask is None else torch.where(finite[..., None], precise, 0.0)


def _continuous(latents: Tensor, *, omega: float) -> Quantized:
    """Return latents as they are: the warm-up."""
    zero = latents.new_zeros(())
    return Quantized(
        latents=latents,
        indices=torch.full(latents.shape[:-1], NO_CODE, device=latents.device),
        codes=latents.detach(),
        codebook_loss=zero,
        commitment_loss=zero,
        alpha=1.0,
        omega=omega,
    )


def _soften(latents: Tensor, codes: Tensor, alpha: float) -> Tensor:
    """Return the soft latents of Eq. 2, exact at both ends."""
    if alpha == 1.0:
        return latents
    if alpha == 0.0:
        return straight_through(latents, codes)
    return latents + (1.0 - alpha) * (codes - latents).detach()


def _mean_squared_distance(values: Tensor, targets: Tensor, mask: Tensor | None) -> Tensor:
    """Return the mean over valid entries of the mean over dimensions of squared differences."""
    squared = (values - targets).square().mean(dim=-1)
    if mask is None:
        return squared.sum() / max(1, squared.numel())
    return torch.where(mask, squared, 0.0).sum() / mask.sum().clamp(min=1)
