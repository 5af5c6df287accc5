"""What does the decoder get, and what does quantization cost, at a given training step?"""

import torch
from torch import Tensor, nn

from provq_protein.errors import ConfigError
from provq_protein.quantize.codebook import AbstractCodebook
from provq_protein.quantize.distributed import (
    copy_from_first,
    copy_generator_from_first,
    gathered,
    on_first,
)
from provq_protein.quantize.estimators import GradientEstimator, StraightThrough
from provq_protein.quantize.latents import checked_latents
from provq_protein.quantize.losses import mean_over_levels, one_over_valid
from provq_protein.quantize.quantized import NO_CODE, Quantized
from provq_protein.quantize.schedule import ProgressiveSchedule

STRAIGHT_THROUGH = StraightThrough()


class ProgressiveQuantizer(nn.Module):
    """
    Vector quantization that starts continuous and becomes hard (ProVQ).

    Parameters
    ----------
    codebook : AbstractCodebook
        Holds the codes.
    schedule : ProgressiveSchedule
        The curriculum.
    estimator : GradientEstimator
        How a gradient passes the jump from a latent to its code.
    latent_dim : int, optional
        Dimension of the latents that come in and go out. Where it differs from that of the codes,
        linear maps lead to the codes and back (`down` and `up`).
    codebook_weight : float, optional
        Weight of the codebook loss, 0 or more; by default 1 if a gradient moves the codes and 0
        elsewhere.
    commitment_weight : float
        Weight of the commitment loss relative to the codebook loss (beta), 0 or more.

    Raises
    ------
    ConfigError
        If a weight is negative or not finite, if nothing would ever move codes that learn by
        gradient, or if a gradient would be sent to codes that have none.

    Notes
    -----
    The paper [1]_ gives the decoder, in Eq. 2, and minimizes, in Eq. 4,

    .. math::

        \\tilde z &= \\alpha z + (1 - \\alpha) z_q, \\quad
            z_q = \\mathrm{sg}[e_k] + z - \\mathrm{sg}[z], \\quad
            k = \\arg\\min_i \\lVert z - e_i \\rVert

        L &= L_{recon}(x, D(\\tilde z)) + \\omega (L_{VQ} + \\beta L_{commit})

    That is :math:`\\tilde z = z + (1 - \\alpha)\\, \\mathrm{sg}[e_k - z]`: for every alpha the
    Jacobian with respect to z is the identity, only the forward value changes, and the
    reconstruction loss never trains a code. With another estimator than the straight-through one,
    of Jacobian J, it is :math:`\\alpha I + (1 - \\alpha) J`.

    The paper writes :math:`z_q` in its :math:`L_{VQ} = \\lVert \\mathrm{sg}[z] - z_q \\rVert^2`
    too. Taken literally that has no gradient for the codes, and its gradient for z drives latents
    away from their codes. The losses here use the code :math:`e_k` itself. A squared distance is
    a mean over dimensions, then over valid latents. The paper states no beta; 0.25 is the value
    of the original VQ-VAE.

    Valid latents are counted over all processes of a training, so that gradients averaged by
    DistributedDataParallel are those of one process with the whole batch.

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
        estimator: GradientEstimator = STRAIGHT_THROUGH,
        latent_dim: int | None = None,
        codebook_weight: float | None = None,
        commitment_weight: float = 0.25,
    ) -> None:
        super().__init__()
        by_gradient = codebook.learning == "gradient"
        self.codebook = codebook
        self.schedule = schedule
        self.estimator = estimator
        self.codebook_weight = float(by_gradient) if codebook_weight is None else codebook_weight
        self.commitment_weight = commitment_weight
        _check_weights(self)
        self.latent_dim = codebook.dim if latent_dim is None else latent_dim
        # No parameters where there is nothing to map.
        mapped = self.latent_dim != codebook.dim
        self.down = nn.Linear(self.latent_dim, codebook.dim) if mapped else None
        self.up = nn.Linear(codebook.dim, self.latent_dim) if mapped else None

    def forward(
        self, latents: Tensor, *, step: int | None = None, mask: Tensor | None = None
    ) -> Quantized:
        """
        Quantize latents as softly as the training step asks for.

        Parameters
        ----------
        latents : Tensor, shape=(..., latent_dim), dtype=float
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
        projected = self._project(self._checked(latents, mask))
        alpha, omega = 0.0, 1.0
        if self.training and step is not None:
            alpha, omega = self.schedule.alpha(step), self.schedule.omega(step)
            if self.schedule.stage(step) == "warmup":
                return self._continuous(projected, omega=omega)
        indices = self.codebook.nearest(projected.detach())
        codes = self.codebook.lookup(indices)
        # Outside training the value alone counts, and it must be the code to the last bit.
        estimator = self.estimator if self.training else STRAIGHT_THROUGH
        pairs = self.codebook.pairs(projected, indices, codes)
        scale = one_over_valid(projected, mask, together=self.training)
        return Quantized(
            latents=self._leave(_soften(projected, estimator(projected, codes), alpha)),
            indices=indices,
            projected=projected.detach(),
            codes=codes,
            codebook_loss=mean_over_levels([(code, z.detach()) for z, code in pairs], mask, scale),
            commitment_loss=mean_over_levels(
                [(z, code.detach()) for z, code in pairs], mask, scale
            ),
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
            ``omega * (codebook_weight * codebook_loss + commitment_weight * commitment_loss)``.
        """
        return quantized.omega * (
            self.codebook_weight * quantized.codebook_loss
            + self.commitment_weight * quantized.commitment_loss
        )

    def update(
        self,
        quantized: Quantized,
        *,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> Tensor:
        """
        Let the codebook learn what it does not learn by gradient; once per step, after it.

        Parameters
        ----------
        quantized : Quantized
            From `forward` in training.
        mask : Tensor, shape=(...), dtype=bool, optional
            As `forward` got it.
        generator : torch.Generator, optional
            Decides where idle codes move to; the same state in every process. A book that revives
            idle codes needs it.

        Returns
        -------
        Tensor, shape=(*index_shape, code), dtype=bool
            True where a code was moved by hand: its optimizer moments mean nothing any more.
        """
        dim, width = self.codebook.dim, len(self.codebook.index_shape)
        latents = quantized.projected.reshape(-1, dim)
        indices = quantized.indices.flatten(0, quantized.indices.ndim - 1 - width)
        if mask is not None:
            latents, indices = latents[mask.flatten()], indices[mask.flatten()]
        if bool((indices == NO_CODE).any()):
            shape = (*self.codebook.index_shape, self.codebook.size)
            return torch.zeros(shape, dtype=torch.bool, device=latents.device)
        with torch.no_grad(), torch.autocast(latents.device.type, enabled=False):
            return self.codebook.update(latents, indices, generator=generator)

    def encode(self, latents: Tensor) -> Tensor:
        """
        Return the index of the nearest code of each latent.

        Parameters
        ----------
        latents : Tensor, shape=(..., latent_dim), dtype=float
            Latents, finite.

        Returns
        -------
        Tensor, shape=(..., *index_shape), dtype=int64
            Indices; ties go to the lowest.

        Raises
        ------
        ValueError
            If a latent is not finite, or the dimension does not fit.
        """
        return self.codebook.nearest(self._project(self._checked(latents, None)))

    def decode(self, indices: Tensor) -> Tensor:
        """
        Return the codes of some indices: the decoder's input in inference.

        Parameters
        ----------
        indices : Tensor, shape=(..., *index_shape), dtype=int64
            Indices.

        Returns
        -------
        Tensor, shape=(..., latent_dim), dtype=float32
            Codes, equal to what `forward` gives in eval mode.

        Raises
        ------
        ValueError
            If an index is no code.
        """
        return self._leave(self.codebook.lookup(indices))

    def pass_through(self, latents: Tensor) -> Tensor:
        """
        Return what the decoder gets in the warm-up.

        Parameters
        ----------
        latents : Tensor, shape=(..., latent_dim), dtype=float
            Latents, finite.

        Returns
        -------
        Tensor, shape=(..., latent_dim), dtype=float32
            The latents, where the codebook normalizes or maps them after that.

        Raises
        ------
        ValueError
            If a latent is not finite, or the dimension does not fit.
        """
        return self._leave(self._project(self._checked(latents, None)))

    def seed(self, sample: Tensor, generator: torch.Generator, *, iterations: int = 50) -> None:
        """
        Set the codes to the k-means centroids of a sample of latents (end of section 4.1).

        Parameters
        ----------
        sample : Tensor, shape=(latent, latent_dim), dtype=float
            Valid latents only; 50 or more per code are advisable. Each process of a training
            gives its own: rank 0 clusters all of them, and all get its codes.
        generator : torch.Generator
            Decides the result; afterwards in the same state in every process.
        iterations : int
            Lloyd iterations, at most.

        Raises
        ------
        ValueError
            If the sample is empty, has another dimension, or is not finite.
        """
        if sample.ndim != 2 or sample.shape[1] != self.latent_dim:
            expected, got = f"(latent, {self.latent_dim})", tuple(sample.shape)
            msg = f"quantizer: seeding: expected a sample of shape {expected}, got {got}"
            raise ValueError(msg)
        every = gathered(sample)
        if not every.shape[0]:
            msg = "quantizer: seeding: the sample is empty"
            raise ValueError(msg)
        # Every process checks the whole sample: one that failed alone would leave the rest waiting.
        with torch.no_grad():
            projected = self._project(self._checked(every, None))
        settings = {"generator": generator, "iterations": iterations}
        on_first(lambda: self.codebook.seed_from(projected, **settings))
        copy_from_first(self.codebook)
        copy_generator_from_first(generator)

    def extra_repr(self) -> str:
        """Return the settings, for ``repr``."""
        return (
            f"estimator={self.estimator}, codebook_weight={self.codebook_weight}, "
            f"commitment_weight={self.commitment_weight}"
        )

    def _project(self, latents: Tensor) -> Tensor:
        """Return latents where the codes are."""
        with torch.autocast(latents.device.type, enabled=False):
            return self.codebook.project(latents if self.down is None else self.down(latents))

    def _leave(self, latents: Tensor) -> Tensor:
        """Return codes, or what is between latents and codes, where the latents came from."""
        with torch.autocast(latents.device.type, enabled=False):
            return latents if self.up is None else self.up(latents)

    def _continuous(self, projected: Tensor, *, omega: float) -> Quantized:
        """Return latents without quantization: the warm-up."""
        zero = projected.new_zeros(())
        shape = (*projected.shape[:-1], *self.codebook.index_shape)
        return Quantized(
            latents=self._leave(projected),
            indices=torch.full(shape, NO_CODE, device=projected.device),
            projected=projected.detach(),
            codes=projected.detach(),
            codebook_loss=zero,
            commitment_loss=zero,
            alpha=1.0,
            omega=omega,
        )

    def _checked(self, latents: Tensor, mask: Tensor | None) -> Tensor:
        return checked_latents(latents, mask, dim=self.latent_dim)


def _check_weights(quantizer: ProgressiveQuantizer) -> None:
    """Refuse a quantizer whose parts cannot learn together."""
    for name in ("codebook_weight", "commitment_weight"):
        value = getattr(quantizer, name)
        # Written so that NaN is refused as well.
        if not 0.0 <= value < float("inf"):
            msg = f"quantizer: {name} must be 0 or more, got {value}"
            raise ConfigError(msg)
    book, estimator = type(quantizer.codebook).__name__, type(quantizer.estimator).__name__
    learning = quantizer.codebook.learning
    to_codes = quantizer.estimator.trains_codes
    if learning != "gradient" and to_codes:
        msg = (
            f"quantizer: {estimator} sends gradients to the codes, but those of {book} learn by "
            f"{learning}; use another estimator, or a codebook of parameters"
        )
        raise ConfigError(msg)
    if learning != "gradient" and quantizer.codebook_weight > 0.0:
        msg = (
            f"quantizer: codebook_weight is {quantizer.codebook_weight}, but the codes of {book} "
            f"learn by {learning}: no loss reaches them; leave it at 0"
        )
        raise ConfigError(msg)
    if learning == "gradient" and quantizer.codebook_weight == 0.0 and not to_codes:
        msg = (
            f"quantizer: nothing moves the codes of {book}: codebook_weight is 0 and {estimator} "
            "sends them no gradient"
        )
        raise ConfigError(msg)


def _soften(latents: Tensor, quantized: Tensor, alpha: float) -> Tensor:
    """Return the soft latents of Eq. 2, exact at both ends."""
    if alpha == 1.0:
        return latents
    if alpha == 0.0:
        return quantized
    return latents + (1.0 - alpha) * (quantized - latents)
