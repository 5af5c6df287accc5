"""Do the tokens of two conformations differ as much as the conformations do?"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from provq_protein.errors import ProvqError
from structtokenbench.alignment import best_alignment_score
from structtokenbench.codebook import cosine_similarities
from structtokenbench.conformations import Pair, PairSet, tm_score
from structtokenbench.intervals import Estimate
from structtokenbench.items import ChainTokens, Coverage, Problem
from structtokenbench.metrics import pearson, spearman

FEWEST_PAIRS = 3
"""Below this number of pairs, a correlation says nothing."""

_Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairScore:
    """
    What a tokenizer says of one pair of conformations.

    Parameters
    ----------
    id : str
        The pair.
    tm_score : float
        Structural similarity of the two chains.
    raw : int
        Score of the best global alignment of their tokens, which grows with their lengths.
    normalized : float
        `raw` over the geometric mean of each chain's score with itself; 1 for equal tokens.
    lengths : tuple of int
        Residues with a token, of each chain.
    """

    id: str
    tm_score: float
    raw: int
    normalized: float
    lengths: tuple[int, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sensitivity:
    """
    How closely token similarity follows structural similarity over a set of pairs.

    Parameters
    ----------
    pairs : str
        Name of the set.
    scores : tuple of PairScore
        Of the pairs that could be used.
    coverage : Coverage
        How many those are, and why not the others.
    raw_pearson, raw_spearman : Estimate
        Correlation of the raw scores with TM: the published protocol.
    normalized_pearson, normalized_spearman : Estimate
        Correlation of the normalized scores with TM: the primary measure.
    length_pearson, length_spearman : Estimate
        Correlation of the geometric mean of the lengths with TM: what a raw score would reach
        that knew lengths alone.
    """

    pairs: str
    scores: tuple[PairScore, ...]
    coverage: Coverage
    raw_pearson: Estimate
    raw_spearman: Estimate
    normalized_pearson: Estimate
    normalized_spearman: Estimate
    length_pearson: Estimate
    length_spearman: Estimate


def measure_sensitivity(
    pairs: PairSet,
    tokens: Mapping[str, ChainTokens],
    codebook: npt.NDArray[np.float32] | None,
    *,
    problems: Mapping[str, str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> Sensitivity:
    """
    Correlate the similarity of tokens with that of structures.

    Parameters
    ----------
    pairs : PairSet
        Pairs of conformations, with their chains.
    tokens : mapping of str to ChainTokens
        By the key of the chain.
    codebook : ndarray, shape=(code, dim), dtype=float32, or None
        The codes; None for tokens that are vectors themselves.
    problems : mapping of str to str, optional
        Why a chain has no tokens, by its key, for the coverage.
    resamples : int
        Bootstrap samples of the pairs.
    seed : int
        Of the bootstrap.

    Returns
    -------
    Sensitivity
        With 95 % intervals.

    Notes
    -----
    Two tokens score 100 times the cosine similarity of their codes, rounded to half precision
    and cut to a whole number as in the reference; a residue without partner scores -10.
    Residues without token are left out, where the reference gives them the code of a missing
    residue. A TM-score that the set does not give is computed.
    """
    reasons = problems or {}
    scores: list[PairScore] = []
    failed = list(pairs.problems)
    for pair in pairs.pairs:
        missing = next((key for key in (pair.first, pair.second) if key not in tokens), None)
        if missing is not None:
            reason = f"{missing}: {reasons.get(missing, 'has no tokens')}"
            failed.append(Problem(id=pair.id, reason=reason))
            continue
        try:
            scores.append(_score(pair, pairs, tokens, codebook))
        except (ProvqError, ValueError) as error:
            failed.append(Problem(id=pair.id, reason=str(error)))
    return _correlated(pairs, tuple(scores), tuple(failed), resamples, seed)


def position_scores(
    first: ChainTokens, second: ChainTokens, codebook: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.int64]:
    """
    Return the score of each token of one chain with each of another.

    Parameters
    ----------
    first, second : ChainTokens
        Of the same tokenizer.
    codebook : ndarray, shape=(code, dim), dtype=float32, or None
        The codes; None for tokens that are vectors themselves.

    Returns
    -------
    ndarray, shape=(m, n), dtype=int64
        From -100 to 100, of the residues with a token.

    Raises
    ------
    ValueError
        If the tokens have neither ids of this codebook nor vectors.
    """
    cosines = cosine_similarities(_vectors(first, codebook), _vectors(second, codebook))
    # Half precision before digits are cut off, as in the reference: 28.999 becomes 29.
    return np.trunc((100 * cosines).astype(np.float16)).astype(np.int64)


def _score(
    pair: Pair,
    pairs: PairSet,
    tokens: Mapping[str, ChainTokens],
    codebook: npt.NDArray[np.float32] | None,
) -> PairScore:
    first, second = tokens[pair.first], tokens[pair.second]
    raw, own, other = (
        best_alignment_score(position_scores(one, two, codebook))
        for one, two in ((first, second), (first, first), (second, second))
    )
    given = pair.tm_score
    if given is None:
        given = tm_score(pairs.chains[pair.first], pairs.chains[pair.second])
    return PairScore(
        id=pair.id,
        tm_score=given,
        raw=raw,
        normalized=raw / math.sqrt(own * other) if own > 0 and other > 0 else math.nan,
        lengths=(int(first.mask.sum()), int(second.mask.sum())),
    )


def _vectors(
    tokens: ChainTokens, codebook: npt.NDArray[np.float32] | None
) -> npt.NDArray[np.float32]:
    if codebook is not None and tokens.ids is not None:
        return codebook[tokens.ids[tokens.mask]]
    if tokens.features is not None:
        return tokens.features[tokens.mask]
    msg = "tokens have neither ids with a codebook nor vectors; pass the tokenizer's codebook"
    raise ValueError(msg)


def _correlated(
    pairs: PairSet,
    scores: tuple[PairScore, ...],
    problems: tuple[Problem, ...],
    resamples: int,
    seed: int,
) -> Sensitivity:
    truth = np.array([score.tm_score for score in scores])
    raw = np.array([score.raw for score in scores], dtype=np.float64)
    normalized = np.array([score.normalized for score in scores])
    lengths = np.array([math.sqrt(score.lengths[0] * score.lengths[1]) for score in scores])
    # The same resamples for all, so that tokenizers and measures can be compared pair by pair.
    draws = np.random.default_rng(seed).integers(0, max(1, len(scores)), (resamples, len(scores)))
    return Sensitivity(
        pairs=pairs.name,
        scores=scores,
        coverage=Coverage(listed=pairs.listed, used=len(scores), problems=problems),
        raw_pearson=_estimate(pearson, raw, truth, draws),
        raw_spearman=_estimate(spearman, raw, truth, draws),
        normalized_pearson=_estimate(pearson, normalized, truth, draws),
        normalized_spearman=_estimate(spearman, normalized, truth, draws),
        length_pearson=_estimate(pearson, lengths, truth, draws),
        length_spearman=_estimate(spearman, lengths, truth, draws),
    )


def _estimate(
    measure: Callable[[_Array, _Array], float],
    values: _Array,
    truth: _Array,
    draws: npt.NDArray[np.int64],
) -> Estimate:
    nan = math.nan
    if len(values) < FEWEST_PAIRS:
        note = f"{len(values)} pairs, of which {FEWEST_PAIRS} are needed"
        return Estimate(value=nan, low=nan, high=nan, per_seed=(), note=note)
    if not np.isfinite(values).all():
        note = "a pair has no score"
        return Estimate(value=nan, low=nan, high=nan, per_seed=(), note=note)
    value = measure(values, truth)
    if not math.isfinite(value):
        note = "scores or TM-scores are all equal"
        return Estimate(value=nan, low=nan, high=nan, per_seed=(), note=note)
    resampled = np.array([measure(values[rows], truth[rows]) for rows in draws])
    finite = resampled[np.isfinite(resampled)]
    low, high = np.quantile(finite, [0.025, 0.975]) if finite.size else (nan, nan)
    return Estimate(value=value, low=float(low), high=float(high), per_seed=(value,))
