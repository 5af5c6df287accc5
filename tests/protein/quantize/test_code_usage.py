"""Are usage numbers those that one computes by hand?"""

import math

import pytest
import torch

from provq_protein.quantize import (
    CodeUsage,
    code_counts,
    normalized_perplexity,
    perplexity,
    utilization,
)
from provq_protein.quantize.batch_usage import BatchUsage
from provq_protein.quantize.usage import entropy


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
    assert entropy(counts) == pytest.approx(1.5 * math.log(2))
    assert perplexity(counts) == pytest.approx(math.exp(1.5 * math.log(2)))
    assert normalized_perplexity(counts) == pytest.approx(math.exp(1.5 * math.log(2)) / 4)


def test_ends_of_the_scale():
    assert perplexity(torch.tensor([0, 7, 0])) == pytest.approx(1.0)
    assert str(entropy(torch.tensor([0, 7, 0]))) == "0.0"
    assert entropy(torch.full((512,), 3)) == pytest.approx(math.log(512))
    assert normalized_perplexity(torch.full((512,), 3)) == pytest.approx(1.0)
    nothing = torch.zeros(4, dtype=torch.int64)
    assert entropy(nothing) == 0
    assert (utilization(nothing), perplexity(nothing), normalized_perplexity(nothing)) == (0, 0, 0)


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
    assert merged.entropy == entropy(whole.counts)
    assert merged.normalized_perplexity == normalized_perplexity(whole.counts)


def test_counts_are_a_copy():
    usage = CodeUsage(2)
    usage.add(torch.tensor([1]))
    usage.counts.zero_()
    assert usage.total == 1


def test_usage_of_different_books_cannot_be_merged():
    with pytest.raises(ValueError, match="2 and 3"):
        CodeUsage(2).merged(CodeUsage(3))


def test_one_process_reduces_to_a_copy():
    usage = CodeUsage(3)
    usage.add(torch.tensor([0, 2]))
    pooled = usage.reduced()
    usage.add(torch.tensor([1]))
    assert pooled.counts.tolist() == [1, 0, 1]


def test_levels_are_counted_one_by_one():
    indices = torch.tensor([[[0, 1], [0, 2]], [[0, 2], [-1, -1]]])
    levels = [CodeUsage(3), CodeUsage(3)]
    for level, usage in enumerate(levels):
        usage.add(indices[..., level], mask=torch.tensor([[True, True], [True, False]]))
    assert [usage.counts.tolist() for usage in levels] == [[3, 0, 0], [0, 1, 2]]


def test_batches_are_averaged_by_hand():
    usage = BatchUsage(4)
    usage.add(torch.tensor([[0, 1], [0, 1]]))
    usage.add(torch.tensor([3, 3, 0]), mask=torch.tensor([True, True, False]))
    # A batch without a valid latent is no batch.
    usage.add(torch.tensor([-1, -1]))
    assert usage.batches == 2
    assert usage.latents_per_batch == 3.0
    assert usage.batch_perplexity == pytest.approx((2 + 1) / 2)
    assert usage.batch_utilization == pytest.approx((2 / 4 + 1 / 4) / 2)


def test_mean_over_batches_is_not_the_pooled_number():
    indices = torch.randint(64, (50, 32), generator=torch.Generator().manual_seed(0))
    pooled, batches = CodeUsage(64), BatchUsage(64)
    pooled.add(indices)
    for batch in indices:
        batches.add(batch)
    assert batches.batch_perplexity < 32 < 60 < pooled.perplexity
    assert batches.batch_utilization < 0.5 < pooled.utilization
    # Neither has the names of the other.
    assert not hasattr(batches, "perplexity")
    assert not hasattr(pooled, "batch_perplexity")


def test_batches_merge_exactly_in_any_order():
    parts = [BatchUsage(50) for _ in range(3)]
    generator = torch.Generator().manual_seed(1)
    for number in range(30):
        parts[number % 3].add(torch.randint(50, (5 + number,), generator=generator))
    one = parts[0].merged(parts[1]).merged(parts[2])
    other = parts[2].merged(parts[1].merged(parts[0])).reduced()
    assert (one.batches, other.batches, parts[0].batches) == (30, 30, 10)
    assert one.batch_perplexity == other.batch_perplexity
    assert one.batch_utilization == other.batch_utilization
    assert one.latents_per_batch == other.latents_per_batch == 19.5


def test_no_batch_gives_zeros():
    usage = BatchUsage(4)
    found = (usage.batches, usage.latents_per_batch, usage.batch_perplexity)
    assert (*found, usage.batch_utilization, usage.reduced().batches) == (0, 0, 0, 0, 0)


def test_refused_batches_are_not_counted():
    usage = BatchUsage(4)
    with pytest.raises(ValueError, match=r"\[0, 4\)"):
        usage.add(torch.tensor([0, 4]))
    assert usage.batches == 0


@pytest.mark.parametrize("kind", [CodeUsage, BatchUsage])
def test_impossible_sizes_are_refused(kind):
    with pytest.raises(ValueError, match="size"):
        kind(0)


def test_batches_of_different_books_cannot_be_merged():
    with pytest.raises(ValueError, match="2 and 3"):
        BatchUsage(2).merged(BatchUsage(3))
