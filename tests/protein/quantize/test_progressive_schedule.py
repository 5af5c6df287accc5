"""Do alpha and omega follow Eqs. 3 and 4, and stop exactly where they should?"""

import pytest

from provq_protein.errors import ConfigError
from provq_protein.quantize import ProgressiveSchedule

SHAPES = ("cosine", "linear", "exponential", "hard")


def schedule(*, warmup=20_000, transition=10_000, shape="cosine", coupling=1.0):
    return ProgressiveSchedule(
        warmup_steps=warmup, transition_steps=transition, shape=shape, initial_coupling=coupling
    )


@pytest.mark.parametrize(
    ("t", "alpha"),
    [
        (0, 1.0),
        (1_000, 0.9755),
        (2_500, 0.8536),
        (5_000, 0.5),
        (7_500, 0.1464),
        (9_000, 0.0245),
        (10_000, 0.0),
    ],
)
def test_cosine_alpha_counts_from_the_end_of_the_warmup(t, alpha):
    assert schedule().alpha(20_000 + t) == pytest.approx(alpha, abs=5e-5)


@pytest.mark.parametrize(
    ("shape", "half_way"), [("linear", 0.5), ("exponential", 0.082085), ("hard", 1.0)]
)
def test_other_shapes_half_way(shape, half_way):
    assert schedule(shape=shape).alpha(25_000) == pytest.approx(half_way, abs=1e-6)


@pytest.mark.parametrize("shape", SHAPES)
def test_alpha_is_one_then_never_rises_then_exactly_zero(shape):
    plan = schedule(warmup=40, transition=30, shape=shape)
    alphas = [plan.alpha(step) for step in range(200)]
    assert alphas[:41] == [1.0] * 41
    assert alphas[70:] == [0.0] * 130
    assert alphas == sorted(alphas, reverse=True)
    assert all(alpha > 0.0 for alpha in alphas[:70])


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("coupling", [0.0, 0.1, 0.5, 1.0])
def test_omega_rises_from_lambda_to_one(shape, coupling):
    plan = schedule(warmup=40, transition=30, shape=shape, coupling=coupling)
    omegas = [plan.omega(step) for step in range(40, 100)]
    assert omegas[0] == coupling
    assert omegas[30:] == [1.0] * 30
    assert omegas == sorted(omegas)
    assert schedule(coupling=0.2).omega(25_000) == pytest.approx(0.6)


def test_stages_meet_without_gap():
    plan = schedule(warmup=3, transition=2)
    assert [plan.stage(step) for step in range(7)] == (
        ["warmup"] * 3 + ["transition"] * 2 + ["hard"] * 2
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_no_curriculum_is_hard_from_the_first_step(shape):
    plan = schedule(warmup=0, transition=0, shape=shape, coupling=0.0)
    assert [(plan.alpha(step), plan.omega(step)) for step in (0, 1, 10**6)] == [(0.0, 1.0)] * 3


def test_warmup_without_transition_jumps_to_hard():
    plan = schedule(warmup=5, transition=0)
    assert [plan.alpha(step) for step in (4, 5)] == [1.0, 0.0]


@pytest.mark.parametrize(
    ("setting", "named"),
    [
        ({"warmup": -1}, "warmup_steps"),
        ({"transition": -5}, "transition_steps"),
        ({"shape": "cosin"}, "cosine"),
        ({"coupling": 1.5}, "initial_coupling"),
        ({"coupling": float("nan")}, "initial_coupling"),
    ],
)
def test_impossible_settings_are_named(setting, named):
    with pytest.raises(ConfigError, match=named):
        schedule(**setting)


def test_negative_step_is_refused():
    with pytest.raises(ValueError, match="step"):
        schedule().alpha(-1)
