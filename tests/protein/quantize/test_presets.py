"""Does every quantizer of the papers keep the promises of the core, under every curriculum?"""

import dataclasses
import re
from pathlib import Path

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_protein.quantize import (
    CURRICULA,
    METHODS,
    Codebook,
    EmaCodebook,
    FiniteScalarCodebook,
    Preset,
    ProgressiveQuantizer,
    ProgressiveSchedule,
    RotationTrick,
    make_quantizer,
)
from provq_protein.quantize.estimators import DiVeQ, StraightThrough

SIZE, DIM = 64, 4
SCHEDULE = ProgressiveSchedule(
    warmup_steps=4, transition_steps=8, shape="cosine", initial_coupling=0.5
)
METHOD_NAMES = sorted(METHODS)
NAMES = sorted(
    f"{method}+{curriculum}".rstrip("+") for method in METHODS for curriculum in CURRICULA
)
TABLE = Path(__file__).parents[3] / "docs" / "quantizers.md"


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def make(name, *, seed=1, size=SIZE, dim=DIM):
    """Return a quantizer in training mode, seeded if its row of the papers is."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        quantizer = make_quantizer(name, size=size, dim=dim, schedule=SCHEDULE)
    if Preset(name).curriculum.seeded:
        quantizer.seed(normal(600, dim, seed=5), torch.Generator().manual_seed(0))
    return quantizer.train()


def steps_of(quantizer):
    """Return a step of each stage that the quantizer's schedule has."""
    schedule = quantizer.schedule
    soft = schedule.warmup_steps + schedule.transition_steps
    stages = {schedule.stage(step): step for step in range(soft)}
    return {**stages, "hard": soft}


def objective(quantizer, latents, *, step, mask=None):
    """Return a loss on what the decoder gets, plus the losses of the quantizer."""
    result = quantizer(latents, step=step, mask=mask)
    kept = result.latents if mask is None else result.latents[mask]
    return (kept * kept.detach().cos()).sum() + quantizer.vq_loss(result), result


# --------------------------------------------------------------------- what holds for all of them


@pytest.mark.parametrize("name", NAMES)
def test_decoding_indices_is_the_evaluation_forward_to_the_last_bit(name):
    quantizer, latents = make(name).eval(), 1.5 * normal(7, 11, DIM, seed=2)
    result = quantizer(latents, step=0)
    indices = quantizer.encode(latents)
    assert torch.equal(result.indices, indices)
    assert torch.equal(result.latents, quantizer.decode(indices))
    assert indices.shape == (7, 11, *quantizer.codebook.index_shape)
    assert result.latents.shape == latents.shape


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_a_folded_codebook_gives_the_same_ids_and_codes_without_parameters(name):
    quantizer, latents = make(f"{name}+provq").eval(), normal(50, DIM, seed=3)
    indices = quantizer.encode(latents)
    codes = quantizer.decode(indices)
    quantizer.codebook = quantizer.codebook.folded()
    assert not list(quantizer.codebook.parameters())
    assert torch.equal(quantizer.encode(latents), indices)
    assert torch.equal(quantizer.decode(indices), codes)


@pytest.mark.parametrize("name", NAMES)
def test_the_curriculum_starts_continuous_and_ends_hard(name):
    quantizer, latents = make(name), normal(40, DIM, seed=4)
    steps = steps_of(quantizer)
    schedule = quantizer.schedule
    expected = Preset(name).curriculum
    assert ("warmup" in steps, "transition" in steps) == (expected.warmup, expected.transition)
    torch.manual_seed(0)
    hard = quantizer(latents, step=steps["hard"])
    assert (hard.alpha, hard.omega) == (0.0, 1.0)
    if not (isinstance(quantizer.estimator, DiVeQ) and quantizer.estimator.noise_variance):
        torch.testing.assert_close(
            hard.latents, quantizer.decode(quantizer.encode(latents)), rtol=0, atol=1e-6
        )
    if expected.transition:
        first = quantizer(latents, step=schedule.warmup_steps)
        assert (first.alpha, first.omega) == (1.0, 0.5)
        assert int(first.indices.min()) >= 0
        # What the decoder gets does not jump: it is what it would get in a warm-up.
        continuous = dataclasses.replace(schedule, warmup_steps=10_000)
        quantizer.schedule = continuous
        warm = quantizer(latents, step=0)
        assert torch.equal(warm.latents, first.latents)
        assert bool((warm.indices == -1).all())


@pytest.mark.parametrize(
    "name", [each for each in METHOD_NAMES if METHODS[each].estimator == StraightThrough()]
)
def test_straight_through_gradients_pass_the_soft_transition_unchanged(name):
    quantizer = make(f"{name}+provq")
    latents = normal(9, DIM, seed=6).requires_grad_()
    weight = normal(9, DIM, seed=7)
    for step in (0, 4, 6, 9, 12):
        # In between, the way to the codes and back is what it is in the warm-up.
        gradient = {}
        for at in (0, step):
            result = quantizer(latents, step=at)
            (gradient[at],) = torch.autograd.grad((result.latents * weight).sum(), latents)
        torch.testing.assert_close(gradient[step], gradient[0], rtol=1e-6, atol=1e-7)
        if name not in ("vanilla_l2", "fsq"):
            torch.testing.assert_close(gradient[step], weight, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_masked_latents_change_nothing(name):
    quantizer = make(f"{name}+provq")
    latents, mask = normal(5, 6, DIM, seed=8), normal(5, 6, seed=9) > 0
    spoiled = torch.where(mask[..., None], latents, torch.nan)
    spoiled[~mask] = torch.where(normal(int((~mask).sum()), 1, seed=10) > 0, torch.inf, 1e6)
    for step in (0, 6, 12):
        outcomes = []
        for values in (latents, spoiled):
            torch.manual_seed(0)
            copy = make(f"{name}+provq")
            copy.load_state_dict(quantizer.state_dict())
            leaf = values.clone().requires_grad_()
            loss, result = objective(copy, leaf, step=step, mask=mask)
            loss.backward()
            moved = copy.update(result, mask=mask, generator=torch.Generator().manual_seed(0))
            outcomes.append(
                [
                    loss.detach(),
                    result.latents[mask].detach(),
                    result.indices[mask],
                    leaf.grad[mask],
                    moved,
                    *[p.grad if p.grad is not None else torch.zeros(1) for p in copy.parameters()],
                    *copy.state_dict().values(),
                ]
            )
        for one, other in zip(*outcomes, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_an_empty_mask_costs_nothing_and_moves_nothing(name):
    quantizer, latents = make(f"{name}+provq"), normal(5, DIM).requires_grad_()
    before = quantizer.codebook.codes().detach().clone()
    mask = torch.zeros(5, dtype=torch.bool)
    result = quantizer(latents, step=12, mask=mask)
    assert (result.codebook_loss.item(), result.commitment_loss.item()) == (0.0, 0.0)
    quantizer.vq_loss(result).backward()
    assert not bool(latents.grad.any())
    for parameter in quantizer.parameters():
        assert parameter.grad is None or not bool(parameter.grad.any())
    quantizer.update(result, mask=mask, generator=torch.Generator().manual_seed(0))
    assert torch.equal(quantizer.codebook.codes(), before)


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_a_loaded_quantizer_goes_on_exactly_and_is_not_seeded_again(name, tmp_path):
    def advance(quantizer, optimizer, *, seed):
        torch.manual_seed(seed)
        loss, result = objective(quantizer, normal(100, DIM, seed=seed), step=9)
        if optimizer is not None:
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        quantizer.update(result, generator=torch.Generator().manual_seed(seed))

    def optimizer_of(quantizer):
        moving = [p for p in quantizer.parameters() if p.requires_grad]
        return torch.optim.SGD(moving, lr=1e-4) if moving else None

    one = make(f"{name}+provq")
    advance(one, optimizer_of(one), seed=1)
    state = {key: value.clone() for key, value in one.state_dict().items()}
    other = make(name, seed=99)
    other.schedule = one.schedule
    assert not bool(other.codebook.initialized)
    other.load_state_dict(state)
    assert bool(other.codebook.initialized)
    codes = [one.codebook.codes().detach().clone()]
    for quantizer in (one, other):
        advance(quantizer, optimizer_of(quantizer), seed=2)
        codes.append(quantizer.codebook.codes().detach().clone())
    assert torch.equal(codes[1], codes[2])
    moves = METHODS[name].build(SIZE, DIM).learning != "nothing"
    assert bool((codes[0] != codes[1]).any()) == moves
    # One step, not a new start.
    assert float((codes[0] - codes[1]).abs().max()) < 0.1


@pytest.mark.parametrize("name", METHOD_NAMES)
@pytest.mark.parametrize(
    ("latents", "message"),
    [
        (torch.full((3, DIM), torch.nan), "3 of 3 valid latents contain NaN or infinity"),
        (torch.full((3, DIM), -torch.inf), "3 of 3 valid latents contain NaN or infinity"),
        (torch.zeros(3, DIM + 1), "expected shape"),
    ],
)
def test_bad_latents_are_refused_and_leave_the_codes_as_they_are(name, latents, message):
    quantizer = make(f"{name}+provq")
    before = {key: value.clone() for key, value in quantizer.state_dict().items()}
    for step in (0, 6, 12):
        with pytest.raises(ValueError, match=message):
            quantizer(latents, step=step)
    with pytest.raises(ValueError, match=message):
        quantizer.encode(latents)
    with pytest.raises(ValueError, match="quantizer: "):
        quantizer.seed(latents, torch.Generator().manual_seed(0))
    for key, value in quantizer.state_dict().items():
        assert torch.equal(value, before[key])


@pytest.mark.parametrize("name", [each for each in METHOD_NAMES if each != "fsq"])
def test_one_code_is_a_quantizer_too(name):
    quantizer = make(f"{name}+provq", size=1)
    loss, result = objective(quantizer, normal(20, DIM), step=9)
    assert bool(torch.isfinite(loss))
    assert not bool(result.indices.any())


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_fewer_latents_than_codes_still_give_finite_different_codes(name):
    quantizer = make(f"{name}+provq")
    quantizer.seed(normal(10, DIM, seed=3), torch.Generator().manual_seed(0))
    codes = quantizer.codebook.codes().detach()
    assert bool(torch.isfinite(codes).all())
    rows = codes.reshape(-1, codes.shape[-2], codes.shape[-1])[0]
    assert torch.unique(rows, dim=0).shape == rows.shape


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_low_precision_latents_are_quantized_in_full_precision(name):
    quantizer = make(f"{name}+provq")
    latents = normal(30, DIM, seed=11).bfloat16()
    expected = quantizer.eval()(latents.float())
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = quantizer(latents)
    assert torch.equal(result.indices, expected.indices)
    assert result.latents.dtype == torch.float32
    assert torch.equal(result.latents, expected.latents)


# ---------------------------------------------------------------------------- the table in the docs


def moved_by(quantizer, loss):
    """Return which parts of a quantizer get a gradient from a loss."""
    groups = {
        "codes": list(quantizer.codebook.parameters()),
        "maps": [
            each
            for module in (quantizer.down, quantizer.up)
            if module is not None
            for each in module.parameters()
        ],
    }
    found = []
    for label, parameters in groups.items():
        if parameters:
            grads = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
            if any(grad is not None and bool(grad.any()) for grad in grads):
                found.append(label)
    return found


def gradient_row(name):
    """Return the cells of one row of the table: what moves what, in the hard stage."""
    quantizer = make(f"{name}+provq")
    latents = normal(200, DIM, seed=12).requires_grad_()
    result = quantizer(latents, step=9)
    cells = []
    for loss in (
        (result.latents * normal(200, DIM, seed=13)).sum(),
        quantizer.vq_loss(result),
    ):
        found = moved_by(quantizer, loss)
        (grad,) = torch.autograd.grad(loss, latents, allow_unused=True, retain_graph=True)
        reached = grad is not None and bool(grad.any())
        cells.append(", ".join((["latents"] if reached else []) + found) or "nothing")
    before = quantizer.codebook.codes().detach().clone()
    quantizer.update(result, generator=torch.Generator().manual_seed(0))
    moved = bool((before != quantizer.codebook.codes()).any())
    return [*cells, "codes" if moved else "nothing"]


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_gradients_reach_exactly_what_the_documentation_says(name):
    rows = re.findall(r"^\| `(\w+)` \|(.*)\|$", TABLE.read_text(encoding="utf-8"), re.MULTILINE)
    documented = {key: [cell.strip() for cell in cells.split("|")] for key, cells in rows}
    assert sorted(documented) == METHOD_NAMES
    assert gradient_row(name) == documented[name][-3:]


@pytest.mark.parametrize("name", METHOD_NAMES)
def test_the_warm_up_reaches_the_latents_and_no_code(name):
    quantizer = make(f"{name}+provq")
    latents = normal(20, DIM, seed=14).requires_grad_()
    loss, _ = objective(quantizer, latents, step=0)
    (grad,) = torch.autograd.grad(loss, latents, retain_graph=True)
    assert bool(grad.any())
    assert "codes" not in moved_by(quantizer, loss)


# ---------------------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    "name", ["vanila", "vanilla+", "vanilla+fast", "+provq", "", "ema+soft+soft"]
)
def test_unknown_presets_are_refused_by_name(name):
    with pytest.raises(ConfigError, match="known are vanilla"):
        Preset(name)


def test_a_preset_needs_the_stages_it_names():
    without = dataclasses.replace(SCHEDULE, warmup_steps=0)
    with pytest.raises(ConfigError, match="'ema\\+warmup' needs warmup_steps of 1 or more"):
        make_quantizer("ema+warmup", size=8, dim=2, schedule=without)
    assert make_quantizer("ema+soft", size=8, dim=2, schedule=without).schedule == without


@pytest.mark.parametrize(
    ("codebook", "options", "message"),
    [
        (EmaCodebook(4, 2), {"estimator": DiVeQ()}, "sends gradients to the codes"),
        (FiniteScalarCodebook([4, 4]), {"estimator": DiVeQ()}, "sends gradients to the codes"),
        (EmaCodebook(4, 2), {"codebook_weight": 1.0}, "no loss reaches them"),
        (Codebook(4, 2), {"codebook_weight": 0.0}, "nothing moves the codes"),
        (
            Codebook(4, 2),
            {"codebook_weight": 0.0, "estimator": RotationTrick()},
            "nothing moves the codes",
        ),
        (Codebook(4, 2), {"commitment_weight": float("nan")}, "commitment_weight"),
    ],
)
def test_parts_that_cannot_learn_together_are_refused(codebook, options, message):
    with pytest.raises(ConfigError, match=message):
        ProgressiveQuantizer(codebook, SCHEDULE, **options)
