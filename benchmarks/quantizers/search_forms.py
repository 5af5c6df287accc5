"""Which ways of looking for the nearest code are compared, and on what?"""

from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from provq_protein.quantize.nearest import nearest_codes


class Shape(NamedTuple):
    """
    The size of one search.

    Parameters
    ----------
    latents : int
        Number of latents.
    codes : int
        Number of codes.
    dim : int
        Dimension of both.
    """

    latents: int
    codes: int
    dim: int


def expanded(latents: Tensor, codes: Tensor) -> Tensor:
    """
    Return the nearest codes as LlamaGen's quantizer finds them.

    Parameters
    ----------
    latents : Tensor, shape=(latent, dim), dtype=float32
        With gradient, as they come from an encoder.
    codes : Tensor, shape=(code, dim), dtype=float32
        With gradient, as they are trained.

    Returns
    -------
    Tensor, shape=(latent,), dtype=int64
        Indices; those of near-ties depend on rounding.
    """
    distances = (
        torch.sum(latents**2, dim=1, keepdim=True)
        + torch.sum(codes**2, dim=1)
        - 2 * torch.einsum("bd,dn->bn", latents, torch.einsum("n d -> d n", codes))
    )
    return torch.argmin(distances, dim=1)


FORMS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "expanded": expanded,
    "tiled": nearest_codes,
}


def draw(shape: Shape, seed: int) -> tuple[Tensor, Tensor]:
    """
    Draw latents and codes.

    Parameters
    ----------
    shape : Shape
        Their size.
    seed : int
        Decides their values.

    Returns
    -------
    latents : Tensor, shape=(latent, dim), dtype=float32
        Standard normal, with gradient.
    codes : Tensor, shape=(code, dim), dtype=float32
        Likewise.
    """
    generator = torch.Generator().manual_seed(seed)
    latents = torch.randn(shape.latents, shape.dim, generator=generator)
    codes = torch.randn(shape.codes, shape.dim, generator=generator)
    return latents.requires_grad_(), codes.requires_grad_()
