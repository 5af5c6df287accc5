"""What does an image autoencoder minimize at a given step, and what its discriminator?"""

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import get_args

import torch
from torch import Tensor, nn

from provq_protein.errors import ConfigError
from provq_vision.model.losses import (
    AdversarialLoss,
    PixelLoss,
    adaptive_weight,
    discriminator_loss,
    generator_loss,
    pixel_loss,
)
from provq_vision.model.perceptual import PerceptualLoss


@dataclass(frozen=True, kw_only=True, slots=True)
class LossConfig:
    """
    The losses of an image autoencoder and their weights.

    Parameters
    ----------
    pixel : {"l2", "l1"}
        How colors are compared.
    pixel_weight, perceptual_weight : float
        Weights, 0 or more; what has weight 0 is not computed.
    adversarial : {"hinge", "non_saturating"}
        The loss of the discriminator, and of who has to pass it.
    adversarial_weight : float
        Weight of having to pass it, 0 or more; without a weight there is no discriminator.
    discriminator_start : int
        First step at which the autoencoder is to pass the discriminator.
    discriminator_lead : int
        For so many steps before that the discriminator is trained already. Without it the first
        judgments are those of random weights.
    adaptive : bool
        Multiply the adversarial weight by that of `adaptive_weight`.
    adaptive_limit : float
        Upper limit of that factor, above 0.

    Raises
    ------
    ConfigError
        If a value is outside its range.
    """

    pixel: PixelLoss
    pixel_weight: float
    perceptual_weight: float
    adversarial: AdversarialLoss
    adversarial_weight: float
    discriminator_start: int
    discriminator_lead: int
    adaptive: bool
    adaptive_limit: float

    def __post_init__(self) -> None:
        """Refuse what cannot be computed."""
        for name, kinds in (("pixel", PixelLoss), ("adversarial", AdversarialLoss)):
            if getattr(self, name) not in get_args(kinds):
                known = " or ".join(map(repr, get_args(kinds)))
                msg = f"loss: {name} must be {known}; got {getattr(self, name)!r}"
                raise ConfigError(msg)
        names = ("pixel_weight", "perceptual_weight", "adversarial_weight")
        for name in (*names, "discriminator_start", "discriminator_lead"):
            # Written so that NaN is refused as well.
            if not 0.0 <= getattr(self, name) < float("inf"):
                msg = f"loss: {name} must be 0 or more, got {getattr(self, name)}"
                raise ConfigError(msg)
        if self.pixel_weight + self.perceptual_weight == 0.0:
            msg = "loss: pixel_weight and perceptual_weight are 0; nothing would be reconstructed"
            raise ConfigError(msg)
        if not 0.0 < self.adaptive_limit < float("inf"):
            msg = f"loss: adaptive_limit must be above 0, got {self.adaptive_limit}"
            raise ConfigError(msg)

    def pixels_only(self) -> "LossConfig":
        """
        Return the same without perceptual and adversarial losses.

        Returns
        -------
        LossConfig
            For a warm-up by Eq. 1 of the ProVQ paper.
        """
        weight = self.pixel_weight or 1.0
        return dataclasses.replace(
            self, pixel_weight=weight, perceptual_weight=0.0, adversarial_weight=0.0
        )

    def is_adversarial(self, step: int) -> bool:
        """
        Return whether the autoencoder has to pass the discriminator.

        Parameters
        ----------
        step : int
            Optimizer steps done so far.

        Returns
        -------
        bool
            False before `discriminator_start`, or where the weight is 0.
        """
        return self.adversarial_weight > 0.0 and step >= self.discriminator_start

    def trains_discriminator(self, step: int) -> bool:
        """
        Return whether the discriminator is trained.

        Parameters
        ----------
        step : int
            Optimizer steps done so far.

        Returns
        -------
        bool
            False until `discriminator_lead` steps before `discriminator_start`, or where the
            weight is 0.
        """
        first = self.discriminator_start - self.discriminator_lead
        return self.adversarial_weight > 0.0 and step >= first


# What LlamaGen trains its tokenizers with.
LLAMAGEN_LOSS = LossConfig(
    pixel="l2",
    pixel_weight=1.0,
    perceptual_weight=1.0,
    adversarial="hinge",
    adversarial_weight=0.5,
    discriminator_start=20_000,
    discriminator_lead=0,
    adaptive=False,
    adaptive_limit=10_000.0,
)


@dataclass(frozen=True, eq=False)
class ImageLoss:
    """
    The losses of a reconstruction.

    Parameters
    ----------
    total : Tensor, shape=(), dtype=float32
        The weighted sum, with gradient; without the losses of the quantizer.
    pixel, perceptual, adversarial : Tensor, shape=(), dtype=float32
        Its terms without their weights, detached; 0 where a term is not computed.
    adversarial_weight : Tensor, shape=(), dtype=float32
        Weight of the adversarial term in this step, detached; 0 before it is switched on.
    """

    total: Tensor
    pixel: Tensor
    perceptual: Tensor
    adversarial: Tensor
    adversarial_weight: Tensor


def reconstruction_loss(
    images: Tensor,
    targets: Tensor,
    config: LossConfig,
    *,
    step: int,
    perceptual: PerceptualLoss,
    discriminator: nn.Module | None = None,
    last_layer: Tensor | None = None,
) -> ImageLoss:
    """
    Return what an autoencoder minimizes, besides the losses of its quantizer.

    Parameters
    ----------
    images : Tensor, shape=(batch, 3, height, width), dtype=float
        The reconstruction.
    targets : Tensor, shape=(batch, 3, height, width), dtype=float
        The originals, in [-1, 1].
    config : LossConfig
        Which losses.
    step : int
        Optimizer steps done so far.
    perceptual : PerceptualLoss
        Compares features.
    discriminator : nn.Module, optional
        Judges the reconstruction; itself, not a wrapper of DistributedDataParallel, because its
        weights get no gradient here. Needed from `discriminator_start` on.
    last_layer : Tensor, optional
        The last parameter before the reconstruction, for an adaptive weight.

    Returns
    -------
    ImageLoss
        The sum and its terms.

    Raises
    ------
    ValueError
        If something needed is not given, or the discriminator returns NaN or infinity.
    """
    zero = torch.zeros((), device=images.device)
    pixels = pixel_loss(images, targets, kind=config.pixel)
    total = config.pixel_weight * pixels
    features = zero
    if config.perceptual_weight:
        features = perceptual(images, targets)
        total = total + config.perceptual_weight * features
    adversarial, weight = zero, zero
    if config.is_adversarial(step):
        if discriminator is None or (config.adaptive and last_layer is None):
            msg = f"loss: step {step} needs a discriminator, and last_layer if it is adaptive"
            raise ValueError(msg)
        with _frozen(discriminator):
            logits = _checked(discriminator(images), step)
        adversarial = generator_loss(logits, kind=config.adversarial)
        weight = zero + config.adversarial_weight
        if config.adaptive and last_layer is not None:
            limit = config.adaptive_limit
            weight = weight * adaptive_weight(total, adversarial, last_layer, limit=limit)
        total = total + weight * adversarial
    return ImageLoss(
        total=total,
        pixel=pixels.detach(),
        perceptual=features.detach(),
        adversarial=adversarial.detach(),
        adversarial_weight=weight,
    )


def judgment_loss(
    discriminator: nn.Module, images: Tensor, targets: Tensor, config: LossConfig, *, step: int
) -> Tensor:
    """
    Return what the discriminator minimizes.

    Parameters
    ----------
    discriminator : nn.Module
        Or its wrapper of DistributedDataParallel, made with ``broadcast_buffers=False``: it is
        called twice before the gradient is computed, and must not change in between.
    images : Tensor, shape=(batch, 3, height, width), dtype=float
        The reconstruction; it gets no gradient.
    targets : Tensor, shape=(batch, 3, height, width), dtype=float
        The originals, in [-1, 1].
    config : LossConfig
        Which loss.
    step : int
        Optimizer steps done so far, for error messages; see `LossConfig.trains_discriminator`.

    Returns
    -------
    Tensor, shape=(), dtype=float32
        The loss.

    Raises
    ------
    ValueError
        If the discriminator returns NaN or infinity.
    """
    real = _checked(discriminator(targets.detach()), step)
    fake = _checked(discriminator(images.detach()), step)
    return discriminator_loss(real, fake, kind=config.adversarial)


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Keep the parameters of a module out of a graph."""
    moving = [each for each in module.parameters() if each.requires_grad]
    for parameter in moving:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in moving:
            parameter.requires_grad_(True)


def _checked(logits: Tensor, step: int) -> Tensor:
    broken = ~torch.isfinite(logits.detach())
    if bool(broken.any()):
        msg = (
            f"discriminator: {int(broken.sum())} of {broken.numel()} logits are NaN or infinite at "
            f"step {step}; it has diverged: lower its learning rate, or switch it on later"
        )
        raise ValueError(msg)
    return logits
