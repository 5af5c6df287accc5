"""Are discriminator and losses those of the formulas, switched on when they should be?"""

import dataclasses
import math

import pytest
import torch
from torch import nn
from torch.nn import functional

from provq_protein.errors import ConfigError
from provq_protein.runs.config import from_mapping, to_mapping
from provq_vision.model.discriminator import DiscriminatorConfig, PatchDiscriminator
from provq_vision.model.losses import (
    adaptive_weight,
    discriminator_loss,
    generator_loss,
    pixel_loss,
)
from provq_vision.model.objective import (
    LLAMAGEN_LOSS,
    LossConfig,
    judgment_loss,
    reconstruction_loss,
)
from provq_vision.model.perceptual import NoPerceptualLoss

EARLY = dataclasses.replace(
    LLAMAGEN_LOSS, perceptual_weight=0.0, discriminator_start=10, discriminator_lead=4
)


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def discriminator():
    return PatchDiscriminator.build(DiscriminatorConfig(channels=4, layers=2))


def test_the_discriminator_has_its_published_size_and_initial_weights():
    model = PatchDiscriminator.build(DiscriminatorConfig())
    assert sum(each.numel() for each in model.parameters()) == 2_765_633
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            assert float(module.weight.detach().mean()) == pytest.approx(0.0, abs=0.003)
            assert float(module.weight.detach().std()) == pytest.approx(0.02, abs=0.002)
        if isinstance(module, nn.BatchNorm2d):
            assert float(module.weight.detach().mean()) == pytest.approx(1.0, abs=0.01)
            assert float(module.weight.detach().std()) == pytest.approx(0.02, abs=0.005)
    assert model(torch.zeros(1, 3, 64, 64)).shape == (1, 1, 6, 6)


def test_images_smaller_than_a_patch_are_refused(discriminator):
    assert discriminator(torch.zeros(2, 3, 12, 12)).shape == (2, 1, 1, 1)
    with pytest.raises(ValueError, match="too small for 2 layers, which need 12; use fewer layers"):
        discriminator(torch.zeros(1, 3, 11, 32))
    with pytest.raises(ConfigError, match="layers must be 1 or more, got 0"):
        DiscriminatorConfig(layers=0)


@pytest.mark.parametrize(
    ("kind", "real", "fake", "expected"),
    [
        ("hinge", [2.0, 0.0], [-2.0, 1.0], 0.5 * (0.5 * (0 + 1) + 0.5 * (0 + 2))),
        (
            "non_saturating",
            [2.0],
            [-1.0],
            0.5 * (math.log(1 + math.exp(-2.0)) + math.log(1 + math.exp(-1.0))),
        ),
    ],
)
def test_the_discriminator_loss_is_that_of_the_formula(kind, real, fake, expected):
    found = discriminator_loss(torch.tensor(real), torch.tensor(fake), kind=kind)
    assert float(found) == pytest.approx(expected, rel=1e-6)


def test_the_non_saturating_loss_has_logits_and_labels_in_their_places():
    real, fake = normal(50, seed=1) * 5, normal(50, seed=2) * 5
    entropy = functional.binary_cross_entropy_with_logits
    torch.testing.assert_close(
        discriminator_loss(real, fake, kind="non_saturating"),
        0.5 * (entropy(real, torch.ones(50)) + entropy(fake, torch.zeros(50))),
    )
    torch.testing.assert_close(
        generator_loss(fake, kind="non_saturating"), entropy(fake, torch.ones(50))
    )
    assert math.isfinite(generator_loss(torch.tensor([-1e30]), kind="non_saturating"))


def test_the_generator_is_rewarded_by_higher_logits():
    assert float(generator_loss(torch.tensor([1.0, 3.0]), kind="hinge")) == -2.0
    for kind in ("hinge", "non_saturating"):
        logits = normal(8).requires_grad_()
        generator_loss(logits, kind=kind).backward()
        assert bool((logits.grad < 0).all())


def test_pixels_are_compared_by_means_of_squares_or_of_absolute_values():
    images, targets = torch.tensor([1.0, 0.0]), torch.tensor([0.0, 3.0])
    assert float(pixel_loss(images, targets, kind="l2")) == 5.0
    assert float(pixel_loss(images, targets, kind="l1")) == 2.0
    assert pixel_loss(images.bfloat16(), targets, kind="l2").dtype == torch.float32


def test_the_adaptive_weight_is_the_ratio_of_gradient_norms_up_to_its_limit():
    layer = torch.tensor([1.0, 2.0], requires_grad=True)
    reconstruction, adversarial = 3.0 * layer.sum(), 2.0 * layer.sum()
    found = adaptive_weight(reconstruction, adversarial, layer, limit=100.0)
    assert float(found) == pytest.approx(1.5, rel=1e-4)
    assert not found.requires_grad
    assert float(adaptive_weight(reconstruction, adversarial, layer, limit=1.0)) == 1.0
    flat = adaptive_weight(reconstruction, 0.0 * layer.sum(), layer, limit=1e4)
    assert float(flat) == 1e4
    # The graphs are kept.
    (reconstruction + adversarial).backward()


def test_nothing_adversarial_happens_before_its_step(discriminator):
    images, targets = normal(2, 3, 16, 16), normal(2, 3, 16, 16, seed=1)
    for step, on in ((0, False), (9, False), (10, True)):
        loss = reconstruction_loss(
            images,
            targets,
            EARLY,
            step=step,
            perceptual=NoPerceptualLoss(),
            discriminator=discriminator,
        )
        assert EARLY.is_adversarial(step) is on
        assert (float(loss.adversarial_weight) > 0) is on
        assert torch.equal(loss.pixel, pixel_loss(images, targets, kind="l2"))
        torch.testing.assert_close(loss.total, loss.pixel + 0.5 * on * loss.adversarial)
    assert [EARLY.trains_discriminator(step) for step in (5, 6, 10)] == [False, True, True]


def test_each_side_gets_gradients_from_its_own_loss_alone(discriminator):
    targets = normal(2, 3, 16, 16, seed=1)
    images = normal(2, 3, 16, 16).requires_grad_()
    loss = reconstruction_loss(
        images,
        targets,
        EARLY,
        step=10,
        perceptual=NoPerceptualLoss(),
        discriminator=discriminator,
    )
    loss.total.backward()
    assert all(each.grad is None for each in discriminator.parameters())
    assert all(each.requires_grad for each in discriminator.parameters())
    # More than the pixels' own.
    pixels = 2 * (images.detach() - targets) / images.numel()
    assert not torch.allclose(images.grad, pixels)
    images.grad = None
    judgment_loss(discriminator, images, targets, EARLY, step=10).backward()
    assert images.grad is None
    assert all(each.grad is not None for each in discriminator.parameters())


def test_the_adaptive_weight_multiplies_the_fixed_one(discriminator):
    config = dataclasses.replace(EARLY, adaptive=True, adaptive_limit=2.0)
    layer = torch.ones(1, requires_grad=True)
    images = normal(2, 3, 16, 16) * layer
    loss = reconstruction_loss(
        images,
        normal(2, 3, 16, 16, seed=1),
        config,
        step=10,
        perceptual=NoPerceptualLoss(),
        discriminator=discriminator,
        last_layer=layer,
    )
    assert 0.0 < float(loss.adversarial_weight) <= 1.0
    torch.testing.assert_close(
        loss.total.detach(), loss.pixel + loss.adversarial_weight * loss.adversarial
    )
    with pytest.raises(ValueError, match="step 10 needs a discriminator, and last_layer"):
        reconstruction_loss(
            images,
            images,
            config,
            step=10,
            perceptual=NoPerceptualLoss(),
            discriminator=discriminator,
        )


def test_a_discriminator_that_diverged_is_reported_with_its_step(discriminator):
    with torch.no_grad():
        discriminator.main[0].bias[0] = torch.nan
    images = normal(2, 3, 16, 16)
    with pytest.raises(ValueError, match=r"logits are NaN or infinite at step 12; it has diverged"):
        judgment_loss(discriminator, images, images, EARLY, step=12)
    with pytest.raises(ValueError, match="at step 12"):
        reconstruction_loss(
            images,
            images,
            EARLY,
            step=12,
            perceptual=NoPerceptualLoss(),
            discriminator=discriminator,
        )
    # Before it is switched on nobody asks it.
    reconstruction_loss(images, images, EARLY, step=0, perceptual=NoPerceptualLoss())


def test_a_perceptual_loss_is_added_with_its_weight():
    class Constant(nn.Module):
        id, weights_sha256 = "constant", ""

        def forward(self, images, targets):
            return torch.tensor(3.0)

    config = dataclasses.replace(LLAMAGEN_LOSS, perceptual_weight=2.0)
    images = normal(1, 3, 8, 8)
    loss = reconstruction_loss(images, images, config, step=0, perceptual=Constant())
    assert (float(loss.total), float(loss.perceptual)) == (6.0, 3.0)
    pixels = reconstruction_loss(
        images, images, config.pixels_only(), step=10**6, perceptual=Constant()
    )
    assert (float(pixels.total), float(pixels.perceptual)) == (0.0, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pixel": "l3"}, "pixel must be 'l2' or 'l1'; got 'l3'"),
        ({"adversarial": "wgan"}, "adversarial must be 'hinge' or 'non_saturating'"),
        ({"perceptual_weight": -1.0}, "perceptual_weight must be 0 or more"),
        ({"adversarial_weight": math.nan}, "adversarial_weight must be 0 or more, got nan"),
        ({"discriminator_lead": -1}, "discriminator_lead must be 0 or more"),
        ({"adaptive_limit": 0.0}, "adaptive_limit must be above 0"),
        ({"pixel_weight": 0.0, "perceptual_weight": 0.0}, "nothing would be reconstructed"),
    ],
)
def test_impossible_losses_are_refused(change, message):
    with pytest.raises(ConfigError, match=message):
        dataclasses.replace(LLAMAGEN_LOSS, **change)
    assert from_mapping(LossConfig, to_mapping(LLAMAGEN_LOSS), where="test") == LLAMAGEN_LOSS
