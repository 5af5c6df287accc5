"""Does the jump to a code keep its value, and give the gradient that each estimator promises?"""

import math

import pytest
import torch
from torch.autograd.functional import jacobian

from provq_protein.errors import ConfigError
from provq_protein.quantize.estimators import (
    DiVeQ,
    GeneralizedRadius,
    RotationTrick,
    StraightThrough,
)

EXACT = [
    StraightThrough(),
    RotationTrick(),
    DiVeQ(noise_variance=0.0),
    GeneralizedRadius(shape="linear", scale=0.5),
    GeneralizedRadius(shape="tanh", scale=0.7),
    GeneralizedRadius(shape="log", scale=2.0),
]
NAMES = [f"{type(one).__name__}-{getattr(one, 'shape', '')}" for one in EXACT]
exact = pytest.mark.parametrize("estimator", EXACT, ids=NAMES)


def normal(*shape, seed=0, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def jacobians(estimator, latent, code):
    """Return the Jacobians with respect to the latent and to the code."""
    return jacobian(estimator, (latent, code))


def unit(vector):
    return vector / vector.norm()


@exact
@pytest.mark.parametrize("code_scale", [1e-6, 1.0, 1e6])
def test_value_is_exactly_the_code_whatever_the_magnitudes(estimator, code_scale):
    codes = code_scale * normal(1000, 4)
    for scale in (1e-30, 1e-6, 1.0, 1e6, 1e25):
        latents = scale * normal(1000, 4, seed=1)
        assert torch.equal(estimator(latents, codes), codes)


@exact
def test_leading_axes_are_independent(estimator):
    latents, codes = normal(2, 3, 4), normal(2, 3, 4, seed=1)
    weight = normal(2, 3, 4, seed=2)
    latents.requires_grad_()
    (estimator(latents, codes) * weight).sum().backward()
    for place in [(0, 0), (1, 2)]:
        alone = latents[place].detach().requires_grad_()
        (estimator(alone, codes[place]) * weight[place]).sum().backward()
        torch.testing.assert_close(latents.grad[place], alone.grad)


@exact
def test_gradient_reaches_codes_only_where_the_class_says_so(estimator):
    latents, codes = normal(5, 3).requires_grad_(), normal(5, 3, seed=1).requires_grad_()
    estimator(latents, codes).square().sum().backward()
    assert bool(latents.grad.any())
    assert (codes.grad is not None and bool(codes.grad.any())) == type(estimator).trains_codes


@pytest.mark.parametrize("estimator", [*EXACT, DiVeQ()], ids=[*NAMES, "DiVeQ-noise"])
@pytest.mark.parametrize("magnitude", [1e-40, 1e-20, 1.0, 1e20, 1e30])
def test_degenerate_points_have_finite_gradients(estimator, magnitude):
    vector, zero = torch.tensor([3.0, -4.0, 1.0]) * magnitude, torch.zeros(3)
    pairs = [(zero, zero), (zero, vector), (vector, zero), (vector, vector), (vector, -vector)]
    for latent, code in pairs:
        latent, code = latent.clone().requires_grad_(), code.clone().requires_grad_()
        result = estimator(latent, code)
        assert bool(torch.isfinite(result).all())
        result.sum().backward()
        for one in (latent, code):
            assert one.grad is None or bool(torch.isfinite(one.grad).all())


def test_straight_through_gradient_is_the_identity():
    for_latent, for_code = jacobians(StraightThrough(), normal(3), normal(3, seed=1))
    assert torch.equal(for_latent, torch.eye(3))
    assert not for_code.any()


def test_rotation_trick_turns_the_latent_onto_its_code():
    latent, code = normal(5, dtype=torch.float64), normal(5, seed=1, dtype=torch.float64)
    for_latent, for_code = jacobians(RotationTrick(), latent, code)
    before, after, between = unit(latent), unit(code), unit(unit(latent) + unit(code))
    rotation = torch.eye(5) - 2 * torch.outer(between, between) + 2 * torch.outer(after, before)
    torch.testing.assert_close(for_latent, code.norm() / latent.norm() * rotation)
    assert not for_code.any()
    torch.testing.assert_close(for_latent @ latent, code)
    turn = for_latent * latent.norm() / code.norm()
    torch.testing.assert_close(turn @ turn.T, torch.eye(5, dtype=torch.float64))
    assert torch.linalg.det(turn).item() == pytest.approx(1.0)


def test_rotation_trick_where_no_rotation_is_defined():
    vector, zero = torch.tensor([2.0, 0.0, 0.0]), torch.zeros(3)
    trick = RotationTrick()
    assert torch.equal(jacobians(trick, vector, vector)[0], torch.eye(3))
    assert torch.equal(jacobians(trick, vector, -vector)[0], torch.diag(torch.tensor([-1, 1, 1.0])))
    assert torch.equal(jacobians(trick, zero, vector)[0], torch.eye(3))
    assert torch.equal(jacobians(trick, zero, zero)[0], torch.eye(3))
    assert not jacobians(trick, vector, zero)[0].any()


def test_diveq_splits_the_gradient_along_the_step_between_latent_and_code():
    latent, code = normal(4, dtype=torch.float64), normal(4, seed=1, dtype=torch.float64)
    for_latent, for_code = jacobians(DiVeQ(noise_variance=0.0), latent, code)
    along = torch.outer(unit(code - latent), unit(code - latent))
    torch.testing.assert_close(for_latent, torch.eye(4, dtype=torch.float64) - along)
    torch.testing.assert_close(for_code, along)


def test_diveq_with_noise_steps_by_the_gap_in_the_noisy_direction():
    latent, code = normal(4, dtype=torch.float64), normal(4, seed=1, dtype=torch.float64)
    error = code - latent
    torch.manual_seed(3)
    noise = math.sqrt(0.04) * torch.randn_like(error)
    direction = unit(error + noise)
    torch.manual_seed(3)
    for_latent, for_code = jacobians(DiVeQ(noise_variance=0.04), latent, code)
    torch.testing.assert_close(for_code, torch.outer(direction, unit(error)))
    torch.testing.assert_close(for_latent + for_code, torch.eye(4, dtype=torch.float64))
    torch.manual_seed(3)
    value = DiVeQ(noise_variance=0.04)(latent, code)
    torch.testing.assert_close(value, latent + error.norm() * direction)
    assert not torch.allclose(value, code)


def test_diveq_noise_follows_the_global_generator():
    latents, codes = normal(10, 4), normal(10, 4, seed=1)
    torch.manual_seed(5)
    first, second = DiVeQ()(latents, codes), DiVeQ()(latents, codes)
    torch.manual_seed(5)
    assert torch.equal(DiVeQ()(latents, codes), first)
    assert not torch.equal(first, second)


def test_where_a_latent_lies_on_its_code_the_latent_gets_the_whole_gradient():
    point = normal(3)
    for estimator in EXACT[2:]:
        for_latent, for_code = jacobians(estimator, point, point)
        assert torch.equal(for_latent, torch.eye(3))
        assert not for_code.any()


@pytest.mark.parametrize(
    ("shape", "slope"),
    [
        ("linear", lambda gap, scale: scale),
        ("tanh", lambda gap, scale: 1 / math.cosh(gap / scale) ** 2),
        ("log", lambda gap, scale: 1 / (1 + gap / scale)),
    ],
)
@pytest.mark.parametrize("scale", [0.3, 2.0])
def test_radius_decides_the_share_of_the_code(shape, slope, scale):
    latent, code = normal(4, dtype=torch.float64), normal(4, seed=1, dtype=torch.float64)
    for_latent, for_code = jacobians(GeneralizedRadius(shape=shape, scale=scale), latent, code)
    direction = unit(code - latent)
    share = slope((code - latent).norm().item(), scale) * torch.outer(direction, direction)
    torch.testing.assert_close(for_code, share)
    torch.testing.assert_close(for_latent, torch.eye(4, dtype=torch.float64) - share)


def test_linear_radius_is_diveq_without_noise():
    latent, code = normal(6), normal(6, seed=1)
    plain = jacobians(DiVeQ(noise_variance=0.0), latent, code)
    linear = jacobians(GeneralizedRadius(shape="linear"), latent, code)
    assert all(torch.equal(one, other) for one, other in zip(plain, linear, strict=True))


@pytest.mark.parametrize("shape", ["tanh", "log"])
def test_a_large_scale_makes_any_radius_linear(shape):
    latent, code = normal(6), normal(6, seed=1)
    linear = jacobians(GeneralizedRadius(shape="linear"), latent, code)
    for scale, tolerance in ((1e4, 1e-3), (1e8, 1e-6)):
        bent = jacobians(GeneralizedRadius(shape=shape, scale=scale), latent, code)
        torch.testing.assert_close(bent, linear, atol=tolerance, rtol=0.0)


def test_a_bounded_radius_sends_nothing_to_a_far_code():
    radius = GeneralizedRadius(shape="tanh", scale=1.0)
    for_latent, for_code = jacobians(radius, torch.zeros(3), torch.tensor([30.0, 0.0, 40.0]))
    assert float(for_code.abs().max()) < 1e-12
    torch.testing.assert_close(for_latent, torch.eye(3))
    assert float(radius.radius(torch.tensor(50.0))) == pytest.approx(1.0)


def test_gradient_of_the_radius_is_that_of_its_value():
    gaps = torch.tensor([0.0, 0.1, 1.0, 5.0], dtype=torch.float64, requires_grad=True)
    for shape in ("linear", "tanh", "log"):
        assert torch.autograd.gradcheck(GeneralizedRadius(shape=shape, scale=0.6).radius, (gaps,))


@pytest.mark.parametrize("variance", [-1e-3, math.nan, math.inf])
def test_a_variance_that_is_none_is_refused(variance):
    with pytest.raises(ConfigError, match="noise_variance"):
        DiVeQ(noise_variance=variance)


def test_unknown_shapes_and_scales_are_refused():
    with pytest.raises(ConfigError, match="linear, tanh, log, got 'cubic'"):
        GeneralizedRadius(shape="cubic")
    for scale in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ConfigError, match="scale"):
            GeneralizedRadius(scale=scale)
