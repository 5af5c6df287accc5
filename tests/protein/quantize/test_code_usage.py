"""Are usage numbers those that one computes by hand?"""

import math

import pytest
import torch

from provq_protein.quantize import (
    CodeUsage,
    code_counts,
    mean_code_distance,
    normalized_perplexity,
    perplexity,
    utilization,
)


def test_counts_by_hand():
    indices = torch.tensor([[0, 3, 3], [1, 3, -1]])
    assert code_counts(indices, 5).tolist() == [1, 1, 0, 3, 0]
    mask = torch.tensor([[True, False, True], [True, True, False]])
    assert code_counts(indices, 5, mask=mask).tolist() == [1, 1, 0, 2, 0]


def test_masked_indices_may_be_anything():
    mask = torch.tensor([True, False])
    assert code_counts(torch.tensor([2, 99]), 3, mask=mask).tolist() == [0, 0, 1]


@pytest.mark.parametrize("index", [-2, 5])
def test_indices_that_are_no_codes_are_refused(index):
    with pytest.raises(ValueError, match=r"\[0, 5\)"):
        code_counts(torch.tensor([0, index]), 5)


def test_mask_of_another_shape_is_refused():
    with pytest.raises(ValueError, match="mask"):
        code_counts(torch.tensor([0, 1]), 5, mask=torch.tensor([True]))


def test_usage_by_hand():
    counts = torch.tensor([2, 1, 1, 0])
    # H = 1/2 ln 2 + 2 * 1/4 ln 4 = 3/2 ln 2
    assert utilization(counts) == 0.75
    assert perplexity(counts) == pytest.approx(math.exp(1.5 * math.log(2)))
    assert normalized_perplexity(counts) == pytest.approx(math.exp(1.5 * math.log(2)) / 4)


def test_ends_of_the_scale():
    assert perplexity(torch.tensor([0, 7, 0])) == pytest.approx(1.0)
    assert normalized_perplexity(torch.full((512,), 3)) == pytest.approx(1.0)
    nothing = torch.zeros(4, dtype=torch.int64)
    assert (utilization(nothing), perplexity(nothing), normalized_perplexity(nothing)) == (0, 0, 0)


def test_mean_distance_leaves_out_the_diagonal():
    triangle = torch.tensor([[0.0, 0.0], [3.0, 0.0], [0.0, 4.0]])
    assert mean_code_distance(triangle) == pytest.approx((3 + 4 + 5) / 3)


def test_mean_distance_of_close_codes_far_from_the_origin():
    codes = torch.tensor([[1e8 + 0.3] * 3, [1e8 + 0.8] * 3], dtype=torch.float64)
    assert mean_code_distance(codes) == pytest.approx(0.5 * math.sqrt(3))


def test_mean_distance_over_many_tiles():
    codes = torch.randn(2500, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.pdist(codes.double()).mean()
    assert mean_code_distance(codes) == pytest.approx(float(expected), rel=1e-12)


def test_mean_distance_needs_two_codes():
    with pytest.raises(ValueError, match="two codes"):
        mean_code_distance(torch.zeros(1, 3))


def test_batches_add_up():
    indices = torch.randint(8, (40,), generator=torch.Generator().manual_seed(0))
    first, second, whole = CodeUsage(8), CodeUsage(8), CodeUsage(8)
    first.add(indices[:10])
    first.add(indices[10:15], mask=torch.tensor([True, True, False, True, True]))
    second.add(indices[15:])
    second.add(indices[12:13])
    whole.add(indices)
    merged = first.merged(second)
    assert torch.equal(merged.counts, whole.counts)
    assert (first.total, second.total, merged.total) == (14, 26, 40)
    assert merged.utilization == utilization(whole.counts)
    assert merged.perplexity == perplexity(whole.counts)
    assert merged.normalized_perplexity == normalized_perplexity(whole.counts)


def test_counts_are_a_copy():
    usage = CodeUsage(2)
    usage.add(torch.tensor([1]))
    usage.counts.zero_()
    assert usage.total == 1


def test_usage_of_different_books_cannot_be_merged():
    with pytest.raises(ValueError, match="2 and 3"):
        CodeUsage(2).merged(CodeUsage(3))
