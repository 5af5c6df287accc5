"""In which order do steps, looks at the model and checkpoints of a training come?"""

import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from provq_protein.quantize.distributed import is_first, on_first
from provq_protein.runs.log import MetricsLog
from provq_protein.runs.prefetch import Prefetch
from provq_protein.runs.processes import deadline_passed

Event = dict[str, Any]
Batch = TypeVar("Batch")

# Names in a run folder.
CHECKPOINT = "checkpoint"
MODEL = "model"
METRICS = "metrics.jsonl"


class TrainingLoop(ABC, Generic[Batch]):
    """
    Go through the steps of a training that can be cut off anywhere; what a step is, others say.

    Parameters
    ----------
    steps : int
        Steps of the whole training.
    validate_every : int
        Steps between looks at the model; there is one after the last step too.
    checkpoint_every : int
        Steps between checkpoints; there is one wherever the loop stops.

    Attributes
    ----------
    steps : int
        As given.
    step : int
        Steps done so far.
    trained_seconds : float
        What they took, in all processes that worked on the run one after the other.
    amendments : list of dict
        Settings that were changed on the way, and at which step; JSON values.
    prefetch : bool
        Build batches in a thread of their own; results are the same without.

    Notes
    -----
    Under ``torch.distributed`` every process goes through the same loop; the first one alone
    validates and writes.
    """

    def __init__(self, *, steps: int, validate_every: int, checkpoint_every: int) -> None:
        self.step = 0
        self.trained_seconds = 0.0
        self.amendments: list[dict[str, Any]] = []
        self.prefetch = True
        self.steps = steps
        self._validate_every = validate_every
        self._checkpoint_every = checkpoint_every
        self._log: MetricsLog | None = None

    def run(
        self,
        *,
        on_event: Callable[[Event], None] | None = None,
        stop_at: int | None = None,
        seconds: float | None = None,
    ) -> None:
        """
        Train to the end, or to a step.

        Parameters
        ----------
        on_event : callable, optional
            Called with every logged event, in the first process.
        stop_at : int, optional
            Stop before this step, after a checkpoint; for tests and for runs in parts.
        seconds : float, optional
            Stop after the step that ends later than this, after a checkpoint.

        Raises
        ------
        FloatingPointError
            If the run diverges. The last checkpoint is from before.
        """
        last = self.steps if stop_at is None else min(stop_at, self.steps)
        deadline = None if seconds is None else time.perf_counter() + seconds
        with Prefetch(self._batch, last=last, enabled=self.prefetch) as batches:
            while self.step < last:
                started = time.perf_counter()
                self._begin_stage()
                event = self._train_step(batches.batch(self.step))
                elapsed = time.perf_counter() - started
                self.trained_seconds += elapsed
                event["seconds"] = round(elapsed, 4)
                self._report(event, on_event)
                self.step += 1
                if deadline_passed(deadline):
                    last = self.step
                self._look_at_itself(on_event, last=last)
        if self.step == self.steps:
            on_first(self._finish)

    def _look_at_itself(self, on_event: Callable[[Event], None] | None, *, last: int) -> None:
        """Validate and write a checkpoint where they are due."""
        if self.step % self._validate_every == 0 or self.step == self.steps:
            on_first(lambda: self._report(self._validate(), on_event))
        if self.step % self._checkpoint_every == 0 or self.step == last:
            self.save()

    def _report(self, event: Event, on_event: Callable[[Event], None] | None) -> None:
        if self._log is None:
            return
        self._log.write(**event)
        if on_event is not None:
            on_event(event)

    def _go_on(self, document: Mapping[str, Any], changes: Mapping[str, tuple[Any, Any]]) -> None:
        """Take up the count of a checkpoint, whose settings differ from these by `changes`."""
        self.step = int(document["step"])
        self.trained_seconds = float(document["trained_seconds"])
        self.amendments = list(document.get("amendments", []))
        if changes:
            was_is = {key: list(values) for key, values in changes.items()}
            self.amendments.append({"step": self.step, "changes": was_is})

    def _open_log(self, folder: Path) -> None:
        """Go on with the metrics of a run folder; to be called when `step` is known."""
        if is_first():
            self._log = MetricsLog(folder / METRICS, resume_step=self.step)

    def _begin_stage(self) -> None:
        """Do what is due before a step, once per stage."""

    @abstractmethod
    def _batch(self, step: int) -> Batch:
        """Return this process's part of a batch; also called by the thread that prepares them."""

    @abstractmethod
    def _train_step(self, batch: Batch) -> Event:
        """Change the weights by one batch, and say what happened."""

    @abstractmethod
    def _validate(self) -> Event:
        """Look at the model, in the first process."""

    @abstractmethod
    def save(self) -> None:
        """Write a checkpoint, atomically: the last one stays until the new one is whole."""

    @abstractmethod
    def _finish(self) -> None:
        """Write the finished model, in the first process."""
