"""How does a gradient pass the jump from a latent to its code?"""

import math
from dataclasses import dataclass
from typing import ClassVar, Literal, Protocol, get_args

import torch
from torch import Tensor

from provq_protein.errors import ConfigError

# How the radius of `GeneralizedRadius` grows with the quantization gap.
RadiusShape = Literal["linear", "tanh", "log"]


class GradientEstimator(Protocol):
    """
    Turn latents and their codes into what the decoder gets, with a gradient.

    Attributes
    ----------
    trains_codes : bool
        Whether a gradient of the result reaches the codes.
    """

    trains_codes: ClassVar[bool]

    def __call__(self, latents: Tensor, codes: Tensor) -> Tensor:
        """
        Return the codes, with a gradient.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float32
            Projected latents, before quantization (z).
        codes : Tensor, shape=(..., dim), dtype=float32
            The code of each latent (e).

        Returns
        -------
        Tensor, shape=(..., dim), dtype=float32
            The value is that of `codes`, unless an estimator says that it adds noise; the
            Jacobian is what estimators differ in.
        """
        ...


@dataclass(frozen=True)
class StraightThrough:
    """
    Give the codes the gradient of the latents.

    Notes
    -----
    This is ``z_q = sg[e] + z - sg[z]`` of ProVQ, arXiv:2603.22304, section 4.2. The difference
    of the last two terms is taken first: it is exactly zero, so that the decoder sees in
    training the very numbers that it sees in inference. The Jacobian with respect to the latents
    is the identity, and no gradient reaches the codes.

    Examples
    --------
    >>> import torch
    >>> latents = torch.tensor([0.2, 0.9], requires_grad=True)
    >>> quantized = StraightThrough()(latents, torch.tensor([0.0, 1.0]))
    >>> quantized.detach()
    tensor([0., 1.])
    >>> quantized.sum().backward()
    >>> latents.grad
    tensor([1., 1.])
    """

    trains_codes: ClassVar[bool] = False

    def __call__(self, latents: Tensor, codes: Tensor) -> Tensor:
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
            The value is exactly `codes`.
        """
        return codes.detach() + (latents - latents.detach())


@dataclass(frozen=True)
class RotationTrick:
    """
    Give the codes the gradient of the latents, turned and scaled as the latents are to the codes.

    Notes
    -----
    The jump from a latent z to its code e is written as ``sg[(|e| / |z|) R] z`` [1]_, where

    .. math:: R = I - 2 w w^T + 2 \\hat e \\hat z^T, \\quad
        w = (\\hat z + \\hat e) / \\lVert \\hat z + \\hat e \\rVert

    rotates the direction of z onto that of e in the plane of both. The gradient of the loss by z
    is thus the one by e turned back, and the angle between gradient and vector is kept. No
    gradient reaches the codes.

    The value is exactly `codes`: the map is applied to ``z - sg[z]``, which is zero.

    Where the rotation is not defined: a latent opposite to its code has ``w = 0``, and R becomes
    the reflection of that axis. A latent at the origin, or so near to it that ``|e| / |z|``
    overflows, gets the straight-through gradient. A code at the origin passes no gradient, as
    the formula says.

    References
    ----------
    .. [1] Fifty et al., "Restructuring Vector Quantization with the Rotation Trick",
       arXiv:2410.06424.

    Examples
    --------
    >>> import torch
    >>> latents = torch.tensor([2.0, 0.0], requires_grad=True)
    >>> quantized = RotationTrick()(latents, torch.tensor([0.0, 1.0]))
    >>> quantized.detach()
    tensor([0., 1.])
    >>> quantized[1].backward()
    >>> [round(value, 4) for value in latents.grad.tolist()]
    [0.5, 0.0]
    """

    trains_codes: ClassVar[bool] = False

    def __call__(self, latents: Tensor, codes: Tensor) -> Tensor:
        """
        Return the codes with the turned gradient of the latents.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float
            Before quantization (z).
        codes : Tensor, shape=(..., dim), dtype=float
            The code of each latent (e).

        Returns
        -------
        Tensor, shape=(..., dim), dtype=float
            The value is exactly `codes`.
        """
        before, length = _unit(latents.detach())
        after, code_length = _unit(codes.detach())
        between, _ = _unit(before + after)
        ratio = code_length / length
        moved = latents - latents.detach()
        turned = moved - 2.0 * between * _dot(between, moved) + 2.0 * after * _dot(before, moved)
        # A length of zero makes the ratio infinite, or NaN.
        defined = torch.isfinite(ratio)
        ratio = torch.where(defined, ratio, 1.0)
        return codes.detach() + torch.where(defined, ratio * turned, moved)


@dataclass(frozen=True, kw_only=True)
class DiVeQ:
    """
    Reach the code by a step of the right length in a fixed direction.

    Parameters
    ----------
    noise_variance : float
        Variance of the noise on the direction, per dimension, 0 or more, in the units of the
        latents squared. With 0 the value is exactly the code.

    Raises
    ------
    ConfigError
        If the variance is negative or not finite.

    Notes
    -----
    The result is ``z + |e - z| sg[v / |v|]`` with ``v = (e - z) + N(0, noise_variance I)`` [1]_.
    With u the unit vector of v and d that of ``e - z`` the Jacobian is :math:`I - u d^T` with
    respect to z and :math:`u d^T` with respect to e: the codes learn from the decoder's loss,
    without a codebook or commitment loss. Codes without a latent learn nothing; the authors
    replace them.

    With noise the value is off the code, at the same distance from the latent. The noise is drawn
    from torch's global generator, as dropout's is, and so it is one more thing that a resumed run
    must restore. `ProgressiveQuantizer` uses no noise outside training.

    Where a latent lies on its code there is no direction: without noise the Jacobian is I with
    respect to z and 0 with respect to e.

    The default of 0.001 is the ``noise_var`` of the authors' package ``diveq`` 0.1.3, which its
    documentation calls a variance. That package passes it to ``torch.distributions.Normal`` as a
    standard deviation, so that its noise has a variance of 1e-6. vector-quantize-pytorch 1.32
    takes a variance of 0.005.

    References
    ----------
    .. [1] Vali et al., "DiVeQ: Differentiable Vector Quantization Using the Reparameterization
       Trick", ICLR 2026, arXiv:2509.26469.

    Examples
    --------
    >>> import torch
    >>> latents, codes = torch.zeros(2, requires_grad=True), torch.tensor([0.0, 2.0])
    >>> codes.requires_grad_()
    tensor([0., 2.], requires_grad=True)
    >>> quantized = DiVeQ(noise_variance=0.0)(latents, codes)
    >>> quantized.detach()
    tensor([0., 2.])
    >>> quantized.sum().backward()
    >>> latents.grad, codes.grad
    (tensor([1., 0.]), tensor([0., 1.]))
    """

    noise_variance: float = 1e-3

    trains_codes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        # Written so that NaN is refused as well.
        if not 0.0 <= self.noise_variance < math.inf:
            msg = f"DiVeQ: noise_variance must be finite and 0 or more, got {self.noise_variance}"
            raise ConfigError(msg)

    def __call__(self, latents: Tensor, codes: Tensor) -> Tensor:
        """
        Return the codes, or points near them, with gradients of latents and codes.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float
            Before quantization (z).
        codes : Tensor, shape=(..., dim), dtype=float
            The code of each latent (e).

        Returns
        -------
        Tensor, shape=(..., dim), dtype=float
            The value is exactly `codes` if the variance is 0.
        """
        error = codes - latents
        gap = _length(error)
        if self.noise_variance == 0.0:
            return _step(latents, codes, gap)
        noise = math.sqrt(self.noise_variance) * torch.randn_like(error)
        direction, _ = _unit((error + noise).detach())
        return latents + gap * direction


@dataclass(frozen=True, kw_only=True)
class GeneralizedRadius:
    """
    Reach the code by a step whose gradient is that of a freely chosen radius (after GRIT-VQ).

    Parameters
    ----------
    shape : {"linear", "tanh", "log"}
        How the radius r grows with the gap ``g = |e - z|``: ``scale * g``,
        ``scale * tanh(g / scale)``, which is bounded, or ``scale * log(1 + g / scale)``, which
        grows ever more slowly.
    scale : float
        A factor for "linear"; for the others the gap at which the radius bends, in the units of
        the latents. Above 0.

    Raises
    ------
    ConfigError
        If the shape is unknown, or the scale is not a finite number above 0.

    Notes
    -----
    *From the abstract* of GRIT-VQ [1]_, all that was available of it: assignments stay hard in the
    forward pass; the straight-through estimator gives way to a radius-based update that moves
    latents along the quantization direction with a controllable, geometry-aware step; this
    decouples the size of the update from the quantization gap; and a data-agnostic integrated
    transform is applied to the codebook, so that all codes are updated through shared parameters.

    *Our reading*, not the paper's: the formula, the shapes, the scale and its default. With the
    unit vector d of ``e - z`` the result is ``z + r(z, e) sg[d]``, its value corrected to e. The
    Jacobian is :math:`I - r'(g)\\, d d^T` with respect to z and :math:`r'(g)\\, d d^T` with
    respect to e, where r' is ``scale``, ``1 / cosh(g / scale)^2`` or ``1 / (1 + g / scale)``: a
    share r' of the gradient along d goes to the code instead of the latent. For the bounded shape
    the share falls to 0 where a code is far, and the latent gets the straight-through gradient;
    codes that are far from their latents then need a codebook loss. The integrated transform is
    no part of this class: combine it with a codebook whose codes share parameters.

    "linear" with scale 1 is `DiVeQ` without noise, and so is the limit of the other two shapes for
    a large scale. Where a latent lies on its code there is no direction: the Jacobian is I with
    respect to z and 0 with respect to e.

    References
    ----------
    .. [1] You et al., "Generalized Radius and Integrated Codebook Transforms for Differentiable
       Vector Quantization", arXiv:2602.01140.

    Examples
    --------
    >>> import torch
    >>> latents, codes = torch.zeros(2, requires_grad=True), torch.tensor([0.0, 2.0])
    >>> codes.requires_grad_()
    tensor([0., 2.], requires_grad=True)
    >>> quantized = GeneralizedRadius(shape="log", scale=2.0)(latents, codes)
    >>> quantized.detach()
    tensor([0., 2.])
    >>> quantized.sum().backward()
    >>> latents.grad, codes.grad
    (tensor([1.0000, 0.5000]), tensor([0.0000, 0.5000]))
    """

    shape: RadiusShape = "tanh"
    scale: float = 1.0

    trains_codes: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if self.shape not in get_args(RadiusShape):
            known = ", ".join(get_args(RadiusShape))
            msg = f"GeneralizedRadius: shape must be one of {known}, got {self.shape!r}"
            raise ConfigError(msg)
        if not 0.0 < self.scale < math.inf:
            msg = f"GeneralizedRadius: scale must be finite and above 0, got {self.scale}"
            raise ConfigError(msg)

    def radius(self, gap: Tensor) -> Tensor:
        """
        Return the length of the step that latents are moved by, as the gradient sees it.

        Parameters
        ----------
        gap : Tensor, shape=(...), dtype=float
            Distances of latents and their codes, 0 or more.

        Returns
        -------
        Tensor, shape=(...), dtype=float
            Radii, 0 where the gap is.
        """
        if self.shape == "linear":
            return self.scale * gap
        curve = torch.tanh if self.shape == "tanh" else torch.log1p
        return self.scale * curve(gap / self.scale)

    def __call__(self, latents: Tensor, codes: Tensor) -> Tensor:
        """
        Return the codes with gradients of latents and codes.

        Parameters
        ----------
        latents : Tensor, shape=(..., dim), dtype=float
            Before quantization (z).
        codes : Tensor, shape=(..., dim), dtype=float
            The code of each latent (e).

        Returns
        -------
        Tensor, shape=(..., dim), dtype=float
            The value is exactly `codes`.
        """
        return _step(latents, codes, self.radius(_length(codes - latents)))


def _step(latents: Tensor, codes: Tensor, radius: Tensor) -> Tensor:
    """Return the codes with the gradient of a step of some radius towards them."""
    direction, _ = _unit((codes - latents).detach())
    # Both differences are exactly zero, so that the value is that of the codes to the last bit.
    return codes.detach() + (latents - latents.detach()) + (radius - radius.detach()) * direction


def _length(vectors: Tensor) -> Tensor:
    """Return lengths that neither overflow nor vanish, with gradient 0 at the origin."""
    largest = vectors.detach().abs().amax(dim=-1, keepdim=True)
    largest = torch.where(largest > 0.0, largest, 1.0)
    return largest * torch.linalg.vector_norm(vectors / largest, dim=-1, keepdim=True)


def _unit(vectors: Tensor) -> tuple[Tensor, Tensor]:
    """Return unit vectors, or 0 where a vector is 0, and the lengths."""
    largest = vectors.abs().amax(dim=-1, keepdim=True)
    scaled = vectors / torch.where(largest > 0.0, largest, 1.0)
    length = torch.linalg.vector_norm(scaled, dim=-1, keepdim=True)
    return scaled / torch.where(length > 0.0, length, 1.0), largest * length


def _dot(left: Tensor, right: Tensor) -> Tensor:
    return (left * right).sum(dim=-1, keepdim=True)
