"""Which latents can be quantized?"""

import torch
from torch import Tensor


def checked_latents(latents: Tensor, mask: Tensor | None, *, dim: int) -> Tensor:
    """
    Refuse latents that no code can stand for.

    Parameters
    ----------
    latents : Tensor, shape=(..., dim), dtype=float
        Latents.
    mask : Tensor, shape=(...), dtype=bool, optional
        True where a latent is valid; the others may be anything.
    dim : int
        Their dimension.

    Returns
    -------
    Tensor, shape=(..., dim), dtype=float32
        The latents in single precision or better; zero where one is neither valid nor finite.

    Raises
    ------
    ValueError
        If a valid latent is not finite, or a shape does not fit.
    """
    if latents.ndim < 1 or latents.shape[-1] != dim:
        expected, got = f"(..., {dim})", tuple(latents.shape)
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
