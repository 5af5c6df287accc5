"""How well can a small network read a task's labels from a tokenizer's codes?"""

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from structtokenbench.intervals import evaluate
from structtokenbench.items import Problem
from structtokenbench.metrics import Predictions
from structtokenbench.probe.inputs import ProbeItem, Rows, TaskLike, lay_out
from structtokenbench.probe.result import ProbeResult, SplitScore
from structtokenbench.probe.settings import ProbeSettings
from structtokenbench.probe.training import Progress, Trained, Trainer, predict, usable_items
from structtokenbench.probe.wide_tables import narrowed


def run_probe(
    task: TaskLike,
    items: Mapping[str, Sequence[ProbeItem]],
    table: npt.NDArray[np.float32] | None,
    settings: ProbeSettings | None = None,
    *,
    train: str | None = None,
    validation: str | None = None,
    progress: Progress | None = None,
) -> ProbeResult:
    """
    Train a probe on the codes of a task and score its test splits.

    All learning rates and seeds are trained as one batched model that sees the same batches. The
    rate is chosen by the metric on the validation split, averaged over seeds; test splits are
    scored with the chosen rate only, each seed on its own.

    Parameters
    ----------
    task : TaskLike
        What is predicted.
    items : mapping of str to sequence of ProbeItem
        Items by split, in file order. Every split but those for training and validation is a test
        split.
    table : ndarray, shape=(code, dim), dtype=float32, or None
        Frozen vector of each code. None for items of features, or to give ids a one-hot code.
    settings : ProbeSettings, optional
        How to train; the preset ``"fast"`` if not given.
    train, validation : str, optional
        Splits to train and select on, if not those of the task (for instance ``"local_train"``).
    progress : callable, optional
        Called with the step and the number of steps at every evaluation.

    Returns
    -------
    ProbeResult
        Scores with intervals, and the predictions on the test splits. The same settings give the
        same result, whatever the number of threads, up to rounding.

    Raises
    ------
    ValueError
        If the training or validation split has no usable item, if an id is outside the table, if
        labels do not fit the task, or if the task is one that the published head has no form for
        (several outputs per residue).
    """
    settings = settings or ProbeSettings()
    train, validation = train or task.train, validation or task.validation
    kept, left_out = _within_length(items, settings.max_residues)
    rows = {
        split: lay_out(some, level=task.level, where=f"task {task.name}, split {split}")
        for split, some in kept.items()
    }
    _check(task, rows, train, validation)
    codes, dim = _codes(task, rows, table, settings, train)
    trainer = Trainer(task, codes, settings, dim)
    trained = trainer.fit(rows[train], rows[validation], progress)
    rate = choose_rate(trained.values)
    seeds = len(settings.seeds)
    best = trained.parameters.take(torch.arange(rate * seeds, (rate + 1) * seeds))
    predictions = {}
    for split, one in rows.items():
        if split not in (train, validation):
            outputs = predict(task, best, one, codes, settings.device)
            predictions[split] = _predictions(task, one, outputs)
    return ProbeResult(
        task=task.name,
        metric=task.metric,
        criterion=trained.criterion,
        learning_rate=settings.learning_rates[rate],
        validation=_validation(trained, settings),
        best_steps=tuple(int(step) for step in trained.best_step[rate]),
        steps=trained.steps,
        train_items=len(usable_items(rows[train], task.level)),
        splits={split: _score(task, rows[split], p, settings) for split, p in predictions.items()},
        left_out=tuple(left_out),
        settings=settings.to_mapping(),
        predictions=predictions,
    )


def choose_rate(values: npt.NDArray[np.float64]) -> int:
    """
    Choose the learning rate whose validation metric is best on average over seeds.

    Parameters
    ----------
    values : ndarray, shape=(rate, seed), dtype=float64
        The metric; minus infinity for a seed that diverged, which rules the rate out.

    Returns
    -------
    int
        Index of the rate; the first of equal ones.
    """
    return int(np.argmax(np.where(np.isnan(values), -np.inf, values).mean(1)))


def _within_length(
    items: Mapping[str, Sequence[ProbeItem]], longest: int | None
) -> tuple[dict[str, list[ProbeItem]], list[Problem]]:
    kept: dict[str, list[ProbeItem]] = {}
    left_out = []
    for split, some in items.items():
        kept[split] = []
        for item in some:
            if longest is None or len(item.mask) <= longest:
                kept[split].append(item)
                continue
            reason = f"{split}: {len(item.mask)} residues, more than max_residues {longest}"
            left_out.append(Problem(id=item.id, reason=reason))
    return kept, left_out


def _check(task: TaskLike, rows: Mapping[str, Rows], train: str, validation: str) -> None:
    if task.level == "residue" and task.num_outputs != 1:
        msg = f"task {task.name}: {task.num_outputs} outputs per residue; the head gives one"
        raise ValueError(msg)
    for split in (train, validation):
        if split not in rows or not len(usable_items(rows[split], task.level)):
            msg = (
                f"task {task.name}: split {split!r} has no item with tokens and labels; "
                f"got splits {', '.join(rows) or '(none)'}"
            )
            raise ValueError(msg)
    for split, one in rows.items():
        labels = one.labels[np.isfinite(one.labels)]
        classes = max(task.num_outputs, 2)
        whole = (labels == np.floor(labels)) & (labels >= 0) & (labels < classes)
        if task.target != "regression" and not whole.all():
            msg = (
                f"task {task.name}, split {split}: label {labels[~whole][0]} is none of the "
                f"classes 0 to {classes - 1}"
            )
            raise ValueError(msg)


def _codes(
    task: TaskLike,
    rows: Mapping[str, Rows],
    table: npt.NDArray[np.float32] | None,
    settings: ProbeSettings,
    train: str,
) -> tuple[Tensor | None, int]:
    """Frozen vectors of the ids, and their length; no vectors for features."""
    filled = {split: one.values for split, one in rows.items() if len(one.values)}
    widths = {values.shape[1:] for values in filled.values()}
    if len(widths) != 1:
        msg = f"task {task.name}: splits have rows of different shapes, {sorted(widths)}"
        raise ValueError(msg)
    width = widths.pop()
    if width:
        return None, width[0]
    lowest = min(int(values.min()) for values in filled.values())
    highest = max(int(values.max()) for values in filled.values())
    vectors = np.eye(highest + 1, dtype=np.float32) if table is None else table
    if lowest < 0 or highest >= len(vectors):
        msg = (
            f"task {task.name}: ids from {lowest} to {highest}, but the code table has "
            f"{len(vectors)} rows; expected ids from 0 to {len(vectors) - 1}"
        )
        raise ValueError(msg)
    if settings.table_dims is not None:
        vectors = narrowed(vectors, rows[train].values.astype(np.int64), settings.table_dims)
    codes = torch.tensor(np.asarray(vectors, np.float32), device=settings.device)
    if settings.normalize_table:
        codes = codes / codes.square().mean().sqrt().clamp(min=1e-12)
    return codes, codes.shape[1]


def _predictions(task: TaskLike, rows: Rows, outputs: npt.NDArray[np.float32]) -> Predictions:
    per_residue = task.level == "residue"
    return Predictions(
        labels=rows.labels,
        scores=outputs if task.target == "classes" else outputs[..., 0],
        item=rows.item if per_residue else np.arange(len(rows.proteins)),
        proteins=rows.proteins,
    )


def _score(
    task: TaskLike, rows: Rows, predictions: Predictions, settings: ProbeSettings
) -> SplitScore:
    estimates = evaluate(
        predictions,
        task.metric,
        resamples=settings.resamples,
        confidence=settings.confidence,
    )
    return SplitScore(
        estimates=estimates,
        items=len(rows.proteins),
        proteins=len(set(rows.proteins)),
        labelled=rows.labelled,
        scored=int(np.isfinite(predictions.labels).sum()),
        note=estimates["pooled"].note,
    )


def _validation(trained: Trained, settings: ProbeSettings) -> dict[float, tuple[float, ...]]:
    rates = zip(settings.learning_rates, trained.values, strict=True)
    return {rate: tuple(float(value) for value in values) for rate, values in rates}
