"""Do the metrics agree with scikit-learn, scipy and the published protocol written out?"""

import numpy as np
import pytest

from structtokenbench import intervals, metrics, resampling
from structtokenbench.metrics import Predictions

rng = np.random.default_rng(0)


def split(proteins=40, *, seed=0, seeds=2, length=30, positives=0.2):
    """Give a binary split with ties, missing labels and proteins of one class."""
    draw = np.random.default_rng(seed)
    item = np.repeat(np.arange(proteins), draw.integers(1, length, proteins))
    labels = (draw.random(len(item)) < positives).astype(np.float32)
    labels[np.isin(item, [3, 4, 5])] = 0
    scores = np.round(draw.normal(size=(seeds, len(item))) + labels, 1).astype(np.float32)
    labels[draw.random(len(item)) < 0.05] = np.nan
    names = tuple(f"chain{i}" for i in range(proteins))
    return Predictions(labels=labels, scores=scores, item=item, proteins=names)


def weighted_copy(rows, order):
    """Give the rows of a resample, items in a drawn order, numbered anew."""
    parts = [np.flatnonzero(rows.item == i) for i in order]
    take = np.concatenate(parts)
    item = np.repeat(np.arange(len(order)), [len(p) for p in parts])
    return take, item


def test_point_metrics_agree_with_sklearn_and_scipy():
    from scipy.stats import pearsonr, spearmanr
    from sklearn.metrics import f1_score, r2_score, roc_auc_score

    rows = split().labelled()
    scores, labels = rows.scores[0], rows.labels
    assert metrics.auroc(scores, labels) == pytest.approx(roc_auc_score(labels, scores))
    assert metrics.binary_f1(scores, labels) == pytest.approx(f1_score(labels, scores > 0))
    values = np.round(rng.normal(size=200), 1)
    other = np.round(values + rng.normal(size=200), 1)
    assert metrics.spearman(other, values) == pytest.approx(spearmanr(other, values).statistic)
    assert metrics.pearson(other, values) == pytest.approx(pearsonr(other, values).statistic)
    assert metrics.r_squared(other, values) == pytest.approx(r2_score(values, other))
    logits, truth = rng.normal(size=(300, 7)), rng.integers(0, 5, 300)
    expected = f1_score(truth, logits.argmax(1), labels=range(5), average="macro")
    assert metrics.macro_f1(logits, truth) == pytest.approx(expected)
    seen = f1_score(truth, logits.argmax(1), average="macro")
    assert metrics.macro_f1(logits, truth, classes="seen") == pytest.approx(seen)


def test_labels_of_nan_do_not_count():
    scores, labels = np.array([3.0, 1.0, 2.0, 9.0]), np.array([1.0, 0.0, 1.0, np.nan])
    for metric in (metrics.auroc, metrics.spearman, metrics.pearson, metrics.r_squared):
        assert metric(scores, labels) == metric(scores[:3], labels[:3])


@pytest.mark.parametrize("labels", [np.zeros(4), np.ones(4), np.full(4, np.nan), np.zeros(0)])
def test_one_class_gives_nan_and_never_0(labels):
    scores = np.arange(len(labels), dtype=float)
    for metric in (metrics.auroc, metrics.spearman, metrics.pearson, metrics.r_squared):
        assert np.isnan(metric(scores, labels))
    assert np.isnan(metrics.macro_f1(np.eye(4)[: len(labels)], labels))


def test_a_constant_predictor_is_at_chance_or_undefined():
    labels = np.array([0.0, 1, 1, 0, 0])
    assert metrics.auroc(np.ones(5), labels) == 0.5
    assert np.isnan(metrics.spearman(np.ones(5), np.arange(5)))
    assert metrics.macro_f1(np.tile([1.0, 0.0], (5, 1)), labels) == pytest.approx((6 / 8 + 0) / 2)


def test_scores_that_are_not_numbers_give_nan():
    assert np.isnan(metrics.auroc(np.array([np.nan, 1.0]), np.array([0, 1])))
    assert np.isnan(metrics.spearman(np.array([np.inf, 1.0]), np.array([0, 1])))


def published_auroc(scores, labels, item):
    """The published protocol written out: pairs counted in batches of eight, no pairs give 0."""
    total, batches = 0.0, 0
    for start in range(0, int(item.max()) + 1, 8):
        inside = (item >= start) & (item < start + 8) & ~np.isnan(labels)
        positive, negative = scores[inside & (labels == 1)], scores[inside & (labels == 0)]
        batches += 1
        pairs = [(p > n) + 0.5 * (p == n) for p in positive for n in negative]
        total += sum(pairs) / len(pairs) if pairs else 0.0
    return total / batches


def test_published_auroc_is_the_mean_over_batches_of_eight_with_0_for_one_class():
    rows = split(21)
    labels = rows.labels.copy()
    labels[(rows.item >= 8) & (rows.item < 16)] = 0
    for scores in rows.scores:
        value = metrics.batch_mean("auroc", scores, labels, rows.item, single_class="zero")
        assert value == pytest.approx(published_auroc(scores, labels, rows.item))
        # Without the batch of one class, the same sum is over one batch less.
        kept = metrics.batch_mean("auroc", scores, labels, rows.item)
        assert kept == pytest.approx(value * 3 / 2)


def test_published_macro_f1_is_the_mean_over_batches_of_64():
    logits, truth = rng.normal(size=(150, 45)), rng.integers(0, 45, 150)
    values = []
    for start in range(0, 150, 64):
        called, true = logits[start : start + 64].argmax(1), truth[start : start + 64]
        each = []
        for k in sorted(set(called) | set(true)):
            hit = np.sum((called == k) & (true == k))
            each.append(2 * hit / (np.sum(called == k) + np.sum(true == k)))
        values.append(np.mean(each))
    for single in ("nan", "zero"):
        result = metrics.batch_mean(
            "macro_f1", logits, truth.astype(float), np.arange(150), single_class=single
        )
        assert result == pytest.approx(np.mean(values))


def test_published_spearman_is_pooled():
    rows = split()
    pooled = metrics.spearman(rows.scores[0], rows.labels)
    assert metrics.batch_mean("spearman", rows.scores[0], rows.labels, rows.item) == pooled


def brute_force(rows, metric, modes, resamples):
    """Bootstrap by copying rows; the mean over seeds of each mode in each resample."""
    rows = rows.labelled()
    draws = resampling.draw(rows.proteins, resamples, 0)
    out = {mode: [] for mode in modes}
    for order in draws.orders():
        take, item = weighted_copy(rows, order)
        for mode in modes:
            out[mode].append(
                np.mean([modes[mode](s[take], rows.labels[take], item) for s in rows.scores])
            )
    return out


def check_intervals(rows, metric, modes, resamples=60):
    found = intervals.evaluate(rows, metric, resamples=resamples)
    for mode, samples in brute_force(rows, metric, modes, resamples).items():
        low, high = np.nanquantile(samples, [0.025, 0.975])
        assert found[mode].low == pytest.approx(low, abs=1e-6), mode
        assert found[mode].high == pytest.approx(high, abs=1e-6), mode
    return found


def test_auroc_intervals_equal_a_bootstrap_that_copies_rows():
    rows = split(26)
    modes = {
        "pooled": lambda s, y, i: metrics.auroc(s, y),
        "per_protein": lambda s, y, i: np.nanmean(metrics.item_values(metrics.auroc, s, y, i)),
        "batch_mean": lambda s, y, i: metrics.batch_mean("auroc", s, y, i),
        "batch_mean_published": lambda s, y, i: metrics.batch_mean(
            "auroc", s, y, i, single_class="zero"
        ),
    }
    found = check_intervals(rows, "auroc", modes)
    expected = [metrics.auroc(s, rows.labels) for s in rows.scores]
    assert found["pooled"].value == pytest.approx(np.mean(expected))
    assert found["pooled"].per_seed == pytest.approx(tuple(expected))
    assert found["pooled"].spread == pytest.approx(np.std(expected, ddof=1))
    assert found["pooled"].low < found["pooled"].value < found["pooled"].high


def test_regression_intervals_equal_a_bootstrap_that_copies_rows():
    rows = split(20)
    labels = np.round(rows.labels + rng.normal(size=len(rows.labels)), 1).astype(np.float32)
    rows = Predictions(labels=labels, scores=rows.scores, item=rows.item, proteins=rows.proteins)
    modes = {
        "pooled": lambda s, y, i: metrics.spearman(s, y),
        "batch_mean_published": lambda s, y, i: metrics.spearman(s, y),
        "pearson": lambda s, y, i: metrics.pearson(s, y),
        "r_squared": lambda s, y, i: metrics.r_squared(s, y),
        "per_protein": lambda s, y, i: np.nanmean(metrics.item_values(metrics.spearman, s, y, i)),
    }
    check_intervals(rows, "spearman", modes)


def test_f1_intervals_equal_a_bootstrap_that_copies_rows():
    labels = rng.integers(0, 6, 150).astype(np.float32)
    scores = rng.normal(size=(2, 150, 8)).astype(np.float32)
    scores[:, np.arange(150), labels.astype(int)] += 1
    names = tuple(f"chain{i // 2}" for i in range(150))
    rows = Predictions(labels=labels, scores=scores, item=np.arange(150), proteins=names)
    modes = {
        "pooled": lambda s, y, i: metrics.macro_f1(s, y),
        "batch_mean": lambda s, y, i: metrics.batch_mean("macro_f1", s, y, i),
        "batch_mean_published": lambda s, y, i: metrics.batch_mean(
            "macro_f1", s, y, i, single_class="zero"
        ),
    }
    check_intervals(rows, "macro_f1", modes)


def test_items_of_one_protein_are_drawn_together():
    rows = split(12)
    pairs = tuple(f"chain{i // 2}" for i in range(12))
    paired = Predictions(labels=rows.labels, scores=rows.scores, item=rows.item, proteins=pairs)
    weights = resampling.draw(paired.proteins, 20, 0).weights
    np.testing.assert_array_equal(weights[:, ::2], weights[:, 1::2])
    assert (weights.sum(1) == 12).all()
    modes = {"pooled": lambda s, y, i: metrics.auroc(s, y)}
    check_intervals(paired, "auroc", modes)


def test_a_split_of_one_class_says_so_and_json_holds_it():
    rows = split(6)
    flat = Predictions(
        labels=np.zeros_like(rows.labels),
        scores=rows.scores,
        item=rows.item,
        proteins=rows.proteins,
    )
    found = intervals.evaluate(flat, "auroc", resamples=20)
    assert np.isnan(found["pooled"].value)
    assert "one value" in found["pooled"].note
    assert found["pooled"].to_mapping()["value"] is None
    # The published protocol calls it 0.
    assert found["batch_mean_published"].value == 0


def test_no_labels_at_all_is_no_crash():
    rows = split(6)
    nothing = Predictions(
        labels=np.full_like(rows.labels, np.nan),
        scores=rows.scores,
        item=rows.item,
        proteins=rows.proteins,
    )
    assert intervals.evaluate(nothing, "auroc")["pooled"].note == "no labelled residue"


def test_predictions_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="rows"):
        Predictions(
            labels=np.zeros(3, np.float32),
            scores=np.zeros((1, 4), np.float32),
            item=np.zeros(3, np.int64),
            proteins=("a",),
        )
    with pytest.raises(ValueError, match="expected one of auroc"):
        intervals.evaluate(split(), "accuracy")
