"""Does the image model keep the promises of the quantizer core around convolutions?"""

import pytest
import torch
from torch.nn import functional

from provq_protein.quantize import METHODS, ProgressiveSchedule
from provq_vision.model import (
    CodebookConfig,
    ImageAutoencoder,
    ImageModelConfig,
    NetworkConfig,
)

NETWORK = NetworkConfig(
    channels=8, multipliers=(1, 2), res_blocks=1, latent_channels=16, norm_groups=4, patch=1
)
SCHEDULE = ProgressiveSchedule(
    warmup_steps=10, transition_steps=20, shape="cosine", initial_coupling=0.5
)
WARM, FIRST, HALFWAY, HARD = 9, 10, 20, 30


def build(method: str = "vanilla", *, schedule=SCHEDULE, seed: int = 0) -> ImageAutoencoder:
    codebook = CodebookConfig(method=method, size=16, dim=4, commitment_weight=0.25)  # pyright: ignore[reportArgumentType]
    config = ImageModelConfig(network=NETWORK, codebook=codebook)
    return ImageAutoencoder.build(config, seed=seed, schedule=schedule)


@pytest.fixture
def images():
    return torch.rand(2, 3, 16, 24, generator=torch.Generator().manual_seed(1)) * 2 - 1


@pytest.mark.parametrize("method", METHODS)
@torch.no_grad()
def test_images_of_indices_are_those_of_the_eval_forward_bit_for_bit(method, images):
    model = build(method)
    output = model(images)
    indices = model.encode(images)
    assert torch.equal(indices, output.indices)
    assert indices.shape[:3] == (2, 8, 12)
    assert torch.equal(model.decode(indices), output.images)
    assert output.images.shape == images.shape


@torch.no_grad()
def test_the_decoder_gets_one_memory_layout_whether_from_images_or_indices(images):
    # Convolutions of larger models round differently for different layouts.
    model, seen = build(), []
    model.post_quant_conv.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs[0].stride())
    )
    model.decode(model(images).indices)
    model.train()(images, step=HALFWAY)
    assert seen == [seen[0]] * 3


@pytest.mark.parametrize("method", METHODS)
@torch.no_grad()
def test_nothing_jumps_where_the_transition_begins(method, images):
    model = build(method).train()
    before, after = model(images, step=WARM), model(images, step=FIRST)
    assert torch.equal(before.images, after.images)
    assert bool((before.indices == -1).all())
    assert bool((after.indices >= 0).all())
    assert float(before.quantization_loss) == 0.0
    # In the middle it is neither the one nor the other.
    middle = model(images, step=HALFWAY).images
    assert not torch.equal(middle, after.images)
    assert not torch.equal(middle, model(images, step=HARD).images)


@torch.no_grad()
def test_the_warm_up_of_a_spherical_codebook_is_on_the_sphere(images):
    model = build("vanilla_l2").train()
    quantized = model(images, step=0).quantized
    torch.testing.assert_close(quantized.latents.norm(dim=-1), torch.ones(2, 8, 12))
    expected = functional.normalize(model.embed(images), dim=-1)
    torch.testing.assert_close(quantized.latents, expected)


@torch.no_grad()
def test_without_normalization_the_warm_up_is_the_plain_autoencoder(images):
    model = build("vanilla").train()
    expected = model.decoder(model.post_quant_conv(model.quant_conv(model.encoder(images))))
    assert torch.equal(model(images, step=0).images, expected)


@torch.no_grad()
def test_forward_changes_nothing(images):
    model = build("ema").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    first = model(images, step=HARD)
    assert torch.equal(model(images, step=HARD).images, first.images)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@pytest.mark.parametrize(("step", "omega"), [(FIRST, 0.5), (HALFWAY, 0.75), (HARD, 1.0)])
def test_the_gradient_of_the_codes_is_that_of_plain_quantization_times_omega(step, omega, images):
    model = build("vanilla").double().train()
    images = images.double()
    output = model(images, step=step)
    (output.images.square().mean() + output.quantization_loss).backward()
    # Written out: the nearest code of each latent, and the mean over latents of the mean over
    # dimensions of (code - latent)^2, by hand.
    latents = model.embed(images).detach().flatten(0, 2)
    table = model.quantizer.codebook.table.detach()
    chosen = (latents[:, None] - table).square().sum(-1).argmin(1)
    expected = torch.zeros_like(table)
    expected.index_add_(0, chosen, 2 * (table[chosen] - latents) / latents.numel())
    found = model.quantizer.codebook.table.grad
    assert float(found.norm()) > 0
    # float32 counts in the core: exact to 1e-7.
    torch.testing.assert_close(found, omega * expected, rtol=1e-7, atol=0)


def test_the_losses_are_those_of_the_formula(images):
    model = build("vanilla").double().train()
    output = model(images.double(), step=HALFWAY)
    latents = model.embed(images.double()).flatten(0, 2)
    table = model.quantizer.codebook.table
    distance = (latents[:, None] - table).square().sum(-1).min(1).values.mean() / 4
    torch.testing.assert_close(output.quantization_loss, 0.75 * 1.25 * distance, rtol=1e-7, atol=0)


@pytest.mark.parametrize("step", [FIRST, HALFWAY, HARD])
def test_the_reconstruction_passes_a_straight_through_quantizer_to_the_encoder(step, images):
    model = build("vanilla").train()
    model(images, step=step).images.square().mean().backward()
    assert float(model.encoder.conv_in.weight.grad.norm()) > 0
    # And no further: codes learn from their own losses.
    assert model.quantizer.codebook.table.grad is None


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("step", [WARM, FIRST, HALFWAY, HARD])
def test_every_parameter_has_a_gradient_at_every_stage(method, step, images):
    # What DistributedDataParallel demands.
    model = build(method).train()
    output = model(images, step=step)
    (output.images.square().mean() + output.quantization_loss).backward()
    absent = [name for name, each in model.named_parameters() if each.grad is None]
    assert absent == []
    if step == WARM:
        for each in model.quantizer.codebook.parameters():
            assert not each.grad.any()


def test_low_precision_latents_are_quantized_in_full(images):
    model = build("vanilla_l2").train()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(images, step=HARD)
    assert output.quantized.latents.dtype == torch.float32
    assert output.quantization_loss.dtype == torch.float32
    assert bool(torch.isfinite(output.images).all())


@torch.no_grad()
def test_the_same_model_takes_images_of_other_sizes():
    model = build()
    assert model.encode(torch.zeros(1, 3, 32, 8)).shape == (1, 16, 4)


@pytest.mark.parametrize("shape", [(2, 3, 16, 15), (3, 16, 16), (2, 1, 16, 16), (2, 3, 0, 16)])
def test_images_that_do_not_fit_are_refused(shape):
    with pytest.raises(ValueError, match="height and width multiples of 2"):
        build().encode(torch.zeros(shape))


def test_pictures_of_integers_are_refused():
    with pytest.raises(ValueError, match=r"got torch\.uint8"):
        build().encode(torch.zeros(1, 3, 16, 16, dtype=torch.uint8))


def test_images_that_are_not_finite_are_refused(images):
    images[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match="latents contain NaN"):
        build().encode(images)


def test_indices_that_are_no_codes_are_refused():
    model = build()
    with pytest.raises(ValueError, match=r"indices: must be in \[0, 16\)"):
        model.decode(torch.full((1, 4, 4), 16))
    with pytest.raises(ValueError, match="3 axes"):
        model.decode(torch.zeros(16, dtype=torch.int64))
    with pytest.raises(ValueError, match="expected integers"):
        model.decode(torch.zeros(1, 4, 4))
    with pytest.raises(ValueError, match=r"4 axes \(batch, row, column, level\)"):
        build("rvq").decode(torch.zeros(1, 4, 4, dtype=torch.int64))


def test_building_leaves_the_global_random_state_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = build(seed=1)
    assert torch.equal(torch.rand(1), expected)
    assert torch.equal(first.codebook(), build(seed=1).codebook())
    assert not torch.equal(first.codebook(), build(seed=2).codebook())


def test_codes_on_the_sphere_start_with_length_one():
    raw = build("vanilla_l2").quantizer.codebook.raw_codes()
    torch.testing.assert_close(raw.norm(dim=1), torch.ones(16))
