"""How are all learning rates and seeds of a probe trained together, and which weights are kept?"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from structtokenbench import metrics
from structtokenbench.probe.fused import DropoutPool, fused_gradients, fused_outputs
from structtokenbench.probe.head import (
    HeadParameters,
    embed,
    initial_parameters,
    perceptron,
    pool,
)
from structtokenbench.probe.inputs import Rows, TaskLike
from structtokenbench.probe.losses import replica_losses, row_weights
from structtokenbench.probe.optimizer import ReplicaAdamW, rate_factor
from structtokenbench.probe.settings import ProbeSettings

Progress = Callable[[int, int], None]

_EVALUATION_ROWS = 4096


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Trained:
    """
    The best weights of every replica.

    Parameters
    ----------
    parameters : HeadParameters
        Weights at the best evaluation; replicas ordered by learning rate, then by seed.
    criterion : str
        What was maximised on the validation split.
    scores : ndarray, shape=(rate, seed), dtype=float64
        The criterion at the best evaluation; minus infinity for a replica that diverged.
    values : ndarray, shape=(rate, seed), dtype=float64
        The metric of the task there, by which the rate is chosen.
    best_step : ndarray, shape=(rate, seed), dtype=int64
        The step of the best evaluation.
    steps : int
        Steps taken.
    """

    parameters: HeadParameters
    criterion: str
    scores: npt.NDArray[np.float64]
    values: npt.NDArray[np.float64]
    best_step: npt.NDArray[np.int64]
    steps: int


class Trainer:
    """
    A probe of one task over the tokens of its training and validation splits.

    Parameters
    ----------
    task : TaskLike
        What is predicted.
    table : Tensor, shape=(code, dim), or None
        Frozen codes; None where rows are features.
    settings : ProbeSettings
        How to train.
    dim : int
        Length of a code or feature vector.
    """

    def __init__(
        self, task: TaskLike, table: Tensor | None, settings: ProbeSettings, dim: int
    ) -> None:
        self._task = task
        self._table = table
        self._settings = settings
        self._parameters = initial_parameters(
            settings.seeds,
            len(settings.learning_rates),
            dim=dim,
            positions=settings.positions,
            hidden=settings.hidden,
            outputs=task.num_outputs,
        )
        for name, value in self._parameters.named().items():
            setattr(self._parameters, name, value.to(settings.device).requires_grad_())
        self._generators = [torch.Generator().manual_seed(seed) for seed in settings.seeds]
        self._pool = None
        if settings.dropout and task.level == "residue":
            self._pool = DropoutPool(
                settings.dropout,
                settings.hidden,
                settings.seeds,
                pool_seed=settings.data_seed,
                device=settings.device,
            )

    def fit(self, train: Rows, validation: Rows, progress: Progress | None = None) -> Trained:
        """
        Train all replicas and keep the weights that score best on the validation split.

        Parameters
        ----------
        train, validation : Rows
            Rows of the splits.
        progress : callable, optional
            Called with the step and the number of steps at every evaluation.

        Returns
        -------
        Trained
            The best weights and their scores.
        """
        settings, level = self._settings, self._task.level
        usable = usable_items(train, level)
        steps = settings.num_steps(len(usable), level)
        warmup = settings.warmup_steps
        warmup = max(round(0.05 * steps), 1) if warmup is None else min(warmup, steps)
        rates = torch.tensor(settings.learning_rates).repeat_interleave(len(settings.seeds))
        optimizer = ReplicaAdamW(
            self._parameters.named(),
            rates.to(settings.device),
            weight_decay=settings.weight_decay,
            clip=settings.clip,
        )
        evaluations = settings.evaluation_steps(len(usable), level)
        keeper = _Keeper(self._task, self._settings, validation)
        source = _Source(train, self._table, level, settings.device)
        batches = self._batches(usable)
        for step in range(1, steps + 1):
            factor = rate_factor(
                step, steps=steps, warmup=warmup, plateau=settings.plateau, floor=settings.floor
            )
            optimizer.step(self._gradients(source, next(batches)), factor)
            if step in evaluations:
                outputs = predict(
                    self._task, self._parameters, validation, self._table, settings.device
                )
                keeper.offer(step, self._parameters, outputs)
                if progress is not None:
                    progress(step, steps)
        return keeper.trained(steps)

    def _batches(self, usable: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
        size = self._settings.batch(self._task.level)
        draw = np.random.default_rng(self._settings.data_seed)
        whole = len(usable) // size * size
        end = whole if self._settings.drop_last and whole else len(usable)
        while True:
            order = draw.permutation(usable)
            for start in range(0, end, size):
                yield order[start : start + size]

    def _gradients(self, source: "_Source", items: npt.NDArray[np.int64]) -> dict[str, Tensor]:
        codes, position, item, labels = source.batch(items)
        parameters = self._parameters
        for value in parameters.named().values():
            value.grad = None
        rows = self._drop(embed(parameters, codes, position))
        known: dict[str, Tensor] = {}
        if self._task.level == "residue":
            fused = fused_gradients(
                parameters,
                rows.detach(),
                labels,
                row_weights(labels, self._task.target),
                binary=self._task.target == "binary",
                dropout=self._pool,
            )
            rows.backward(fused.inputs)
            known = fused.parameters
        else:
            pooled = pool(rows, item, len(items))
            mask = self._mask(len(items), self._settings.hidden)
            outputs = perceptron(parameters, pooled, mask)
            replica_losses(outputs, labels, self._task.target).sum().backward()
        gradients = dict(known)
        for name, value in parameters.named().items():
            if value.grad is not None:
                gradients[name] = value.grad
        return gradients

    def _drop(self, rows: Tensor) -> Tensor:
        mask = self._mask(rows.shape[1], rows.shape[2])
        return rows if mask is None else rows * mask

    def _mask(self, rows: int, columns: int) -> Tensor | None:
        """Draw dropout factors for each seed, repeated for the learning rates."""
        rate = self._settings.dropout
        if not rate:
            return None
        masks = [
            torch.empty(rows, columns).bernoulli_(1 - rate, generator=generator)
            for generator in self._generators
        ]
        stacked = torch.stack(masks).to(self._settings.device) / (1 - rate)
        return stacked.repeat(len(self._settings.learning_rates), 1, 1)


class _Source:
    """Rows of a split on the device, gathered by item."""

    def __init__(self, rows: Rows, table: Tensor | None, level: str, device: str) -> None:
        self._values = torch.from_numpy(rows.values).to(device)
        self._position = torch.from_numpy(rows.position).to(device)
        self._labels = torch.from_numpy(rows.labels).to(device)
        self._offsets = rows.offsets
        self._table = table
        self._level = level
        self._device = device

    def batch(self, items: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Codes and positions of the rows, their items counted from 0, and the labels."""
        starts, ends = self._offsets[items], self._offsets[items + 1]
        index = np.concatenate([np.arange(s, e) for s, e in zip(starts, ends, strict=True)])
        rows = torch.from_numpy(index).to(self._device)
        owner = torch.from_numpy(np.repeat(np.arange(len(items)), ends - starts))
        picked = rows if self._level == "residue" else torch.from_numpy(items).to(self._device)
        values = self._values[rows]
        codes = values if self._table is None else self._table[values]
        return codes, self._position[rows], owner.to(self._device), self._labels[picked]


class _Keeper:
    """Scores replicas on the validation split and copies the weights that are best so far."""

    def __init__(self, task: TaskLike, settings: ProbeSettings, validation: Rows) -> None:
        self._task = task
        self._rows = validation
        self._item = (
            validation.item if task.level == "residue" else np.arange(len(validation.proteins))
        )
        shape = (len(settings.learning_rates), len(settings.seeds))
        self._scores = np.full(shape, -np.inf)
        self._values = np.full(shape, -np.inf)
        self._steps = np.zeros(shape, np.int64)
        self._best: HeadParameters | None = None
        labels = validation.labels[np.isfinite(validation.labels)]
        self.criterion: str = task.metric
        if len(np.unique(labels)) < 2:
            self.criterion = "loss"
        elif settings.selection == "f1" and task.target == "binary":
            self.criterion = "f1"

    def offer(self, step: int, parameters: HeadParameters, outputs: npt.NDArray) -> None:
        """Compare the replicas after a step with the best so far."""
        values = np.array([self._value(one) for one in outputs]).reshape(self._scores.shape)
        scores = values
        if self.criterion == "f1":
            scores = np.array([self._f1(one) for one in outputs]).reshape(self._scores.shape)
        finite = np.isfinite(outputs).reshape(*self._scores.shape, -1).all(-1)
        scores = np.where(finite & np.isfinite(scores), scores, -np.inf)
        better = scores > self._scores
        if self._best is None:
            self._best = parameters.take(torch.arange(better.size))
        chosen = torch.from_numpy(np.flatnonzero(better)).to(self._best.gain.device)
        for name, value in self._best.named().items():
            value[chosen] = getattr(parameters, name).detach()[chosen]
        self._scores[better], self._values[better] = scores[better], values[better]
        self._steps[better] = step

    def trained(self, steps: int) -> Trained:
        """Give what was kept."""
        if self._best is None:
            msg = "the probe was never evaluated on the validation split"
            raise RuntimeError(msg)
        return Trained(
            parameters=self._best,
            criterion=self.criterion,
            scores=self._scores,
            values=self._values,
            best_step=self._steps,
            steps=steps,
        )

    def _value(self, outputs: npt.NDArray) -> float:
        labels = self._rows.labels
        if self.criterion == "loss":
            kept = np.isfinite(labels)
            loss = replica_losses(
                torch.from_numpy(outputs[None, kept]),
                torch.from_numpy(labels[kept]),
                self._task.target,
            )
            return -float(loss)
        if self._task.metric == "macro_f1":
            return metrics.macro_f1(outputs, labels)
        function = metrics.auroc if self._task.metric == "auroc" else metrics.spearman
        return function(outputs[:, 0], labels)

    def _f1(self, outputs: npt.NDArray) -> float:
        batches = self._item // metrics.BATCH_SIZES["auroc"]
        each = metrics.item_values(metrics.binary_f1, outputs[:, 0], self._rows.labels, batches)
        return metrics.finite_mean(each)


def usable_items(rows: Rows, level: str) -> npt.NDArray[np.int64]:
    """
    Return the items that can be trained on.

    Parameters
    ----------
    rows : Rows
        A split.
    level : {"residue", "chain"}
        What a label belongs to.

    Returns
    -------
    ndarray, shape=(any,), dtype=int64
        Items with rows, and with a label.
    """
    usable = np.diff(rows.offsets) > 0
    if level == "chain":
        usable &= np.isfinite(rows.labels)
    return np.flatnonzero(usable)


@torch.no_grad()
def predict(
    task: TaskLike,
    parameters: HeadParameters,
    rows: Rows,
    table: Tensor | None,
    device: str = "cpu",
) -> npt.NDArray[np.float32]:
    """
    Apply all replicas to a split.

    Parameters
    ----------
    task : TaskLike
        What is predicted.
    parameters : HeadParameters
        Weights.
    rows : Rows
        The split.
    table : Tensor, shape=(code, dim), or None
        Frozen codes; None where rows are features.
    device : str, optional
        Where the weights are.

    Returns
    -------
    ndarray, shape=(replica, row, output), dtype=float32
        Logits or predicted values; per item for a task per chain.
    """
    outputs: list[Tensor] = []
    source = _Source(rows, table, task.level, device)
    for items in _runs(rows.offsets):
        codes, position, item, _ = source.batch(items)
        embedded = embed(parameters, codes, position)
        if task.level == "residue":
            outputs.append(fused_outputs(parameters, embedded)[..., None])
        else:
            outputs.append(perceptron(parameters, pool(embedded, item, len(items))))
    if not outputs:
        return np.zeros((parameters.gain.shape[0], 0, task.num_outputs), np.float32)
    return torch.cat(outputs, 1).cpu().numpy()


def _runs(offsets: npt.NDArray[np.int64]) -> Iterator[npt.NDArray[np.int64]]:
    """Consecutive items of about 4096 rows together."""
    blocks = offsets[:-1] // _EVALUATION_ROWS
    edges = np.flatnonzero(np.diff(blocks)) + 1
    for part in np.split(np.arange(len(blocks)), edges):
        if len(part):
            yield part
