"""How does a gradient pass the jump from a latent to its code?"""

from torch import Tensor


def straight_through(latents: Tensor, codes: Tensor) -> Tensor:
    """
    Return the codes with the gradient of the latents.

    Parameters
    ----------
    latents : Tensor, shape=(..., dim), dtype=float
        Before quantization (z).
    codes : Tensor, shape=(..., dim), dtype=float
        The code of each latent (e).

    Returns
    -------
    Tensor, shape=(..., dim), dtype=float
        The value is exactly `codes`. The Jacobian with respect to `latents` is the identity,
        and no gradient reaches `codes`.

    Notes
    -----
    This is ``z_q = sg[e] + z - sg[z]`` of ProVQ, arXiv:2603.22304, section 4.2. The difference
    of the last two terms is taken first: it is exactly zero, so that the decoder sees in
    training the very numbers that it sees in inference.

    Examples
    --------
    >>> import torch
    >>> latents = torch.tensor([0.2, 0.9], requires_grad=True)
    >>> quantized = straight_through(latents, torch.tensor([0.0, 1.0]))
    >>> quantized.detach()
    tensor([0., 1.])
    >>> quantized.sum().backward()
    >>> latents.grad
    tensor([1., 1.])
    """
    return codes.detach() + (latents - latents.detach())
