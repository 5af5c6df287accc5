"""Which statistics follow from the results of several seeds and many chains?"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tokenizer_comparison.results import Comparison, Results

_RESAMPLES = 1000
_INTERVAL = (2.5, 97.5)

Interval = tuple[float, float]


@dataclass(frozen=True)
class Spread:
    """
    Where the values of several seeds lie.

    Parameters
    ----------
    median : float
        Of all seeds.
    low : float
        The smallest.
    high : float
        The largest.
    """

    median: float
    low: float
    high: float


@dataclass(frozen=True)
class Difference:
    """
    By how much one variant differs from another on the same chains with the same seeds.

    Parameters
    ----------
    median : float
        Of the differences of all chains and seeds.
    interval : tuple of float
        95 % bootstrap interval over chains and seeds.
    chains : int
        Number of chains.
    seeds : int
        Number of seeds that both were trained with.
    """

    median: float
    interval: Interval
    chains: int
    seeds: int


def spread(values: Sequence[float]) -> Spread:
    """
    Return median and range.

    Parameters
    ----------
    values : sequence of float
        One or more.

    Returns
    -------
    Spread
        Of the values.

    Examples
    --------
    >>> spread([3.0, 1.0, 2.0])
    Spread(median=2.0, low=1.0, high=3.0)
    """
    return Spread(statistics.median(values), min(values), max(values))


def per_seed(
    comparison: Comparison, variant: str, pick: Callable[[Results], float]
) -> dict[int, float]:
    """
    Return one number of each run of a variant.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.
    variant : str
        One of its keys.
    pick : callable
        Takes the number from the results of a run.

    Returns
    -------
    dict of int to float
        By seed.
    """
    return {seed: pick(run) for seed, run in comparison[variant].items()}


def chain_scores(run: Results, part: str, metric: str) -> NDArray[np.float64]:
    """
    Return the scores of one run.

    Parameters
    ----------
    run : mapping
        Results.
    part : str
        Name of the set.
    metric : str
        Column of its table of chains.

    Returns
    -------
    ndarray, shape=(chain,), dtype=float64
        *NaN* where a chain has no such score.
    """
    table: dict[str, Any] = run["sets"][part]["chains"]
    place = table["columns"].index(metric)
    values = [row[place] for row in table["rows"]]
    return np.array([np.nan if value is None else value for value in values], dtype=np.float64)


def median_interval(
    comparison: Comparison, variant: str, part: str, metric: str, *, seed: int = 0
) -> Interval:
    """
    Return the bootstrap interval of a median score over chains.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.
    variant : str
        One of its keys.
    part : str
        Name of the set.
    metric : str
        A score.
    seed : int
        Decides the resampling.

    Returns
    -------
    tuple of float
        95 % interval of the median over seeds of the median over chains, with chains resampled.
    """
    runs = comparison[variant].values()
    values = np.stack([chain_scores(run, part, metric) for run in runs])
    chains = values.shape[1]
    draws = np.random.default_rng(seed).integers(chains, size=(_RESAMPLES, chains))
    return _interval(np.median(_median(values)(values[:, draws], axis=2), axis=0))


def difference(
    comparison: Comparison, variant: str, other: str, part: str, metric: str, *, seed: int = 0
) -> Difference | None:
    """
    Compare two variants chain by chain and seed by seed.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.
    variant : str
        From whose score the other's is subtracted.
    other : str
        Another variant.
    part : str
        Name of the set.
    metric : str
        A score.
    seed : int
        Decides the resampling.

    Returns
    -------
    Difference or None
        None if no seed was trained with both.
    """
    both = sorted(comparison.get(variant, {}).keys() & comparison.get(other, {}).keys())
    if not both:
        return None
    values = np.stack(
        [
            chain_scores(comparison[variant][one], part, metric)
            - chain_scores(comparison[other][one], part, metric)
            for one in both
        ]
    )
    seeds, chains = values.shape
    generator = np.random.default_rng(seed)
    rows = generator.integers(seeds, size=(_RESAMPLES, seeds, 1))
    columns = generator.integers(chains, size=(_RESAMPLES, 1, chains))
    samples = _median(values)(values[rows, columns].reshape(_RESAMPLES, -1), axis=1)
    return Difference(float(np.nanmedian(values)), _interval(samples), chains, seeds)


def _median(values: NDArray[np.float64]) -> Callable[..., NDArray[np.float64]]:
    # The one that heeds NaN is many times slower.
    return np.nanmedian if np.isnan(values).any() else np.median


def _interval(samples: NDArray[np.float64]) -> Interval:
    low, high = np.percentile(samples, _INTERVAL)
    return float(low), float(high)
