"""Does LlamaGen's full-size tokenizer take a training step at 256 pixels?"""

import math

import pytest
import torch

from provq_vision.images.batches import ImageBatch
from provq_vision.model import ImageAutoencoder
from provq_vision.model.discriminator import PatchDiscriminator
from provq_vision.model.perceptual import NoPerceptualLoss
from provq_vision.training.config import load_recipe
from provq_vision.training.optimizer import make_discriminator_optimizer, make_optimizer
from provq_vision.training.step import compute_gradients

pytestmark = pytest.mark.slow

# One image, without the networks of others; everything else is the recipe's.
SETTINGS = [
    "data.batch_size=1",
    'precision="fp32"',
    'perceptual="none"',
    "loss.perceptual_weight=0.0",
    "loss.discriminator_start=0",
]


def test_vq16_takes_a_step_at_256_pixels_with_all_its_losses():
    config = load_recipe("imagenet1k_256", SETTINGS, preset="vanilla_l2")
    model = ImageAutoencoder.build(config.model, schedule=config.schedule).train()
    judge = PatchDiscriminator.build(config.discriminator)
    pixels = torch.randint(256, (1, 3, 256, 256), generator=torch.Generator().manual_seed(0))
    labels = torch.zeros(1, dtype=torch.int64)
    batch = ImageBatch(pixels.to(torch.uint8), labels, labels)
    found = compute_gradients(model, judge, NoPerceptualLoss(), batch, config, step=0)
    numbers = [found.loss, *found.terms.values(), found.codebook_loss, found.commitment_loss]
    assert all(map(math.isfinite, [*numbers, found.judgment, found.norm, found.judgment_norm]))
    assert found.quantized.indices.shape == (256,)
    # Codes that were chosen have a gradient, and no others.
    (table,) = [each for each in model.quantizer.codebook.parameters() if each.ndim == 2]
    moved = table.grad.abs().sum(dim=1) > 0.0
    assert set(moved.nonzero().flatten().tolist()) == set(found.quantized.indices.tolist())
    before = table.detach().clone()
    make_optimizer(model, config.optimizer).step()
    make_discriminator_optimizer(judge, config.optimizer).step()
    assert torch.equal((table != before).any(dim=1), moved)
    assert all(bool(each.isfinite().all()) for each in model.parameters())
