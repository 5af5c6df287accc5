"""How does one batch of images change the weights, in one part or several, in any process?"""

from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from provq_protein.quantize import Quantized
from provq_protein.quantize.distributed import summed, world_size
from provq_protein.runs.processes import add_gradients
from provq_vision.images.batches import ImageBatch
from provq_vision.images.crops import to_floats
from provq_vision.model.autoencoder import ImageAutoencoder, ImageAutoencoderOutput
from provq_vision.model.objective import LossConfig, judgment_loss, reconstruction_loss
from provq_vision.model.perceptual import PerceptualLoss
from provq_vision.training.config import ImageTrainingConfig

_TERMS = ("pixel", "perceptual", "adversarial", "adversarial_weight")


@dataclass(frozen=True, eq=False)
class ImageGradients:
    """
    What a batch says about the weights; the gradients themselves are where torch keeps them.

    Parameters
    ----------
    loss : float
        Of the autoencoder over the whole batch, quantization included.
    terms : dict of str to float
        Its losses without their weights, and the weight of the adversarial one.
    codebook_loss, commitment_loss : float
        Of the whole batch.
    judgment : float or None
        Loss of the discriminator; None where it is not trained.
    norm : float
        Of the gradients of the autoencoder together, before it was clipped.
    judgment_norm : float or None
        The same of the discriminator.
    latent_norm : float
        Mean length of the latents before quantization.
    quantized : Quantized
        The latents of this process, one after the other.
    """

    loss: float
    terms: dict[str, float]
    codebook_loss: float
    commitment_loss: float
    judgment: float | None
    norm: float
    judgment_norm: float | None
    latent_norm: float
    quantized: Quantized


def compute_gradients(
    model: ImageAutoencoder,
    discriminator: nn.Module | None,
    perceptual: PerceptualLoss,
    batch: ImageBatch,
    config: ImageTrainingConfig,
    *,
    step: int,
) -> ImageGradients:
    """
    Compute the gradients of a batch and clip them, the same in every process.

    Parameters
    ----------
    model : ImageAutoencoder
        In training mode; old gradients are dropped.
    discriminator : nn.Module, optional
        In training mode; None where the run has none.
    perceptual : PerceptualLoss
        Compares features.
    batch : ImageBatch
        This process's part of the batch.
    config : ImageTrainingConfig
        The run.
    step : int
        Optimizer steps done so far.

    Returns
    -------
    ImageGradients
        Losses and latents.

    Raises
    ------
    ValueError
        If latents or the discriminator's logits are not finite.

    Notes
    -----
    All losses are means over images of one size, and all parts of a batch are of one length, so
    that gradients are added with equal weights. Neither the number of parts nor that of processes
    changes them beyond rounding, except through the batch normalization of the discriminator.
    """
    losses, counted = config.loss_at(step)
    judges = discriminator is not None and losses.trains_discriminator(counted)
    _forget(model, discriminator)
    device = next(model.parameters()).device
    parts = world_size() * config.accumulate
    sums = torch.zeros(len(_TERMS) + 5, dtype=torch.float64)
    latents = []
    for number in range(config.accumulate):
        part = batch.part(number, config.accumulate)
        targets = to_floats(part.images.to(device))
        output = _forward(model, targets, config, step=step)
        with _autocast(device, config):
            found = _autoencoder_losses(
                output, targets, losses, counted, perceptual, discriminator, model.last_layer
            )
        (found[0] / parts).backward()
        judgment = torch.zeros((), device=device)
        if judges and discriminator is not None:
            with _autocast(device, config):
                judgment = judgment_loss(discriminator, output.images, targets, losses, step=step)
            (judgment / parts).backward()
        norm = output.quantized.projected.norm(dim=-1).mean()
        sums += torch.stack([*found, judgment, norm]).detach().double().cpu() / parts
        latents.append(_rows(output.quantized))
    loss, *terms, codebook, commitment, judged, latent_norm = summed(sums).tolist()
    return ImageGradients(
        loss=loss,
        terms=dict(zip(_TERMS, terms, strict=True)),
        codebook_loss=codebook,
        commitment_loss=commitment,
        judgment=judged if judges else None,
        norm=_clip(model.parameters(), config.optimizer.clip),
        judgment_norm=_clip(discriminator.parameters(), config.optimizer.clip)
        if judges and discriminator is not None
        else None,
        latent_norm=latent_norm,
        quantized=_joined(latents),
    )


def _autoencoder_losses(
    output: ImageAutoencoderOutput,
    targets: Tensor,
    losses: LossConfig,
    counted: int,
    perceptual: PerceptualLoss,
    discriminator: nn.Module | None,
    last_layer: Tensor,
) -> list[Tensor]:
    """Return the whole loss, its terms and those of the quantizer."""
    found = reconstruction_loss(
        output.images,
        targets,
        losses,
        step=counted,
        perceptual=perceptual,
        discriminator=discriminator,
        last_layer=last_layer,
    )
    quantized = output.quantized
    return [
        found.total + output.quantization_loss,
        *(getattr(found, name) for name in _TERMS),
        quantized.codebook_loss,
        quantized.commitment_loss,
    ]


def _forward(
    model: ImageAutoencoder, targets: Tensor, config: ImageTrainingConfig, *, step: int
) -> ImageAutoencoderOutput:
    with _autocast(targets.device, config):
        return model(targets, step=step)


def _autocast(device: torch.device, config: ImageTrainingConfig) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16")


def _forget(*modules: nn.Module | None) -> None:
    for module in modules:
        if module is not None:
            module.zero_grad(set_to_none=True)


def _clip(parameters: Iterable[nn.Parameter], largest: float) -> float:
    """Add up the gradients of all processes and clip them; return their norm."""
    every = list(parameters)
    add_gradients(every)
    moving = [parameter for parameter in every if parameter.grad is not None]
    return nn.utils.clip_grad_norm_(moving, largest).item()


def _rows(quantized: Quantized) -> Quantized:
    """Return latents as rows, without gradient."""
    axes = quantized.projected.ndim - 2
    return replace(
        quantized,
        indices=quantized.indices.flatten(0, axes),
        projected=quantized.projected.flatten(0, axes),
        codes=quantized.codes.detach().flatten(0, axes),
        latents=quantized.latents.detach().flatten(0, axes),
    )


def _joined(parts: list[Quantized]) -> Quantized:
    if len(parts) == 1:
        return parts[0]
    names = ("indices", "projected", "codes", "latents")
    rows = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
    return replace(parts[0], **rows)
