"""What does a token series say in a few numbers, and do its codes move where the atoms do?"""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from provq_protein.evaluation.token_series import Floats, TokenSeries

MEASURES = ("change_share", "perplexity", "mean_shift", "code_fluctuation")
"""What is measured of a residue's codes and compared with the fluctuation of its atom."""

_DIGITS = 4


def residue_rows(series: TokenSeries) -> list[dict[str, Any]]:
    """
    Return what is measured of each residue.

    Parameters
    ----------
    series : TokenSeries
        One chain.

    Returns
    -------
    list of dict
        JSON values: ``residue``, ``name``, ``changes``, ``distinct``, each of `MEASURES` and
        ``rmsf``; None where a value is not known.
    """
    measures = {name: getattr(series, name).tolist() for name in (*MEASURES, "rmsf")}
    return [
        {
            "residue": residue_id,
            "name": series.residue_names[place],
            "changes": int(series.changes[place]),
            "distinct": int(series.distinct[place]),
            **{name: _known(values[place]) for name, values in measures.items()},
        }
        for place, residue_id in enumerate(series.residue_ids)
    ]


def summary(series: TokenSeries) -> dict[str, Any]:
    """
    Return what is measured of the whole chain.

    Parameters
    ----------
    series : TokenSeries
        One chain.

    Returns
    -------
    dict
        JSON values; None where a value is not known. ``rank_correlation_with_rmsf`` holds that of
        each of `MEASURES` over residues.
    """
    pairs = int(series.pairs.sum())
    return {
        "source": series.source,
        "chain": series.chain_id,
        "frames": len(series),
        "residues": len(series.sequence),
        "fingerprint": series.fingerprint,
        "first_time_ps": _known(float(series.times[0])),
        "last_time_ps": _known(float(series.times[-1])),
        "changed": _known(int(series.changes.sum()) / pairs) if pairs else None,
        "changed_from_first": _known(_mean(series.changed_from_first[1:])),
        "mean_shift": _known(_mean(series.mean_shift)),
        "spread": _known(series.spread),
        "mean_rmsf": _known(_mean(series.rmsf)),
        "rank_correlation_with_rmsf": {
            name: _known(rank_correlation(getattr(series, name), series.rmsf)) for name in MEASURES
        },
    }


def rank_correlation(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """
    Return Spearman's rank correlation.

    Parameters
    ----------
    first, second : array_like, shape=(value,)
        Pairs of which one is *NaN* are left out.

    Returns
    -------
    float
        From -1 to 1; *NaN* for fewer than three pairs, or if all values of one are equal.

    Examples
    --------
    >>> round(rank_correlation([1, 2, 3, 4], [1, 4, 9, 16]), 6)
    1.0
    """
    one, other = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    known = ~(np.isnan(one) | np.isnan(other))
    ranks = [_ranks(values[known]) for values in (one, other)]
    if known.sum() < 3 or any(np.ptp(values) == 0 for values in ranks):
        return float("nan")
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: Floats) -> Floats:
    """Return ranks; equal values share the mean of theirs."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[place]


def _mean(values: Floats) -> float:
    known = values[~np.isnan(values)]
    return float(known.mean()) if known.size else math.nan


def _known(value: float) -> float | None:
    return None if math.isnan(value) else round(value, _DIGITS)
