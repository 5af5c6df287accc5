"""How much of its codebook does a tokenizer use, and how distinct are its codes?"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch

from provq_protein.quantize.batch_usage import BatchUsage
from provq_protein.quantize.usage import CodeUsage
from structtokenbench.items import ChainTokens

BATCH_SIZES = (1, 8)
"""Chains per batch in the two versions of the published protocol."""

QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of the cosine similarities between codes."""

# N, CA, C and O of a residue have three coordinates of about six characters each.
_CHARACTERS_PER_RESIDUE = 4 * 3 * 6
_ROWS_AT_ONCE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchMean:
    """
    Usage as the published benchmark has it: of each batch of chains, averaged.

    Parameters
    ----------
    chains_per_batch : int
        In file order; the last batch may be smaller and counts the same.
    batches : int
        Number of batches.
    utilization : float
        Mean share of codes that occur in a batch.
    perplexity : float
        Mean perplexity of a batch, in codes.
    normalized_perplexity : float
        That over the number of codes.

    Notes
    -----
    These numbers grow with the size of a batch and say little without it.
    """

    chains_per_batch: int
    batches: int
    utilization: float
    perplexity: float
    normalized_perplexity: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Usage:
    """
    How the tokens of a set of chains spread over the codes.

    Parameters
    ----------
    codes : int
        Size of the codebook.
    chains, residues : int
        How many were counted; only residues with a token are.
    counts : ndarray, shape=(code,), dtype=int64
        How often each code occurs.
    utilization : float
        Share of codes that occur anywhere in the set.
    perplexity : float
        Number of equally frequent codes with the same entropy.
    normalized_perplexity : float
        That over the number of codes.
    entropy_bits : float
        Bits that a residue's token carries, taken alone.
    normalized_entropy : float
        Entropy over the logarithm of the number of codes, from 0 to 1.
    compression_ratio : float
        Decimal digits of the ids over the characters of the coordinates of four atoms, averaged
        over chains: the published measure.
    batch_means : tuple of BatchMean
        One for each of `BATCH_SIZES`.
    """

    codes: int
    chains: int
    residues: int
    counts: npt.NDArray[np.int64]
    utilization: float
    perplexity: float
    normalized_perplexity: float
    entropy_bits: float
    normalized_entropy: float
    compression_ratio: float
    batch_means: tuple[BatchMean, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """
    How far apart the codes of a codebook are.

    Parameters
    ----------
    codes, dim : int
        Size of the codebook.
    mean_norm : float
        Mean length of a code.
    mean_distance : float
        Mean Euclidean distance between two different codes.
    mean_distance_with_diagonal : float
        The same over all ordered pairs, each code with itself included: what papers print.
    relative_distance : float
        `mean_distance` over `mean_norm`, which does not depend on the scale of the codes.
    mean_cosine : float
        Mean cosine similarity of two different codes.
    cosine_quantiles : tuple of float
        At `QUANTILES`.
    nearest_cosine : float
        Mean over codes of the cosine similarity to the most similar other code.
    usage_weighted_cosine : float
        Mean cosine similarity of two different codes, weighted by how often both occur.

    Notes
    -----
    All but the sizes are *NaN* for a single code. The cosine of a code of length 0 with any other
    counts as 0.
    """

    codes: int
    dim: int
    mean_norm: float
    mean_distance: float
    mean_distance_with_diagonal: float
    relative_distance: float
    mean_cosine: float
    cosine_quantiles: tuple[float, ...]
    nearest_cosine: float
    usage_weighted_cosine: float


def measure_usage(chains: Iterable[ChainTokens], codes: int) -> Usage:
    """
    Count the codes of a set of chains.

    Parameters
    ----------
    chains : iterable of ChainTokens
        In file order; looked at one after the other.
    codes : int
        Size of the codebook.

    Returns
    -------
    Usage
        Pooled over the set, and by the published protocol.

    Raises
    ------
    ValueError
        If a chain has no ids, or an id outside the codebook.

    Notes
    -----
    The published protocol gives unresolved residues the code of a missing residue and counts it;
    here residues without token are not counted. Its perplexity adds 1e-8 inside the logarithm,
    which moves no printed digit.
    """
    pooled = CodeUsage(codes)
    batches = [_Batches(codes, size) for size in BATCH_SIZES]
    ratios = []
    for tokens in chains:
        ids = _ids(tokens)
        pooled.add(torch.from_numpy(ids))
        for batch in batches:
            batch.add(ids)
        if ids.size:
            digits = np.char.str_len(ids.astype(str)).sum()
            ratios.append(float(digits) / (ids.size * _CHARACTERS_PER_RESIDUE))
    bits = pooled.entropy / math.log(2)
    return Usage(
        codes=codes,
        chains=len(ratios),
        residues=pooled.total,
        counts=pooled.counts.numpy(),
        utilization=pooled.utilization,
        perplexity=pooled.perplexity,
        normalized_perplexity=pooled.normalized_perplexity,
        entropy_bits=bits,
        normalized_entropy=bits / math.log2(codes) if codes > 1 else math.nan,
        compression_ratio=math.fsum(ratios) / len(ratios) if ratios else math.nan,
        batch_means=tuple(batch.mean() for batch in batches),
    )


class _Batches:
    """Ids of chains, handed on a batch at a time."""

    def __init__(self, codes: int, size: int) -> None:
        self._usage = BatchUsage(codes)
        self._codes = codes
        self._size = size
        self._waiting: list[npt.NDArray[np.int64]] = []

    def add(self, ids: npt.NDArray[np.int64]) -> None:
        self._waiting.append(ids)
        if len(self._waiting) == self._size:
            self._flush()

    def mean(self) -> BatchMean:
        self._flush()
        usage = self._usage
        return BatchMean(
            chains_per_batch=self._size,
            batches=usage.batches,
            utilization=usage.batch_utilization,
            perplexity=usage.batch_perplexity,
            normalized_perplexity=usage.batch_perplexity / self._codes,
        )

    def _flush(self) -> None:
        if self._waiting:
            self._usage.add(torch.from_numpy(np.concatenate(self._waiting)))
            self._waiting = []


def measure_geometry(
    codebook: npt.NDArray[np.float32], counts: npt.NDArray[np.int64] | None = None
) -> Geometry:
    """
    Measure distances and similarities between the codes.

    Parameters
    ----------
    codebook : ndarray, shape=(code, dim)
        The codes.
    counts : ndarray, shape=(code,), dtype=int64, optional
        How often each occurs. Without it the usage-weighted mean is *NaN*.

    Returns
    -------
    Geometry
        Of the codebook.

    Raises
    ------
    ValueError
        If `codebook` is no table of finite numbers, or `counts` has another length.

    Examples
    --------
    >>> geometry = measure_geometry(np.eye(4, dtype=np.float32))
    >>> round(geometry.mean_distance, 4), geometry.mean_cosine
    (1.4142, 0.0)
    """
    table = np.asarray(codebook, dtype=np.float64)
    if table.ndim != 2 or not np.isfinite(table).all():
        msg = f"codebook: expected finite numbers of shape (code, dim), got shape {table.shape}"
        raise ValueError(msg)
    if counts is not None and counts.shape != (len(table),):
        msg = f"counts: expected one for each of {len(table)} codes, got shape {counts.shape}"
        raise ValueError(msg)
    norms = np.linalg.norm(table, axis=1)
    if len(table) < 2:
        return _no_pairs(table, norms)
    size = len(table)
    distances = _summed_distances(table)
    cosines = cosine_similarities(table, table)
    different = ~np.eye(size, dtype=bool)
    nearest = cosines.max(axis=1, where=different, initial=-np.inf)
    # Each pair is there twice, which moves neither mean nor quantile.
    pairs = cosines[different]
    mean_distance = distances / (size * (size - 1))
    return Geometry(
        codes=size,
        dim=table.shape[1],
        mean_norm=float(norms.mean()),
        mean_distance=mean_distance,
        mean_distance_with_diagonal=distances / size**2,
        relative_distance=mean_distance / float(norms.mean()) if norms.any() else math.nan,
        mean_cosine=float(pairs.mean()),
        cosine_quantiles=tuple(float(value) for value in np.quantile(pairs, QUANTILES)),
        nearest_cosine=float(nearest.mean()),
        usage_weighted_cosine=_weighted(cosines, different, counts),
    )


def cosine_similarities(
    first: npt.NDArray[np.floating], second: npt.NDArray[np.floating]
) -> npt.NDArray[np.float32]:
    """
    Return the cosine similarity of each vector with each.

    Parameters
    ----------
    first : ndarray, shape=(m, dim)
        Vectors.
    second : ndarray, shape=(n, dim)
        Vectors.

    Returns
    -------
    ndarray, shape=(m, n), dtype=float32
        From -1 to 1; 0 where a vector has length 0.

    Examples
    --------
    >>> cosine_similarities(np.array([[2.0, 0.0], [0.0, 0.0]]), np.array([[1.0, 1.0]])).round(3)
    array([[0.707],
           [0.   ]], dtype=float32)
    """
    return np.clip(_directions(first) @ _directions(second).T, -1, 1).astype(np.float32)


def _directions(vectors: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    values = np.asarray(vectors, dtype=np.float64)
    norms = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.where(norms > 0, norms, 1)


def _summed_distances(table: npt.NDArray[np.float64]) -> float:
    """Sum over all ordered pairs, some rows at a time."""
    squares = np.square(table).sum(axis=1)
    total = 0.0
    for start in range(0, len(table), _ROWS_AT_ONCE):
        rows = slice(start, start + _ROWS_AT_ONCE)
        # In double precision the products lose no digit of a mean, however near two codes are.
        squared = squares[rows, None] + squares - 2 * table[rows] @ table.T
        # A code is at distance zero from itself, whatever rounding says.
        squared[np.arange(len(squared)), np.arange(start, start + len(squared))] = 0
        total += float(np.sqrt(np.maximum(squared, 0)).sum())
    return total


def _weighted(
    cosines: npt.NDArray[np.float32],
    different: npt.NDArray[np.bool_],
    counts: npt.NDArray[np.int64] | None,
) -> float:
    if counts is None:
        return math.nan
    shares = counts / max(1, counts.sum())
    # Of all pairs of tokens, those of the same code are taken out.
    weight = 1.0 - float(shares @ shares)
    if counts.sum() == 0 or np.count_nonzero(counts) < 2:
        return math.nan
    return float(shares @ np.where(different, cosines, 0) @ shares) / weight


def _no_pairs(table: npt.NDArray[np.float64], norms: npt.NDArray[np.float64]) -> Geometry:
    return Geometry(
        codes=len(table),
        dim=table.shape[1],
        mean_norm=float(norms.mean()) if norms.size else math.nan,
        mean_distance=math.nan,
        mean_distance_with_diagonal=math.nan,
        relative_distance=math.nan,
        mean_cosine=math.nan,
        cosine_quantiles=(math.nan,) * len(QUANTILES),
        nearest_cosine=math.nan,
        usage_weighted_cosine=math.nan,
    )


def _ids(tokens: ChainTokens) -> npt.NDArray[np.int64]:
    if tokens.ids is None:
        msg = "usage of codes: these tokens have no ids; a continuous tokenizer has no codebook"
        raise ValueError(msg)
    return tokens.ids[tokens.mask]
