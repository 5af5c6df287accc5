"""Does quantization turn from nothing to hard, and does every gradient go where it should?"""

import dataclasses

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.quantize import (
    Codebook,
    LinearCodebook,
    ProgressiveQuantizer,
    ProgressiveSchedule,
)

SCHEDULE = ProgressiveSchedule(
    warmup_steps=10, transition_steps=20, shape="cosine", initial_coupling=0.5
)
PLAIN = ProgressiveSchedule(
    warmup_steps=0, transition_steps=0, shape="cosine", initial_coupling=0.5
)
# Warm-up, then alpha 1, 0.98, 0.5 and 0.02, then hard.
WARMUP, STEPS, HARD = 9, (10, 12, 20, 28), 30


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(schedule=SCHEDULE, *, book=Codebook, size=12, dim=4, **options):
    quantizer = ProgressiveQuantizer(book(size, dim), schedule, **options)
    quantizer.codebook.seed(normal(size, dim, seed=7))
    return quantizer


def leaf(*shape, seed=0):
    return normal(*shape, seed=seed).requires_grad_()


def gradients(quantizer, value, latents):
    """Return the gradients of a value for latents and codebook parameters, None for no path."""
    inputs = [latents, *quantizer.codebook.parameters()]
    return torch.autograd.grad(value, inputs, allow_unused=True, retain_graph=True)


# ------------------------------------------------------------------------------ what comes out


def test_warmup_returns_the_latents_and_costs_nothing():
    quantizer, latents = make(), leaf(3, 5, 4)
    for step in (0, WARMUP):
        result = quantizer(latents, step=step)
        assert torch.equal(result.latents, latents)
        assert (result.codebook_loss, result.commitment_loss, result.alpha) == (0, 0, 1)
        assert bool((result.indices == -1).all())
        total = result.latents.sum() + quantizer.vq_loss(result)
        to_latents, *to_codes = gradients(quantizer, total, latents)
        assert torch.equal(to_latents, torch.ones_like(latents))
        assert to_codes == [None]


def test_first_transition_step_gives_the_latents_but_trains_the_codes():
    quantizer, latents = make(), leaf(6, 4)
    result = quantizer(latents, step=10)
    assert torch.equal(result.latents, latents)
    assert result.omega == 0.5
    assert result.codebook_loss.item() > 0
    assert float(gradients(quantizer, quantizer.vq_loss(result), latents)[1].abs().sum()) > 0


@pytest.mark.parametrize("step", STEPS)
def test_transition_mixes_latents_and_codes(step):
    quantizer, latents = make(), normal(50, 4)
    result = quantizer(latents, step=step)
    alpha = SCHEDULE.alpha(step)
    assert result.alpha == alpha
    nearest = torch.cdist(latents, quantizer.codebook.codes()).argmin(dim=1)
    assert torch.equal(result.indices, nearest)
    assert torch.equal(result.codes, quantizer.codebook.table[nearest])
    expected = alpha * latents + (1 - alpha) * result.codes
    torch.testing.assert_close(result.latents, expected)


def test_after_the_transition_the_decoder_gets_exactly_the_codes():
    quantizer = make()
    for scale in (1e-4, 1.0, 1e4):
        latents = scale * normal(50, 4)
        result = quantizer(latents, step=HARD)
        assert (result.alpha, result.omega) == (0.0, 1.0)
        assert torch.equal(result.latents, quantizer.codebook.table[result.indices])


@pytest.mark.parametrize("step", [None, 0, 10, 20, HARD])
def test_eval_is_hard_at_every_step_and_equals_decoding(step):
    quantizer, latents = make().eval(), normal(3, 7, 4)
    result = quantizer(latents, step=step)
    assert (result.alpha, result.omega) == (0.0, 1.0)
    assert torch.equal(result.indices, quantizer.encode(latents))
    assert torch.equal(result.latents, quantizer.decode(quantizer.encode(latents)))


def test_training_without_a_step_is_hard():
    result = make()(normal(5, 4))
    assert torch.equal(result.latents, result.codes)


def test_no_curriculum_is_vanilla_vector_quantization():
    quantizer, latents = make(PLAIN), leaf(40, 4)
    table = quantizer.codebook.table
    result = quantizer(latents, step=0)
    codes = table[torch.cdist(latents, table).argmin(dim=1)]
    codebook_loss = torch.nn.functional.mse_loss(codes, latents.detach())
    commitment_loss = torch.nn.functional.mse_loss(latents, codes.detach())
    expected = codebook_loss + 0.25 * commitment_loss
    torch.testing.assert_close(quantizer.vq_loss(result), expected)
    assert torch.equal(result.latents, codes)
    for found, wanted in zip(
        gradients(quantizer, quantizer.vq_loss(result), latents),
        gradients(quantizer, expected, latents),
        strict=True,
    ):
        torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("step", [WARMUP, 20, HARD])
def test_low_precision_latents_are_quantized_in_float32(step):
    quantizer, latents = make(), normal(200, 4).bfloat16()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = quantizer(latents, step=step)
    exact = quantizer(latents.float(), step=step)
    for field in ("latents", "codes", "codebook_loss", "commitment_loss"):
        assert getattr(result, field).dtype == torch.float32
        assert torch.equal(getattr(result, field), getattr(exact, field))
    assert torch.equal(result.indices, exact.indices)


# -------------------------------------------------------------------------- where gradients go


@pytest.mark.parametrize("step", [WARMUP, *STEPS, HARD])
def test_decoder_input_has_identity_jacobian(step):
    quantizer, latents = make(), normal(3, 4)
    jacobian = torch.autograd.functional.jacobian(
        lambda z: quantizer(z, step=step).latents.flatten(), latents
    )
    assert torch.equal(jacobian.reshape(12, 12), torch.eye(12))


@pytest.mark.parametrize("step", [WARMUP, *STEPS, HARD])
@pytest.mark.parametrize("book", [Codebook, LinearCodebook])
def test_reconstruction_never_reaches_the_codes(step, book):
    quantizer, latents = make(book=book), leaf(9, 4)
    reconstruction = quantizer(latents, step=step).latents.square().sum()
    to_latents, *to_codes = gradients(quantizer, reconstruction, latents)
    assert to_latents is not None
    assert all(gradient is None for gradient in to_codes)


@pytest.mark.parametrize("step", [*STEPS, HARD])
@pytest.mark.parametrize("book", [Codebook, LinearCodebook])
def test_each_loss_moves_one_side(step, book):
    quantizer, latents = make(book=book), leaf(9, 4)
    result = quantizer(latents, step=step)
    to_latents, *to_codes = gradients(quantizer, result.codebook_loss, latents)
    assert to_latents is None
    assert all(float(gradient.abs().sum()) > 0 for gradient in to_codes)
    to_latents, *to_codes = gradients(quantizer, result.commitment_loss, latents)
    assert float(to_latents.abs().sum()) > 0
    assert all(gradient is None for gradient in to_codes)


def test_losses_pull_latents_and_codes_together():
    # With z_q of Eq. 2 in the losses of Eq. 4, as printed, codes would stay and latents flee.
    quantizer, latents = make(), leaf(9, 4)
    result = quantizer(latents, step=HARD)
    to_latents, to_codes = gradients(quantizer, quantizer.vq_loss(result), latents)
    towards_code = (result.codes - latents).detach()
    assert bool(((-to_latents * towards_code).sum(dim=1) > 0).all())
    moved = quantizer.codebook.table - 0.1 * to_codes
    before = (result.codes - latents).square().sum()
    assert bool((moved[result.indices] - latents).square().sum() < before)


def test_loss_values_are_means_over_dimensions_and_latents():
    quantizer = make(size=2, dim=2, commitment_weight=0.1)
    quantizer.codebook.seed(torch.tensor([[0.0, 0.0], [10.0, 10.0]]))
    result = quantizer(torch.tensor([[1.0, 1.0], [10.0, 7.0]]), step=20)
    # (1 + 1 + 0 + 9) / 4, both ways; omega is half-way between 0.5 and 1.
    assert result.codebook_loss.item() == pytest.approx(2.75)
    assert result.commitment_loss.item() == pytest.approx(2.75)
    assert quantizer.vq_loss(result).item() == pytest.approx(0.75 * 1.1 * 2.75)


def test_one_optimizer_step_moves_a_code_by_one_step_after_loading():
    quantizer = make(PLAIN)
    loaded = make(PLAIN)
    loaded.load_state_dict(quantizer.state_dict())
    optimizer = torch.optim.SGD(loaded.parameters(), lr=0.5)
    result = loaded(normal(1, 4), step=0)
    loaded.vq_loss(result).backward()
    optimizer.step()
    index = int(result.indices[0])
    # The gradient of a mean of 4 squares is (e - z) / 2.
    expected = quantizer.codebook.table.detach().clone()
    expected[index] -= 0.25 * (expected[index] - normal(1, 4)[0])
    torch.testing.assert_close(loaded.codebook.table.detach(), expected)


# --------------------------------------------------------------------------------------- masks


@pytest.mark.parametrize("step", [*STEPS, HARD])
def test_masked_entries_change_nothing(step):
    quantizer, latents = make(), normal(3, 6, 4)
    mask = torch.rand(3, 6, generator=torch.Generator().manual_seed(1)) < 0.6
    alone = latents[mask].requires_grad_()
    expected = quantizer(alone, step=step)
    expected_gradients = gradients(quantizer, quantizer.vq_loss(expected), alone)
    for filling in (0.0, 1e3, float("nan"), float("inf")):
        filled = torch.where(mask[..., None], latents, filling).requires_grad_()
        result = quantizer(filled, step=step, mask=mask)
        to_latents, to_codes = gradients(quantizer, quantizer.vq_loss(result), filled)
        torch.testing.assert_close(result.codebook_loss, expected.codebook_loss)
        torch.testing.assert_close(result.commitment_loss, expected.commitment_loss)
        assert torch.equal(result.latents[mask], expected.latents)
        assert torch.equal(result.indices[mask], expected.indices)
        torch.testing.assert_close(to_latents[mask], expected_gradients[0])
        torch.testing.assert_close(to_codes, expected_gradients[1])
        assert bool((to_latents[~mask] == 0).all())
        assert bool(torch.isfinite(result.latents).all())


def test_empty_mask_costs_nothing_and_moves_nothing():
    quantizer, latents = make(), leaf(5, 4)
    result = quantizer(latents, step=20, mask=torch.zeros(5, dtype=torch.bool))
    assert quantizer.vq_loss(result).item() == 0.0
    for gradient in gradients(quantizer, quantizer.vq_loss(result), latents):
        assert bool((gradient == 0).all())
    nothing = quantizer(torch.empty(0, 4), step=20)
    assert quantizer.vq_loss(nothing).item() == 0.0


# ------------------------------------------------------------------------------------- seeding


def test_seeding_spreads_codes_over_the_sample_and_marks_the_book():
    centers = 10 * normal(12, 4, seed=3)
    sample = centers.repeat(50, 1) + 0.01 * normal(600, 4, seed=4)
    for book in (Codebook, LinearCodebook):
        quantizer = ProgressiveQuantizer(book(12, 4), SCHEDULE)
        assert not quantizer.codebook.initialized
        quantizer.seed(sample, torch.Generator().manual_seed(0))
        assert quantizer.codebook.initialized
        gap = torch.cdist(centers, quantizer.codebook.codes().detach()).amin(dim=1)
        assert float(gap.max()) < 0.02


def test_seeding_with_fewer_latents_than_codes_gives_finite_codes():
    quantizer = ProgressiveQuantizer(Codebook(12, 4), SCHEDULE)
    quantizer.seed(normal(5, 4), torch.Generator().manual_seed(0))
    assert bool(torch.isfinite(quantizer.codebook.table).all())
    assert quantizer.encode(normal(5, 4)).unique().numel() == 5


@pytest.mark.parametrize("sample", [torch.zeros(0, 4), torch.zeros(9, 5), torch.zeros(4)])
def test_seeding_with_a_useless_sample_is_refused(sample):
    quantizer = ProgressiveQuantizer(Codebook(3, 4), SCHEDULE)
    with pytest.raises(ValueError, match="sample"):
        quantizer.seed(sample, torch.Generator())
    assert not quantizer.codebook.initialized


def test_state_holds_nothing_but_the_codebook():
    assert set(make().state_dict()) == {"codebook.table", "codebook.initialized"}


# ----------------------------------------------------------------------------------- bad input


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("step", [0, 20, HARD])
def test_broken_valid_latents_are_refused_at_every_stage(value, step):
    latents = normal(6, 4)
    latents[2, 1] = value
    mask = torch.tensor([True, True, True, True, False, False])
    with pytest.raises(ValueError, match="1 of 6 valid latents"):
        make()(latents, step=step)
    with pytest.raises(ValueError, match="1 of 4 valid latents"):
        make()(latents, step=step, mask=mask)


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="latents"):
        make()(normal(6, 3))
    with pytest.raises(ValueError, match="mask"):
        make()(normal(6, 4), mask=torch.ones(5, dtype=torch.bool))
    with pytest.raises(ValueError, match="bool"):
        make()(normal(6, 4), mask=torch.ones(6))


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_impossible_commitment_weight_is_refused(weight):
    with pytest.raises(ConfigError, match="commitment_weight"):
        ProgressiveQuantizer(Codebook(3, 4), SCHEDULE, commitment_weight=weight)


def test_result_cannot_be_changed():
    result = make()(normal(6, 4))
    with pytest.raises(dataclasses.FrozenInstanceError):
        result.alpha = 1.0
