"""How far would a metric move if the test set held other proteins of the same kind?

Proteins are drawn with replacement, with all their items. AUROC is never recomputed from residues:
the number of residue pairs in the right order between each two proteins is counted once, and every
resample is a weighted sum of these counts.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from structtokenbench import metrics
from structtokenbench.metrics import BATCH_SIZES, Metric, Predictions
from structtokenbench.resampling import (
    Draws,
    RankedRows,
    concordance,
    draw,
    weighted_pearson,
)

Array = npt.NDArray[np.float64]

MODES = ("pooled", "per_protein", "batch_mean", "batch_mean_published")
"""How residues are averaged, the primary way first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """
    A metric with its uncertainty.

    Parameters
    ----------
    value : float
        Mean over seeds; *NaN* where the metric is not defined.
    low, high : float
        Percentile interval of the mean over seeds, under resampling of proteins.
    per_seed : tuple of float
        The value of each seed.
    note : str
        Why the value or interval is missing; empty otherwise.
    """

    value: float
    low: float
    high: float
    per_seed: tuple[float, ...]
    note: str = ""

    @property
    def spread(self) -> float:
        """
        Standard deviation over seeds.

        Returns
        -------
        float
            *NaN* for a single seed.
        """
        return float(np.std(self.per_seed, ddof=1)) if len(self.per_seed) > 1 else float("nan")

    def to_mapping(self) -> dict[str, object]:
        """
        Give what JSON can hold.

        Returns
        -------
        dict
            The fields and the spread, with None for *NaN*.
        """
        return {
            "value": finite_or_none(self.value),
            "low": finite_or_none(self.low),
            "high": finite_or_none(self.high),
            "spread": finite_or_none(self.spread),
            "per_seed": [finite_or_none(value) for value in self.per_seed],
            "note": self.note,
        }


def finite_or_none(value: float) -> float | None:
    """
    Turn what JSON cannot hold into None.

    Parameters
    ----------
    value : float
        Any number.

    Returns
    -------
    float or None
        None for *NaN* and infinities.

    Examples
    --------
    >>> finite_or_none(float("nan")) is None
    True
    """
    return float(value) if np.isfinite(value) else None


def evaluate(
    predictions: Predictions,
    metric: Metric,
    *,
    resamples: int = 1000,
    confidence: float = 0.95,
    seed: int = 0,
) -> dict[str, Estimate]:
    """
    Compute a metric of a test split in every mode, with bootstrap intervals.

    Parameters
    ----------
    predictions : Predictions
        Labels and scores of the split.
    metric : {"auroc", "spearman", "macro_f1"}
        The metric of the task.
    resamples : int, optional
        Number of resamples.
    confidence : float, optional
        Probability that the percentile interval covers.
    seed : int, optional
        Seed of the resampling. All seeds of the probe, modes and metrics see the same resamples.

    Returns
    -------
    dict of str to Estimate
        ``"pooled"`` over all residues is the primary one. ``"per_protein"`` is the mean over items
        for which the metric is defined; a task of classes has none. ``"batch_mean"`` is the mean
        over batches of 8 proteins (64 for macro F1) in file order, leaving out batches of one
        class; in ``"batch_mean_published"`` such a batch counts as 0. For Spearman's correlation
        the published protocol is the pooled value, and there is no ``"batch_mean"``; Pearson's
        correlation and R squared stand beside it, as ``"pearson"`` and ``"r_squared"``.

    Notes
    -----
    In the resamples of a batch mean, batches are filled in the order of drawing. Resamples in which
    the metric is not defined are left out; if they are more than half, the interval is *NaN*.
    """
    rows = predictions.labelled()
    draws = draw(rows.proteins, resamples, seed)
    builders: Mapping[str, Callable[[Predictions, Draws], dict[str, tuple[list, list]]]] = {
        "auroc": _auroc_modes,
        "spearman": _regression_modes,
        "macro_f1": _f1_modes,
    }
    if metric not in builders:
        msg = f"metric: got {metric!r}, expected one of {', '.join(builders)}"
        raise ValueError(msg)
    modes = builders[metric](rows, draws) if len(rows.labels) else {"pooled": ([], [])}
    return {
        mode: _estimate(values, samples, confidence) for mode, (values, samples) in modes.items()
    }


def _estimate(values: list[float], samples: list[Array], confidence: float) -> Estimate:
    if not values:
        nan = float("nan")
        return Estimate(value=nan, low=nan, high=nan, per_seed=(), note="no labelled residue")
    value = float(np.mean(values))
    means = np.mean(np.stack(samples), axis=0)
    finite = means[np.isfinite(means)]
    low, high, note = float("nan"), float("nan"), ""
    if not np.isfinite(value):
        note = "not defined: labels or scores of one value only"
    elif 2 * len(finite) < len(means):
        note = "no interval: not defined in most resamples"
    else:
        tail = (1 - confidence) / 2
        low, high = (float(x) for x in np.quantile(finite, [tail, 1 - tail]))
    return Estimate(value=value, low=low, high=high, per_seed=tuple(values), note=note)


def _ratio(numerator: Array, denominator: Array) -> Array:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(denominator > 0, numerator / denominator, np.nan)


def _auroc_modes(rows: Predictions, draws: Draws) -> dict[str, tuple[list, list]]:
    size = len(rows.proteins)
    positives = np.bincount(rows.item, rows.labels > 0.5, size).astype(np.float64)
    negatives = np.bincount(rows.item, rows.labels <= 0.5, size).astype(np.float64)
    out: dict[str, tuple[list, list]] = {mode: ([], []) for mode in MODES}
    for scores in rows.scores:
        if not np.isfinite(scores).all():
            _append_nan(out, len(draws.weights))
            continue
        counts = concordance(scores, rows.labels, rows.item, size)
        above = ((draws.weights.astype(np.float32) @ counts) * draws.weights).sum(1)
        pairs = (draws.weights @ positives) * (draws.weights @ negatives)
        _append(out, "pooled", metrics.auroc(scores, rows.labels), _ratio(above, pairs))
        each = _ratio(np.diagonal(counts).astype(np.float64), positives * negatives)
        _append(out, "per_protein", metrics.finite_mean(each), _weighted_mean(each, draws.weights))
        batched = [_batch_aurocs(counts, positives, negatives, o) for o in draws.orders()]
        value = metrics.batch_mean("auroc", scores, rows.labels, rows.item)
        zero = metrics.batch_mean("auroc", scores, rows.labels, rows.item, single_class="zero")
        _append(out, "batch_mean", value, np.array([metrics.finite_mean(b) for b in batched]))
        _append(
            out, "batch_mean_published", zero, np.array([np.nan_to_num(b).mean() for b in batched])
        )
    return out


def _batch_aurocs(
    counts: npt.NDArray[np.float32],
    positives: Array,
    negatives: Array,
    order: npt.NDArray[np.int64],
) -> Array:
    """AUROC of each batch of eight items in a given order, *NaN* where a class is missing."""
    width = BATCH_SIZES["auroc"]
    used = np.zeros(-(-len(order) // width) * width, bool)
    used[: len(order)] = True
    index = np.zeros(len(used), np.int64)
    index[: len(order)] = order
    used, index = used.reshape(-1, width), index.reshape(-1, width)
    inside = used[:, :, None] & used[:, None, :]
    above = (counts[index[:, :, None], index[:, None, :]] * inside).sum((1, 2), dtype=np.float64)
    pairs = (positives[index] * used).sum(1) * (negatives[index] * used).sum(1)
    return _ratio(above, pairs)


def _append(out: dict[str, tuple[list, list]], mode: str, value: float, samples: Array) -> None:
    out[mode][0].append(value)
    out[mode][1].append(samples)


def _append_nan(out: dict[str, tuple[list, list]], resamples: int) -> None:
    for mode in out:
        _append(out, mode, float("nan"), np.full(resamples, np.nan))


def _weighted_mean(values: Array, weights: Array) -> Array:
    """Mean of the defined values under each row of weights."""
    known = np.isfinite(values)
    return _ratio(weights[:, known] @ values[known], weights[:, known].sum(1))


def _regression_modes(rows: Predictions, draws: Draws) -> dict[str, tuple[list, list]]:
    names = ("pooled", "per_protein", "batch_mean_published", "pearson", "r_squared")
    out: dict[str, tuple[list, list]] = {mode: ([], []) for mode in names}
    labels = rows.labels.astype(np.float64)
    usable = np.asarray(np.isfinite(rows.scores).all(1))
    pooled = _spearman_samples(rows, labels, usable, draws)
    for finite, one, samples in zip(usable, rows.scores, pooled, strict=True):
        if not finite:
            _append_nan(out, len(draws.weights))
            continue
        scores = one.astype(np.float64)
        value = metrics.spearman(scores, labels)
        _append(out, "pooled", value, samples)
        _append(out, "batch_mean_published", value, samples)
        each = metrics.item_values(metrics.spearman, scores, labels, rows.item)
        weights = draws.weights[:, : len(each)]
        _append(out, "per_protein", metrics.finite_mean(each), _weighted_mean(each, weights))
        _linear_modes(out, rows, scores, labels, draws)
    return out


def _spearman_samples(
    rows: Predictions, labels: Array, usable: npt.NDArray[np.bool_], draws: Draws
) -> Array:
    """Pooled correlation of each seed in each resample; the labels are ranked once for all."""
    truth = RankedRows(labels, rows.item)
    ranked = {i: RankedRows(rows.scores[i], rows.item) for i in np.flatnonzero(usable)}
    samples = np.full((len(rows.scores), len(draws.weights)), np.nan)
    for column, weights in enumerate(draws.weights):
        per_row, ranks = weights[rows.item], truth.ranks(weights)
        for index, one in ranked.items():
            samples[index, column] = weighted_pearson(one.ranks(weights), ranks, per_row)
    return samples


def _linear_modes(
    out: dict[str, tuple[list, list]],
    rows: Predictions,
    scores: Array,
    labels: Array,
    draws: Draws,
) -> None:
    """Pearson's correlation and R squared from sums per item."""
    # Centred first: sums of squares of values far from 0 would cancel.
    x, y = scores - labels.mean(), labels - labels.mean()
    size = len(rows.proteins)
    terms = (np.ones_like(x), x, y, x * x, y * y, x * y)
    sums = np.stack([np.bincount(rows.item, term, size) for term in terms], 1)
    n, sx, sy, sxx, syy, sxy = (draws.weights @ sums).T
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = syy - sy * sy / n
        correlation = (sxy - sx * sy / n) / np.sqrt((sxx - sx * sx / n) * spread)
        explained = 1 - (sxx - 2 * sxy + syy) / spread
    _append(out, "pearson", metrics.pearson(scores, labels), correlation)
    _append(out, "r_squared", metrics.r_squared(scores, labels), explained)


def _f1_modes(rows: Predictions, draws: Draws) -> dict[str, tuple[list, list]]:
    out: dict[str, tuple[list, list]] = {
        mode: ([], []) for mode in ("pooled", "batch_mean", "batch_mean_published")
    }
    weights = draws.weights[:, rows.item]
    for scores in rows.scores:
        if not np.isfinite(scores).all():
            _append_nan(out, len(weights))
            continue
        classes = np.eye(scores.shape[1])
        truth, called = classes[rows.labels.astype(np.int64)], classes[scores.argmax(1)]
        samples = _weighted_f1(weights @ truth, weights @ called, weights @ (truth * called))
        _append(out, "pooled", metrics.macro_f1(scores, rows.labels), samples)
        counts = np.zeros((3, len(rows.proteins), scores.shape[1]))
        np.add.at(counts[0], rows.item, truth)
        np.add.at(counts[1], rows.item, called)
        np.add.at(counts[2], rows.item, truth * called)
        pairs = np.array([_batch_f1(counts, order) for order in draws.orders()])
        value = metrics.batch_mean("macro_f1", scores, rows.labels, rows.item)
        every = metrics.batch_mean("macro_f1", scores, rows.labels, rows.item, single_class="zero")
        _append(out, "batch_mean", value, pairs[:, 0])
        _append(out, "batch_mean_published", every, pairs[:, 1])
    return out


def _weighted_f1(truth: Array, called: Array, right: Array) -> Array:
    """Mean F1 over labelled classes in each resample, *NaN* where there is only one."""
    each = np.where(truth > 0, 2 * right / np.maximum(truth + called, 1), 0)
    labelled = (truth > 0).sum(1)
    return np.where(labelled > 1, each.sum(1) / np.maximum(labelled, 1), np.nan)


def _batch_f1(counts: Array, order: npt.NDArray[np.int64]) -> tuple[float, float]:
    """Mean over batches of an order of items: without batches of one class, and with all."""
    starts = np.arange(0, len(order), BATCH_SIZES["macro_f1"])
    truth, called, right = np.add.reduceat(counts[:, order], starts, axis=1)
    seen = truth + called > 0
    each = np.where(seen, 2 * right / np.maximum(truth + called, 1), 0)
    values = _ratio(each.sum(1), seen.sum(1).astype(np.float64))
    several = (truth > 0).sum(1) > 1
    return metrics.finite_mean(values[several]), metrics.finite_mean(values)
