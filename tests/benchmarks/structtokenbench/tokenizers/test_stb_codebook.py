"""Do usage and geometry of a codebook agree with formulas written down here?"""

import math

import numpy as np
import pytest

from structtokenbench.codebook import (
    QUANTILES,
    cosine_similarities,
    measure_geometry,
    measure_usage,
)
from structtokenbench.items import ChainTokens

CODES = 64


def chain_of(ids: np.ndarray, mask: np.ndarray | None = None) -> ChainTokens:
    kept = np.ones(len(ids), dtype=bool) if mask is None else mask
    return ChainTokens(ids=np.where(kept, ids, 0).astype(np.int64), features=None, mask=kept)


@pytest.fixture(scope="module")
def chains() -> list[ChainTokens]:
    """Return nineteen chains, so that the last batch of eight is smaller."""
    generator = np.random.default_rng(5)
    found = []
    for length in generator.integers(5, 60, 19):
        ids = np.minimum(generator.geometric(0.08, length) - 1, CODES - 1)
        found.append(chain_of(ids, generator.random(length) < 0.9))
    return found


def published(ids: list[np.ndarray]) -> tuple[float, float]:
    """Compute utilization and normalized perplexity of one batch, as the reference does."""
    counts = np.bincount(np.concatenate(ids), minlength=CODES)
    share = counts / counts.sum()
    perplexity = math.exp(-sum(p * math.log(p + 1e-8) for p in share))
    return np.count_nonzero(counts) / CODES, perplexity / CODES


def test_pooled_usage(chains: list[ChainTokens]) -> None:
    usage = measure_usage(iter(chains), CODES)
    ids = np.concatenate([chain.ids[chain.mask] for chain in chains])
    share = np.bincount(ids, minlength=CODES) / len(ids)
    bits = -sum(p * math.log2(p) for p in share if p)
    assert usage.residues == len(ids)
    assert usage.chains == 19
    assert usage.utilization == len(set(ids.tolist())) / CODES
    assert usage.entropy_bits == pytest.approx(bits)
    assert usage.normalized_entropy == pytest.approx(bits / 6)
    assert usage.perplexity == pytest.approx(2**bits)
    assert usage.normalized_perplexity == pytest.approx(2**bits / CODES)
    np.testing.assert_array_equal(usage.counts, np.bincount(ids, minlength=CODES))


@pytest.mark.parametrize(("position", "size"), [(0, 1), (1, 8)])
def test_the_published_protocol(chains: list[ChainTokens], position: int, size: int) -> None:
    mean = measure_usage(chains, CODES).batch_means[position]
    ids = [chain.ids[chain.mask] for chain in chains]
    expected = [published(ids[start : start + size]) for start in range(0, len(ids), size)]
    assert mean.chains_per_batch == size
    assert mean.batches == math.ceil(19 / size)
    assert mean.utilization == pytest.approx(np.mean([u for u, _ in expected]), abs=1e-12)
    assert mean.normalized_perplexity == pytest.approx(np.mean([p for _, p in expected]), rel=1e-5)
    assert mean.perplexity == pytest.approx(mean.normalized_perplexity * CODES)


def test_compression_ratio_counts_digits() -> None:
    chains = [chain_of(np.array([0, 10, 63])), chain_of(np.array([5]))]
    expected = (5 / (3 * 72) + 1 / 72) / 2
    assert measure_usage(chains, CODES).compression_ratio == pytest.approx(expected)


def test_nothing_to_count() -> None:
    usage = measure_usage([], CODES)
    assert usage.utilization == 0
    assert math.isnan(usage.compression_ratio)
    assert [mean.batches for mean in usage.batch_means] == [0, 0]


def test_ids_beyond_the_codebook_and_vectors_are_refused() -> None:
    with pytest.raises(ValueError, match=r"in \[0, 64\)"):
        measure_usage([chain_of(np.array([64]))], CODES)
    vectors = ChainTokens(
        ids=None, features=np.zeros((2, 3), dtype=np.float32), mask=np.ones(2, dtype=bool)
    )
    with pytest.raises(ValueError, match="have no ids"):
        measure_usage([vectors], CODES)


def test_geometry_by_pairs() -> None:
    generator = np.random.default_rng(2)
    codebook = generator.normal(size=(30, 5)).astype(np.float32)
    counts = generator.integers(0, 9, 30)
    counts[4] = 0
    geometry = measure_geometry(codebook, counts)
    distances, cosines, weights = [], [], []
    nearest = np.full(30, -2.0)
    table = codebook.astype(float)
    for i in range(30):
        for j in range(30):
            if i != j:
                cosine = table[i] @ table[j] / np.linalg.norm(table[i]) / np.linalg.norm(table[j])
                distances.append(np.linalg.norm(table[i] - table[j]))
                cosines.append(cosine)
                weights.append(counts[i] * counts[j])
                nearest[i] = max(nearest[i], cosine)
    assert geometry.mean_distance == pytest.approx(np.mean(distances))
    assert geometry.mean_distance_with_diagonal == pytest.approx(np.mean(distances) * 29 / 30)
    norm = np.linalg.norm(table, axis=1).mean()
    assert geometry.mean_norm == pytest.approx(norm)
    assert geometry.relative_distance == pytest.approx(np.mean(distances) / norm)
    assert geometry.mean_cosine == pytest.approx(np.mean(cosines), abs=1e-6)
    assert geometry.cosine_quantiles == pytest.approx(np.quantile(cosines, QUANTILES), abs=1e-6)
    assert geometry.nearest_cosine == pytest.approx(nearest.mean(), abs=1e-6)
    assert geometry.usage_weighted_cosine == pytest.approx(
        np.average(cosines, weights=weights), abs=1e-6
    )


def test_a_random_table_looks_perfectly_distinct() -> None:
    """The raw codebook of the published AminoAseed is such a table."""
    codebook = np.random.default_rng(0).normal(size=(512, 1024)).astype(np.float32)
    geometry = measure_geometry(codebook)
    assert abs(geometry.mean_cosine) < 0.001
    assert geometry.mean_distance_with_diagonal == pytest.approx(45.16, abs=0.1)
    assert math.isnan(geometry.usage_weighted_cosine)


def test_degenerate_codebooks() -> None:
    one = measure_geometry(np.ones((1, 3), dtype=np.float32))
    assert math.isnan(one.mean_distance)
    assert one.mean_norm == pytest.approx(math.sqrt(3))
    zero = measure_geometry(np.zeros((3, 2), dtype=np.float32), np.array([1, 0, 0]))
    assert zero.mean_cosine == 0
    assert math.isnan(zero.relative_distance)
    assert math.isnan(zero.usage_weighted_cosine)


def test_tables_that_cannot_be_measured() -> None:
    with pytest.raises(ValueError, match="finite numbers"):
        measure_geometry(np.array([[0.0, np.nan]], dtype=np.float32))
    with pytest.raises(ValueError, match=r"one for each of 3 codes"):
        measure_geometry(np.eye(3, dtype=np.float32), np.ones(4, dtype=np.int64))


def test_cosines_stay_within_one() -> None:
    vectors = np.random.default_rng(1).normal(size=(40, 7)).astype(np.float32) * 1e-3
    cosines = cosine_similarities(vectors, vectors)
    assert np.abs(cosines).max() <= 1
    np.testing.assert_allclose(np.diag(cosines), 1, atol=1e-6)
