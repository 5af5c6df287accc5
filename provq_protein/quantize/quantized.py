"""What comes out of a quantizer?"""

from dataclasses import dataclass

from torch import Tensor

# The index of a latent that was not quantized: never a code.
NO_CODE = -1


@dataclass(frozen=True, eq=False)
class Quantized:
    """
    What `ProgressiveQuantizer` returns.

    Attributes
    ----------
    latents : Tensor, shape=(..., latent_dim), dtype=float32
        What the decoder gets: the soft latents of Eq. 2.
    indices : Tensor, shape=(..., *index_shape), dtype=int64
        The nearest code of each latent; -1 everywhere during the warm-up.
    projected : Tensor, shape=(..., dim), dtype=float32
        The latents where the codes are, before quantization; detached.
    codes : Tensor, shape=(..., dim), dtype=float32
        Their codes, with gradient to the codebook; during the warm-up the same as `projected`.
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
    projected: Tensor
    codes: Tensor
    codebook_loss: Tensor
    commitment_loss: Tensor
    alpha: float
    omega: float
