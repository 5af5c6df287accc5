"""What is known of a tokenizer's codes after a probe was trained on them?"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from structtokenbench.intervals import Estimate, finite_or_none
from structtokenbench.items import Problem
from structtokenbench.metrics import Predictions


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class SplitScore:
    """
    Scores of one test split.

    Parameters
    ----------
    estimates : mapping of str to Estimate
        By mode; ``"pooled"`` is the primary one. See `intervals.evaluate`.
    items : int
        Items of the split.
    proteins : int
        Different proteins among them.
    labelled : int
        Labelled residues, or items for a task per chain.
    scored : int
        Those that have a token. Metrics know only these.
    note : str
        Why the primary metric is missing; empty otherwise.
    """

    estimates: Mapping[str, Estimate]
    items: int
    proteins: int
    labelled: int
    scored: int
    note: str = ""

    @property
    def coverage(self) -> float:
        """
        Fraction of the labelled residues that were scored.

        Returns
        -------
        float
            *NaN* for a split without labels.
        """
        return self.scored / self.labelled if self.labelled else float("nan")

    def to_mapping(self) -> dict[str, object]:
        """
        Give what JSON can hold.

        Returns
        -------
        dict
            All fields, and the coverage.
        """
        return {
            "estimates": {mode: value.to_mapping() for mode, value in self.estimates.items()},
            "items": self.items,
            "proteins": self.proteins,
            "labelled": self.labelled,
            "scored": self.scored,
            "coverage": finite_or_none(self.coverage),
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ProbeResult:
    """
    One task probed with one tokenizer.

    Parameters
    ----------
    task : str
        Name of the task.
    metric : str
        Its metric.
    criterion : str
        What chose the checkpoint on validation: the metric, ``"f1"``, or ``"loss"`` where the
        validation split has one class only.
    learning_rate : float
        The rate with the best validation metric, averaged over seeds.
    validation : mapping of float to tuple of float
        That metric for each rate and seed, at the checkpoint.
    best_steps : tuple of int
        Step of the checkpoint for each seed, at the chosen rate.
    steps : int
        Steps trained.
    train_items : int
        Items trained on.
    splits : mapping of str to SplitScore
        The test splits.
    left_out : tuple of Problem
        Items of any split that the settings exclude.
    settings : mapping of str to object
        The settings, as JSON holds them.
    predictions : mapping of str to Predictions
        Outputs of each seed on the test splits, not part of `to_mapping`.
    """

    task: str
    metric: str
    criterion: str
    learning_rate: float
    validation: Mapping[float, tuple[float, ...]]
    best_steps: tuple[int, ...]
    steps: int
    train_items: int
    splits: Mapping[str, SplitScore]
    left_out: tuple[Problem, ...]
    settings: Mapping[str, object]
    predictions: Mapping[str, Predictions] = field(default_factory=dict)

    def to_mapping(self) -> dict[str, object]:
        """
        Give what JSON can hold.

        Returns
        -------
        dict
            All fields but the predictions.
        """
        return {
            "task": self.task,
            "metric": self.metric,
            "criterion": self.criterion,
            "learning_rate": self.learning_rate,
            "validation": [
                {
                    "learning_rate": rate,
                    "per_seed": [finite_or_none(value) for value in values],
                    "mean": finite_or_none(float(np.mean(values))),
                }
                for rate, values in self.validation.items()
            ],
            "best_steps": list(self.best_steps),
            "steps": self.steps,
            "train_items": self.train_items,
            "splits": {name: split.to_mapping() for name, split in self.splits.items()},
            "left_out": [{"id": one.id, "reason": one.reason} for one in self.left_out],
            "settings": dict(self.settings),
        }
