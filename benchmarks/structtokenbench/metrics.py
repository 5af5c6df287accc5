"""How well do scores agree with labels: pooled, per protein, and by the published protocol?

The published benchmark computes AUROC and macro F1 for each batch of its test set and averages the
batches; Spearman's correlation it computes once over all residues. `evaluate` gives the pooled
value, which does not depend on how proteins fall into batches, beside that protocol.
"""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Metric = Literal["auroc", "spearman", "macro_f1"]
SingleClass = Literal["nan", "zero"]

BATCH_SIZES = {"auroc": 8, "macro_f1": 64}
"""Proteins per batch in the published protocol."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Predictions:
    """
    Labels of a test split beside the scores that probes of several seeds gave it.

    Parameters
    ----------
    labels : ndarray, shape=(row,), dtype=float32
        One row per residue, or per protein for a task per chain. *NaN* rows are ignored.
    scores : ndarray, shape=(seed, row) or (seed, row, class), dtype=float32
        Logits or predicted values; one per class for a task of classes.
    item : ndarray, shape=(row,), dtype=int64
        Which item of the split a row belongs to, in file order from 0; not decreasing.
    proteins : tuple of str
        The protein of each item: what the bootstrap draws. Items that share it are drawn together.
    """

    labels: npt.NDArray[np.float32]
    scores: npt.NDArray[np.float32]
    item: npt.NDArray[np.int64]
    proteins: tuple[str, ...]

    def __post_init__(self) -> None:
        """Raise ValueError if the arrays do not fit together."""
        rows = (len(self.labels), self.scores.shape[1], len(self.item))
        if len(set(rows)) != 1:
            msg = f"predictions: labels, scores and items have {rows} rows; expected equal numbers"
            raise ValueError(msg)
        if len(self.item) and int(self.item.max()) >= len(self.proteins):
            msg = (
                f"predictions: a row names item {int(self.item.max())}, but there are "
                f"{len(self.proteins)} items; give one protein per item"
            )
            raise ValueError(msg)
        if (np.diff(self.item) < 0).any():
            msg = "predictions: rows of an item are not together; sort them by item"
            raise ValueError(msg)

    def labelled(self) -> "Predictions":
        """
        Leave out rows without label.

        Returns
        -------
        Predictions
            The same items; those that lose every row stay, so that batches do not shift.
        """
        kept = np.isfinite(self.labels)
        return Predictions(
            labels=self.labels[kept],
            scores=self.scores[:, kept],
            item=self.item[kept],
            proteins=self.proteins,
        )


def average_ranks(values: Floats) -> npt.NDArray[np.float64]:
    """
    Rank values from 1, equal values sharing the mean of their ranks.

    Parameters
    ----------
    values : ndarray, shape=(row,)
        Finite values.

    Returns
    -------
    ndarray, shape=(row,), dtype=float64
        The ranks.

    Examples
    --------
    >>> average_ranks(np.array([0.5, 0.1, 0.5])).tolist()
    [2.5, 1.0, 2.5]
    """
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[inverse]


def auroc(scores: Floats, labels: Floats) -> float:
    """
    Compute the area under the receiver operating characteristic; ties count half.

    Parameters
    ----------
    scores : ndarray, shape=(row,)
        Higher for the positive class.
    labels : ndarray, shape=(row,)
        0 or 1; *NaN* rows are ignored.

    Returns
    -------
    float
        *NaN* if only one class is present, or if a score is not finite.

    Examples
    --------
    >>> auroc(np.array([0.1, 0.4, 0.35, 0.8]), np.array([0, 0, 1, 1]))
    0.75
    """
    scores, labels = _labelled(scores, labels)
    positive = labels > 0.5
    num_positive, num_negative = int(positive.sum()), int((~positive).sum())
    if not num_positive or not num_negative or not np.isfinite(scores).all():
        return float("nan")
    above = average_ranks(scores)[positive].sum() - num_positive * (num_positive + 1) / 2
    return float(above / (num_positive * num_negative))


def pearson(scores: Floats, labels: Floats) -> float:
    """
    Compute Pearson's correlation.

    Parameters
    ----------
    scores, labels : ndarray, shape=(row,)
        Predicted and true values; rows whose label is *NaN* are ignored.

    Returns
    -------
    float
        *NaN* for fewer than two rows, where either side is constant, or if a score is not finite.

    Examples
    --------
    >>> round(pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 7.0])), 4)
    0.9934
    """
    scores, labels = _labelled(scores, labels)
    if len(labels) < 2 or np.ptp(scores) == 0 or np.ptp(labels) == 0:
        return float("nan")
    x, y = scores - scores.mean(), labels - labels.mean()
    # The bound keeps rounding from showing a correlation above 1.
    return float(np.clip((x @ y) / np.sqrt((x @ x) * (y @ y)), -1, 1))


def spearman(scores: Floats, labels: Floats) -> float:
    """
    Compute Spearman's rank correlation; ties share the mean of their ranks.

    Parameters
    ----------
    scores, labels : ndarray, shape=(row,)
        Predicted and true values; rows whose label is *NaN* are ignored.

    Returns
    -------
    float
        *NaN* for fewer than two rows, where either side is constant, or if a score is not finite.

    Examples
    --------
    >>> round(spearman(np.array([1.0, 5.0, 3.0]), np.array([2.0, 9.0, 4.0])), 9)
    1.0
    """
    scores, labels = _labelled(scores, labels)
    if len(labels) < 2 or not np.isfinite(scores).all():
        return float("nan")
    return pearson(average_ranks(scores), average_ranks(labels))


def r_squared(scores: Floats, labels: Floats) -> float:
    """
    Fraction of the variance of the labels that the predictions explain; can be negative.

    Parameters
    ----------
    scores, labels : ndarray, shape=(row,)
        Predicted and true values in the same unit; rows whose label is *NaN* are ignored.

    Returns
    -------
    float
        *NaN* for fewer than two rows or constant labels.

    Examples
    --------
    >>> r_squared(np.array([1.0, 2.0, 3.0]), np.array([1.0, 2.0, 4.0])) > 0.75
    True
    """
    scores, labels = _labelled(scores, labels)
    if len(labels) < 2 or np.ptp(labels) == 0:
        return float("nan")
    residual = labels - scores
    spread = labels - labels.mean()
    return float(1 - (residual @ residual) / (spread @ spread))


def macro_f1(
    scores: Floats, labels: Floats, *, classes: Literal["labelled", "seen"] = "labelled"
) -> float:
    """
    Mean over classes of the harmonic mean of precision and recall.

    Parameters
    ----------
    scores : ndarray, shape=(row, class)
        The predicted class is the highest.
    labels : ndarray, shape=(row,)
        Index of the true class; *NaN* rows are ignored.
    classes : {"labelled", "seen"}, optional
        Which classes the mean is over: those with a label, or also those that are only predicted,
        which contribute 0 (the published protocol).

    Returns
    -------
    float
        *NaN* if fewer than two classes are labelled, or if a score is not finite. With
        ``classes="seen"`` one labelled class is enough.

    Examples
    --------
    >>> macro_f1(np.eye(3)[[0, 1, 1, 2]], np.array([0, 1, 0, 1]))
    0.5833333333333333
    """
    kept = np.isfinite(labels)
    scores, truth = scores[kept], labels[kept].astype(np.int64)
    if not np.isfinite(scores).all():
        return float("nan")
    size = scores.shape[1]
    predicted = scores.argmax(1)
    labelled = np.bincount(truth, minlength=size)
    called = np.bincount(predicted, minlength=size)
    right = np.bincount(truth[truth == predicted], minlength=size)
    counted = labelled > 0 if classes == "labelled" else labelled + called > 0
    if counted.sum() < 1 or (classes == "labelled" and counted.sum() < 2):
        return float("nan")
    return float((2 * right[counted] / (labelled + called)[counted]).mean())


def binary_f1(scores: Floats, labels: Floats) -> float:
    """
    F1 of the positive class at probability one half, by which the published probes are chosen.

    Parameters
    ----------
    scores : ndarray, shape=(row,)
        Logits.
    labels : ndarray, shape=(row,)
        0 or 1; *NaN* rows are ignored.

    Returns
    -------
    float
        0 where nothing is positive and nothing is called positive, as in the reference.

    Examples
    --------
    >>> binary_f1(np.array([1.0, -1.0, 2.0]), np.array([1, 1, 0]))
    0.5
    """
    scores, labels = _labelled(scores, labels)
    called, positive = scores > 0, labels > 0.5
    total = int(called.sum() + positive.sum())
    return 2 * int((called & positive).sum()) / total if total else 0.0


def item_values(
    metric: Callable[[Floats, Floats], float], scores: Floats, labels: Floats, item: npt.NDArray
) -> npt.NDArray[np.float64]:
    """
    Compute a metric of each group of rows.

    Parameters
    ----------
    metric : callable
        Maps scores and labels to a number.
    scores : ndarray, shape=(row, ...)
        Scores.
    labels : ndarray, shape=(row,)
        Labels.
    item : ndarray, shape=(row,), dtype=int
        Group of each row, not decreasing.

    Returns
    -------
    ndarray, shape=(group,), dtype=float64
        One value per group from 0 to the last; *NaN* for a group without rows.
    """
    size = int(item.max()) + 1 if len(item) else 0
    bounds = np.searchsorted(item, np.arange(size + 1))
    values = np.full(size, np.nan)
    for index, (start, end) in enumerate(pairwise(bounds)):
        if end > start:
            values[index] = metric(scores[start:end], labels[start:end])
    return values


def batch_mean(
    metric: Metric,
    scores: Floats,
    labels: Floats,
    item: npt.NDArray[np.int64],
    *,
    single_class: SingleClass = "nan",
) -> float:
    """
    Mean of a metric over consecutive batches of proteins, as the published benchmark has it.

    Parameters
    ----------
    metric : {"auroc", "spearman", "macro_f1"}
        The metric. ``"spearman"`` is pooled, in the published protocol as well.
    scores : ndarray, shape=(row,) or (row, class)
        Scores.
    labels : ndarray, shape=(row,)
        Labels; *NaN* rows are ignored.
    item : ndarray, shape=(row,), dtype=int64
        Item of each row, in file order. Batches are items 0 to 7, 8 to 15 and so on (64 items for
        ``"macro_f1"``); the last may be smaller and weighs as much as the others.
    single_class : {"nan", "zero"}, optional
        What a batch with labels of one class contributes. ``"nan"`` leaves it out. ``"zero"`` is
        the published behaviour: an AUROC of 0; an F1 over the classes seen, which is defined.

    Returns
    -------
    float
        *NaN* if no batch contributes.
    """
    scores, labels = np.asarray(scores), np.asarray(labels)
    if metric == "spearman":
        return spearman(scores, labels)
    if metric == "macro_f1":
        published = single_class == "zero"
        values = item_values(
            lambda s, y: (
                macro_f1(s, y, classes="seen") if published or _several(y) else float("nan")
            ),
            scores,
            labels,
            item // BATCH_SIZES[metric],
        )
        return finite_mean(values)
    kept = np.isfinite(labels)
    batches = item[kept] // BATCH_SIZES[metric]
    values = item_values(auroc, scores[kept], labels[kept], batches)
    if single_class == "zero":
        values[np.isnan(values)] = 0.0
    return finite_mean(values)


def _labelled(
    scores: Floats, labels: Floats
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Rows with label, in double precision: sums of squares of single ones lose digits."""
    scores, labels = np.asarray(scores, np.float64), np.asarray(labels, np.float64)
    kept = np.isfinite(labels)
    return scores[kept], labels[kept]


def _several(labels: Floats) -> bool:
    return len(np.unique(labels[np.isfinite(labels)])) > 1


def finite_mean(values: npt.NDArray[np.float64]) -> float:
    """
    Mean of the defined values.

    Parameters
    ----------
    values : ndarray, shape=(any,), dtype=float64
        Values, *NaN* where not defined.

    Returns
    -------
    float
        *NaN* if none is defined.

    Examples
    --------
    >>> finite_mean(np.array([1.0, np.nan, 2.0]))
    1.5
    """
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else float("nan")
