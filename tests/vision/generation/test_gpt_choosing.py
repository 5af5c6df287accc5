"""Which tokens can be drawn, how often, and what guidance does to them."""

import itertools
import math

import pytest
import torch

from provq_protein.errors import ConfigError
from provq_vision.generation.choosing import Sampling, choose, guided, probabilities


def plain(logits, *, temperature=1.0, top_k=0, top_p=1.0):
    """Return the distribution of one row by lists: the definition, without tensors."""
    weights = {token: math.exp(logit / temperature) for token, logit in enumerate(logits)}
    if top_k:
        least = sorted(weights.values(), reverse=True)[min(top_k, len(weights)) - 1]
        weights = {token: weight for token, weight in weights.items() if weight >= least}
    total, kept, reached = sum(weights.values()), {}, 0.0
    for token in sorted(weights, key=lambda each: (-weights[each], each)):
        if reached < top_p:
            kept[token] = weights[token]
        reached += weights[token] / total
    return [kept.get(token, 0.0) / sum(kept.values()) for token in range(len(logits))]


LOGITS = [[0.3, -1.0, 2.0, 0.7, -0.2, 1.1], [-3.0, 4.0, 0.0, 0.5, -9.0, 1.5]]


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    list(itertools.product([0.5, 1.0, 3.0], [0, 1, 2, 4, 6, 99], [0.05, 0.5, 0.9, 1.0])),
)
def test_probabilities_are_those_of_the_definition(temperature, top_k, top_p):
    settings = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
    found = probabilities(torch.tensor(LOGITS).double(), Sampling(**settings))
    expected = torch.tensor([plain(row, **settings) for row in LOGITS]).double()
    torch.testing.assert_close(found, expected)
    assert torch.equal(found == 0.0, expected == 0.0)


def test_equally_likely_tokens_stay_together_in_top_k_and_by_id_in_top_p():
    logits = torch.tensor([[1.0, 2.0, 1.0, 1.0]])
    assert (probabilities(logits, Sampling(top_k=2)) > 0).tolist() == [[True] * 4]
    # Many, because short rows are sorted in order by chance.
    kept = probabilities(torch.zeros(1, 4096), Sampling(top_p=0.5))
    assert kept.tolist() == [[1 / 2048] * 2048 + [0.0] * 2048]


def test_the_coldest_temperature_leaves_the_likeliest_token():
    found = probabilities(torch.tensor(LOGITS), Sampling(temperature=5e-324))
    assert found.argmax(-1).tolist() == [2, 1]
    assert found.sum(-1).tolist() == [1.0, 1.0]


def test_evenly_spread_numbers_draw_each_token_as_often_as_it_is_likely():
    chances = torch.tensor([[0.125, 0.0, 0.5, 0.375, 0.0]]).double()
    uniforms = (torch.arange(64).double() + 0.5) / 64
    drawn = choose(chances.expand(64, -1), uniforms)
    assert torch.bincount(drawn, minlength=5).tolist() == [8, 0, 32, 24, 0]


def test_the_ends_of_the_interval_draw_no_token_of_probability_zero():
    chances = torch.tensor([[0.0, 0.3, 0.7 - 1e-17, 0.0]]).double()
    last = torch.nextafter(torch.tensor(1.0).double(), torch.tensor(0.0).double())
    for scale in (1.0, 1.1, 1.3, 0.7, 1 / 3):
        assert choose(chances * scale, torch.zeros(1).double()).tolist() == [1]
        assert choose(chances * scale, last.view(1)).tolist() == [2]


def test_guidance_goes_from_no_class_to_the_class_and_beyond():
    with_class, without = torch.tensor([[3.0, 1.0]]), torch.tensor([[1.0, 2.0]])
    assert torch.equal(guided(with_class, without, 0.0), without)
    assert torch.equal(guided(with_class, without, 1.0), with_class)
    assert guided(with_class, without, 2.0).tolist() == [[5.0, 0.0]]
    assert guided(with_class, without, 0.5).tolist() == [[2.0, 1.5]]
    assert [Sampling(guidance=scale).is_guided for scale in (0, 0.5, 1, 1.5)] == [
        False,
        True,
        False,
        True,
    ]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"guidance": -0.1}, r"guidance: must be 0 \(no class\), 1 .* got -0.1"),
        ({"guidance": math.nan}, "guidance: .* got nan"),
        ({"guidance": math.inf}, "guidance: .* got inf"),
        ({"guidance": "2"}, "guidance: .* got '2'"),
        ({"temperature": 0.0}, "temperature: must be a number above 0, got 0.0; .* use top_k 1"),
        ({"temperature": -1.0}, "temperature: .* got -1.0"),
        ({"temperature": math.nan}, "temperature: .* got nan"),
        ({"top_k": -1}, "top_k: must be an integer, 0 for all tokens or more, got -1"),
        ({"top_k": 2.0}, "top_k: .* got 2.0"),
        ({"top_k": True}, "top_k: .* got True"),
        ({"top_p": 0.0}, "top_p: must be above 0 and at most 1 .* got 0.0"),
        ({"top_p": 1.5}, "top_p: .* got 1.5"),
        ({"top_p": math.nan}, "top_p: .* got nan"),
    ],
)
def test_numbers_that_mean_nothing_are_refused(settings, message):
    with pytest.raises(ConfigError, match=message):
        Sampling(**settings)
