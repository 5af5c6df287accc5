"""How does an autoregressive model go from random weights to one that draws images?"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.quantize.distributed import on_first, world_size
from provq_protein.runs import checkpoint
from provq_protein.runs.config import to_mapping
from provq_protein.runs.loop import CHECKPOINT, MODEL, Event, TrainingLoop
from provq_protein.runs.moments import optimizer_tensors, restore_optimizer
from provq_protein.runs.processes import rank
from provq_protein.runs.resuming import STATE, check_settings, find_state, surroundings
from provq_vision.codes.code_set import CodeSet
from provq_vision.codes.plan import CodeBatch, CodePlan
from provq_vision.generation.folder import TrainedGpt
from provq_vision.generation.transformer import Gpt
from provq_vision.gpt_training.config import GptTrainingConfig
from provq_vision.gpt_training.optimizer import make_optimizer, set_learning_rate
from provq_vision.gpt_training.step import compute_gradients
from provq_vision.gpt_training.validation import mean_loss

CPU = torch.device("cpu")
_OPTIMIZER = "optimizer.safetensors"


@dataclass(frozen=True, eq=False, slots=True)
class TrainingCodes:
    """
    The tokens of a run.

    Parameters
    ----------
    training : CodeSet
        What the model learns.
    validation : CodeSet, optional
        What it predicts now and then.

    Raises
    ------
    ConfigError
        If the two are no tokens of one tokenizer and the same classes.
    """

    training: CodeSet
    validation: CodeSet | None = None

    def __post_init__(self) -> None:
        """Refuse tokens that mean different things."""
        if self.validation is None:
            return
        for name in ("fingerprint", "vocabulary", "grid", "classes"):
            one, two = getattr(self.training, name), getattr(self.validation, name)
            if one != two:
                msg = (
                    f"training and validation codes differ in their {name}: {one!r:.80} and "
                    f"{two!r:.80}; extract both with one tokenizer from images of the same classes"
                )
                raise ConfigError(msg)


class GptTrainer(TrainingLoop[CodeBatch]):
    """
    Train an autoregressive model on the tokens of images, resumably.

    Step n is a pure function of the weights, the optimizer's moments and n: order, views, dropped
    classes and dropout are drawn from generators keyed by the seed and the step. A run that is
    killed at any moment and started again gives the losses and weights of an unbroken run, bit
    for bit on a CPU with the same number of threads and processes.

    Parameters
    ----------
    config : GptTrainingConfig
        The run.
    codes : TrainingCodes
        Tokens for training and validation.
    output : Path
        Run folder: ``checkpoint/``, ``metrics.jsonl`` and, at the end, ``model/``.
    command : str, optional
        The command that started the run, for the model's record.
    amend : bool
        Go on with a run whose recipe was another one. What changed, and at which step, is
        recorded in the model.
    device : torch.device
        Where to compute.
    compiled : bool
        Compile the blocks of the model; results then differ by rounding.

    Raises
    ------
    ConfigError
        If `output` holds a run with other codes, or with another recipe and `amend` is False,
        or if the images of a step cannot be shared evenly.
    """

    def __init__(
        self,
        config: GptTrainingConfig,
        codes: TrainingCodes,
        output: Path,
        *,
        command: str = "",
        amend: bool = False,
        device: torch.device = CPU,
        compiled: bool = False,
    ) -> None:
        _check_shares(config)
        super().__init__(
            steps=config.steps,
            validate_every=config.monitor.validate_every,
            checkpoint_every=config.monitor.checkpoint_every,
        )
        self.config = config
        self.codes = codes
        self.output = output
        self.command = command
        self.device = device
        self.plan = CodePlan(codes.training, seed=config.seed, batch_size=config.batch_size)
        network = config.network(
            vocabulary=codes.training.vocabulary,
            num_classes=len(codes.training.classes),
            grid=codes.training.grid,
        )
        self.model = Gpt.build(network, seed=config.seed).to(device)
        self.optimizer = make_optimizer(self.model, config.optimizer)
        self._resume(amend=amend)
        self._open_log(output)
        if compiled:
            for block in self.model.layers:
                block.compile()

    def _batch(self, step: int) -> CodeBatch:
        return self.plan.batch(step, number=rank(), of=world_size())

    def _train_step(self, batch: CodeBatch) -> Event:
        self.model.train()
        rate = set_learning_rate(self.optimizer, self.config.optimizer, step=self.step)
        found = compute_gradients(self.model, batch, self.config, step=self.step)
        if not (math.isfinite(found.loss) and math.isfinite(found.norm)):
            self._diverged(f"loss {found.loss}, gradient norm {found.norm}")
        self.optimizer.step()
        return {
            "step": self.step,
            "kind": "train",
            "learning_rate": rate,
            "loss": found.loss,
            "gradient_norm": found.norm,
            "images": self.config.batch_size,
        }

    def _diverged(self, what: str) -> None:
        folder = self.output / CHECKPOINT
        kept = "no checkpoint was written yet"
        if folder.exists():
            kept = f"the last good checkpoint is kept in {folder}"
        msg = (
            f"step {self.step}: {what}; the run has diverged; {kept}; go on from it with a lower "
            "learning rate (--set optimizer.learning_rate=... --amend)"
        )
        raise FloatingPointError(msg)

    def _validate(self) -> Event:
        found: Event = {"step": self.step - 1, "kind": "validation"}
        images = self.config.monitor.validation_images
        if self.codes.validation is not None and images:
            found["loss"] = mean_loss(
                self.model,
                self.codes.validation,
                images=images,
                batch_size=self.config.batch_size,
                precision=self.config.precision,
            )
        return found

    def record(self) -> dict[str, Any]:
        """
        Return how this model was made.

        Returns
        -------
        dict
            Recipe, tokens, classes, steps, command, versions and time; JSON values.
        """
        training, validation = self.codes.training, self.codes.validation
        return {
            "command": self.command,
            "recipe": to_mapping(self.config),
            "amendments": self.amendments,
            "classes": list(training.classes),
            "image_size": training.image_size,
            "data_hash": training.content_hash(),
            "training_images": len(training),
            "views": training.views,
            "validation_hash": None if validation is None else validation.content_hash(),
            "trained_seconds": round(self.trained_seconds, 1),
            "processes": world_size(),
            **surroundings(),
        }

    def save(self) -> None:
        """Write a checkpoint, atomically: the last one stays until the new one is whole."""
        tensors = {
            checkpoint.WEIGHTS: self.model.state_dict(),
            _OPTIMIZER: optimizer_tensors(self.model, self.optimizer),
        }
        document = {"step": self.step, **self.record()}
        folder = self.output / CHECKPOINT
        on_first(lambda: checkpoint.save_folder(folder, tensors, {STATE: document}))

    def _finish(self) -> None:
        trained = TrainedGpt(self.model.eval(), self.codes.training.fingerprint, self.record())
        trained.save(self.output / MODEL)

    def _resume(self, *, amend: bool) -> None:
        folder = self.output / CHECKPOINT
        document = find_state(folder)
        if document is None:
            return
        changes = check_settings(
            folder,
            document,
            recorded=document["recipe"],
            wanted=to_mapping(self.config),
            data_hash=self.codes.training.content_hash(),
            amend=amend,
        )
        self._load(folder, changes)
        self._go_on(document, changes)

    def _load(self, folder: Path, changes: Mapping[str, Any]) -> None:
        try:
            self.model.load_state_dict(checkpoint.load_tensors(folder / checkpoint.WEIGHTS))
        except RuntimeError as error:
            first = " ".join(str(error).split())[:300]
            changed = ", ".join(changes) or "nothing in the recipe"
            msg = (
                f"{folder}: weights do not fit the recipe, in which {changed} changed; choose "
                f"another --output ({first})"
            )
            raise CheckpointError(msg) from error
        restore_optimizer(self.model, self.optimizer, checkpoint.load_tensors(folder / _OPTIMIZER))


def _check_shares(config: GptTrainingConfig) -> None:
    shares = world_size() * config.accumulate
    if config.batch_size % shares:
        msg = (
            f"batch_size: {config.batch_size} images cannot be shared evenly by {world_size()} "
            f"processes in {config.accumulate} parts each; choose a multiple of {shares}"
        )
        raise ConfigError(msg)
