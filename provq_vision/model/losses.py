"""What do single losses of an image and of a discriminator measure?"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

PixelLoss = Literal["l2", "l1"]
AdversarialLoss = Literal["hinge", "non_saturating"]

# Keeps the ratio of two gradient norms finite where the discriminator is flat.
_FLAT = 1e-4


def pixel_loss(images: Tensor, targets: Tensor, *, kind: PixelLoss) -> Tensor:
    """
    Return the mean difference of colors.

    Parameters
    ----------
    images, targets : Tensor, shape=(batch, 3, height, width), dtype=float
        Colors in [-1, 1].
    kind : {"l2", "l1"}
        Squared or absolute differences.

    Returns
    -------
    Tensor, shape=(), dtype=float32
        A mean over all numbers, computed in float32 or better.

    Examples
    --------
    >>> pixel_loss(torch.tensor([3.0]), torch.tensor([1.0]), kind="l2")
    tensor(4.)
    """
    precise = torch.promote_types(images.dtype, torch.float32)
    difference = images.to(precise) - targets.to(precise)
    return difference.square().mean() if kind == "l2" else difference.abs().mean()


def discriminator_loss(real: Tensor, fake: Tensor, *, kind: AdversarialLoss) -> Tensor:
    """
    Return how badly real and reconstructed images are told apart.

    Parameters
    ----------
    real, fake : Tensor, dtype=float
        Logits of images and of reconstructions.
    kind : {"hinge", "non_saturating"}
        The loss.

    Returns
    -------
    Tensor, shape=(), dtype=float32
        With D(x) the logits, half of ``relu(1 - D(real)) + relu(1 + D(fake))``, or of the cross
        entropies ``-log sigmoid(D(real)) - log(1 - sigmoid(D(fake)))``; means over all logits.

    Examples
    --------
    >>> discriminator_loss(torch.tensor([0.0]), torch.tensor([-3.0]), kind="hinge")
    tensor(0.5000)
    """
    real, fake = _precise(real), _precise(fake)
    if kind == "hinge":
        return 0.5 * (functional.relu(1.0 - real).mean() + functional.relu(1.0 + fake).mean())
    # -log sigmoid(x) = softplus(-x), which does not overflow.
    return 0.5 * (functional.softplus(-real).mean() + functional.softplus(fake).mean())


def generator_loss(fake: Tensor, *, kind: AdversarialLoss) -> Tensor:
    """
    Return how badly reconstructions pass for real images.

    Parameters
    ----------
    fake : Tensor, dtype=float
        Logits of reconstructions.
    kind : {"hinge", "non_saturating"}
        The loss that the discriminator is trained with.

    Returns
    -------
    Tensor, shape=(), dtype=float32
        With D(x) the logits, the mean of ``-D(fake)``, or of ``-log sigmoid(D(fake))``.

    Examples
    --------
    >>> generator_loss(torch.tensor([2.0, 4.0]), kind="hinge")
    tensor(-3.)
    """
    fake = _precise(fake)
    return -fake.mean() if kind == "hinge" else functional.softplus(-fake).mean()


def adaptive_weight(
    reconstruction: Tensor, adversarial: Tensor, last_layer: Tensor, *, limit: float
) -> Tensor:
    """
    Return the weight at which an adversarial loss pulls as hard as the reconstruction.

    Parameters
    ----------
    reconstruction, adversarial : Tensor, shape=()
        The two losses, with their graphs, which are kept.
    last_layer : Tensor
        The parameter where gradients are compared.
    limit : float
        Upper limit of the weight.

    Returns
    -------
    Tensor, shape=()
        Norm of the gradient of the reconstruction over that of the adversarial loss, in
        [0, `limit`]; detached.

    References
    ----------
    .. [1] Esser et al., "Taming transformers for high-resolution image synthesis" (VQGAN),
       arXiv:2012.09841, Eq. 7.
    """
    (wanted,) = torch.autograd.grad(reconstruction, last_layer, retain_graph=True)
    (given,) = torch.autograd.grad(adversarial, last_layer, retain_graph=True)
    ratio = torch.linalg.vector_norm(wanted) / (torch.linalg.vector_norm(given) + _FLAT)
    return ratio.clamp(0.0, limit).detach()


def _precise(logits: Tensor) -> Tensor:
    return logits.to(torch.promote_types(logits.dtype, torch.float32))
