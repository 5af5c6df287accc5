"""How well does the model in training reconstruct images that it is not trained on?"""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from provq_protein.quantize import CodeUsage
from provq_protein.runs.loop import Event
from provq_vision.images.batches import center_batches
from provq_vision.images.crops import to_bytes, to_floats
from provq_vision.images.listing import ImageSet
from provq_vision.images.pictures import grid
from provq_vision.metrics.fidelity import psnr, ssim
from provq_vision.model.autoencoder import ImageAutoencoder
from provq_vision.training.config import ImageTrainingConfig

_BATCH = 64


def look_at(
    model: ImageAutoencoder, images: ImageSet, config: ImageTrainingConfig, *, step: int
) -> tuple[Event, NDArray[np.uint8] | None]:
    """
    Validate a model in training.

    Parameters
    ----------
    model : ImageAutoencoder
        In eval mode.
    images : ImageSet
        Validation images, of which the first are taken.
    config : ImageTrainingConfig
        Says how many, and how large.
    step : int
        The last step that was done.

    Returns
    -------
    event : dict
        JSON values.
    picture : ndarray, shape=(height, width, 3), dtype=uint8, or None
        Images above their reconstructions; None where none are to be shown.
    """
    monitor = config.monitor
    warm = config.schedule.stage(step) == "warmup"
    event: Event = {"step": step, "kind": "validation", "continuous": warm}
    count = min(monitor.validation_images, len(images))
    if not count:
        return event, None
    size = config.data.image_size
    chosen = images.select(range(count))
    batches = [each.images for each in center_batches(chosen, size=size, batch_size=_BATCH)]
    scores, first = validate(model, batches, continuous=warm)
    shown = monitor.pictured_images
    picture = side_by_side(batches[0], first, most=shown) if shown else None
    return event | scores, picture


@torch.no_grad()
def validate(
    model: ImageAutoencoder, batches: Iterable[Tensor], *, continuous: bool
) -> tuple[dict[str, float | None], Tensor]:
    """
    Reconstruct images.

    Parameters
    ----------
    model : ImageAutoencoder
        In eval mode.
    batches : iterable of Tensor, each shape=(batch, 3, height, width), dtype=uint8
        The images.
    continuous : bool
        Without quantization, as in the warm-up.

    Returns
    -------
    scores : dict of str to float
        Means over images of ``psnr`` in decibels and ``ssim``; where quantization is hard,
        ``utilization`` and ``perplexity`` of all tokens together, which are None otherwise.
    reconstructions : Tensor, shape=(image, 3, height, width), dtype=uint8
        Of the first batch.
    """
    device = next(model.parameters()).device
    levels = len(model.quantizer.codebook.index_shape)
    usage = CodeUsage(model.config.codebook.size) if not continuous and not levels else None
    ratios, similarities, first = [], [], None
    for images in batches:
        latents = model.embed(to_floats(images.to(device)))
        if continuous:
            decoded = model.decode_latents(model.quantizer.pass_through(latents))
        else:
            indices = model.quantizer.encode(latents)
            decoded = model.decode(indices)
            if usage is not None:
                usage.add(indices)
        found = to_bytes(decoded).cpu()
        first = found if first is None else first
        ratios.append(psnr(found, images))
        similarities.append(ssim(found, images))
    if first is None:
        return {}, torch.zeros(0, 3, 1, 1, dtype=torch.uint8)
    scores: dict[str, float | None] = {
        "psnr": torch.cat(ratios).mean().item(),
        "ssim": torch.cat(similarities).mean().item(),
        "utilization": None if usage is None else usage.utilization,
        "perplexity": None if usage is None else usage.perplexity,
    }
    return scores, first


def side_by_side(images: Tensor, reconstructions: Tensor, *, most: int) -> NDArray[np.uint8]:
    """
    Arrange originals above their reconstructions.

    Parameters
    ----------
    images, reconstructions : Tensor, shape=(image, 3, height, width), dtype=uint8
        Of the same images.
    most : int
        How many to show.

    Returns
    -------
    ndarray, shape=(height, width, 3), dtype=uint8
        One picture of two rows.
    """
    rows = [_pixels(images[:most]), _pixels(reconstructions[:most])]
    return grid(rows)


def _pixels(images: Tensor) -> list[NDArray[np.uint8]]:
    return [np.ascontiguousarray(each.permute(1, 2, 0).cpu().numpy()) for each in images]
