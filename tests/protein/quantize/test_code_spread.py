"""Are numbers on the spread of vectors those that one computes by hand?"""

import math

import pytest
import torch

from provq_protein.quantize import mean_code_distance
from provq_protein.quantize.spread import (
    effective_dimension,
    nearest_neighbor_cosine,
    participation_ratio,
)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def axes(*deviations):
    """Return vectors whose variances along the axes are as the squares of the deviations."""
    spread = torch.diag(torch.tensor(deviations, dtype=torch.float64))
    return torch.cat([spread, -spread])


def test_mean_distance_leaves_out_the_diagonal():
    triangle = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert mean_code_distance(triangle) == pytest.approx((3 + 4 + 5) / 3)


def test_mean_distance_with_the_diagonal_is_the_mean_of_the_matrix():
    codes = normal(40, 3)
    expected = float(torch.cdist(codes, codes).mean())
    assert mean_code_distance(codes, include_diagonal=True) == pytest.approx(expected, rel=1e-5)


def test_mean_distance_of_close_codes_far_from_the_origin():
    codes = torch.tensor([[1e8 + 0.3] * 3, [1e8 + 0.8] * 3], dtype=torch.float64)
    assert mean_code_distance(codes) == pytest.approx(0.5 * math.sqrt(3))


def test_mean_distance_over_many_tiles():
    codes = normal(2500, 3)
    expected = torch.pdist(codes.double()).mean()
    assert mean_code_distance(codes) == pytest.approx(float(expected), rel=1e-12)


def test_mean_distance_in_many_dimensions():
    codes = normal(1500, 100).double() + 1e6
    expected = torch.pdist(codes - 1e6).mean()
    assert mean_code_distance(codes) == pytest.approx(float(expected), rel=1e-9)
    # Half of them at one place, half at another.
    pair = torch.zeros(40, 100)
    pair[:20, 7] = 3.0
    assert mean_code_distance(pair + 0.1) == pytest.approx(3 * 2 * 20 * 20 / (40 * 39), rel=1e-6)


def test_nearest_cosine_by_hand():
    # The nearest of the third is the second, at 45 degrees; the first two are parallel.
    codes = torch.tensor([[1.0, 0.0], [5.0, 0.0], [2.0, 2.0]])
    assert nearest_neighbor_cosine(codes) == pytest.approx((1 + 1 + math.sqrt(0.5)) / 3)
    opposite = torch.tensor([[1.0, 0.0], [-2.0, 0.0]])
    assert nearest_neighbor_cosine(opposite) == pytest.approx(-1.0)


def test_nearest_cosine_over_many_tiles():
    codes = normal(2500, 3)
    directions = torch.nn.functional.normalize(codes.double())
    cosines = (directions @ directions.T).fill_diagonal_(-1.0)
    expected = float(cosines.amax(dim=1).mean())
    assert nearest_neighbor_cosine(codes) == pytest.approx(expected, rel=1e-12)


def test_nearest_cosine_of_a_zero_code_is_zero():
    codes = torch.tensor([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    assert nearest_neighbor_cosine(codes) == 0.0


def test_nearest_cosine_does_not_depend_on_lengths():
    codes = torch.tensor([[1.0, 0.0], [2.0, 2.0]], dtype=torch.float64)
    for scale in (1e-200, 1e200):
        assert nearest_neighbor_cosine(scale * codes) == pytest.approx(math.sqrt(0.5))


@pytest.mark.parametrize("measure", [mean_code_distance, nearest_neighbor_cosine])
def test_pairs_need_two_finite_codes(measure):
    with pytest.raises(ValueError, match="two codes"):
        measure(torch.zeros(1, 3))
    with pytest.raises(ValueError, match="1 of 2"):
        measure(torch.tensor([[0.0, 1.0], [math.nan, 1.0]]))


@pytest.mark.parametrize(
    ("variance", "expected"), [(0.5, 1), (0.89, 1), (0.9, 1), (0.91, 2), (0.99, 2), (0.995, 3)]
)
def test_effective_dimension_by_hand(variance, expected):
    # Variances 90 : 9 : 1, that is 90 %, 99 % and 100 % held.
    vectors = axes(math.sqrt(90), 3.0, 1.0)
    assert effective_dimension(vectors, variance=variance) == expected


@pytest.mark.parametrize("held", range(1, 11))
def test_shares_that_are_held_exactly(held):
    assert effective_dimension(axes(*[0.7] * 10), variance=held / 10) == held


def test_all_of_the_variance_is_the_rank():
    plane = normal(50, 2).double() @ normal(2, 9, seed=1).double()
    assert effective_dimension(plane + 3.0, variance=1.0) == 2
    exact = torch.zeros(50, 9)
    exact[:, :2] = normal(50, 2)
    assert effective_dimension(exact, variance=1.0) == 2


def test_participation_ratio_by_hand():
    assert participation_ratio(axes(1.0, 1.0, 1.0, 0.0)) == pytest.approx(3.0)
    # The sum of 4 and 1, squared, over the sum of their squares.
    assert participation_ratio(axes(2.0, 1.0)) == pytest.approx(25 / 17)


def test_weights_are_repetitions():
    vectors = normal(30, 5) * torch.tensor([9.0, 3.0, 1.0, 0.3, 0.1])
    counts = torch.randint(4, (30,), generator=torch.Generator().manual_seed(2))
    repeated = vectors.repeat_interleave(counts, dim=0)
    for share in (0.5, 0.9, 0.99, 0.9999):
        weighted = effective_dimension(vectors, weights=counts, variance=share)
        assert weighted == effective_dimension(repeated, variance=share)
    ratio = participation_ratio(vectors, weights=counts)
    assert ratio == pytest.approx(participation_ratio(repeated), rel=1e-12)
    assert ratio != pytest.approx(participation_ratio(vectors), rel=1e-3)


def test_place_and_scale_do_not_matter():
    vectors = axes(3.0, 2.0, 1.0)
    for moved in (vectors + 1e9, vectors * 1e150, vectors * 1e-150):
        assert participation_ratio(moved) == pytest.approx(196 / 98, rel=1e-6)
        assert effective_dimension(moved, variance=0.9) == 2


def test_many_vectors_in_tiles():
    vectors = normal(140_000, 32)
    vectors[:, 20:] = 0.0
    assert effective_dimension(vectors, variance=1.0) == 20
    covariance = torch.cov(vectors.double().T)
    expected = float(covariance.trace() ** 2 / covariance.square().sum())
    assert participation_ratio(vectors) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    "vectors", [torch.tensor([[0.1, 0.7, 1 / 3]]).repeat(11, 1), torch.full((1, 3), 5.0)]
)
def test_equal_vectors_have_no_dimension(vectors):
    assert effective_dimension(vectors) == 0
    assert participation_ratio(vectors) == 0.0


def test_fewer_vectors_than_dimensions():
    assert effective_dimension(normal(3, 20), variance=1.0) == 2


@pytest.mark.parametrize("measure", [effective_dimension, participation_ratio])
@pytest.mark.parametrize(
    ("vectors", "weights", "text"),
    [
        (torch.zeros(0, 3), None, "one vector"),
        (torch.zeros(3), None, "one vector"),
        (torch.tensor([[math.inf, 0.0], [1.0, 2.0]]), None, "1 of 2"),
        (torch.ones(2, 3), torch.ones(3), r"\(2,\)"),
        (torch.ones(2, 3), torch.tensor([1.0, -1.0]), "0 or more"),
        (torch.ones(2, 3), torch.tensor([0, 0]), "all zero"),
        (torch.ones(2, 3), torch.tensor([1.0, math.nan]), "finite"),
    ],
)
def test_impossible_vectors_and_weights_are_named(measure, vectors, weights, text):
    with pytest.raises(ValueError, match=text):
        measure(vectors, weights=weights)


@pytest.mark.parametrize("variance", [0.0, 1.01, math.nan])
def test_impossible_shares_are_named(variance):
    with pytest.raises(ValueError, match="variance"):
        effective_dimension(torch.ones(2, 3), variance=variance)
