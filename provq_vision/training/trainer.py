"""How does an image tokenizer go from random weights, stage by stage, to its codes?"""

import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.quantize import CodeUsage, Quantized
from provq_protein.quantize.distributed import on_first, summed, world_size
from provq_protein.runs.config import to_mapping
from provq_protein.runs.loop import CHECKPOINT, MODEL, Event, TrainingLoop
from provq_protein.runs.moments import reset_moments
from provq_protein.runs.processes import rank
from provq_protein.runs.resuming import check_settings, find_state, surroundings
from provq_vision.images.batches import ImageBatch
from provq_vision.images.pictures import save_png
from provq_vision.model.autoencoder import ImageAutoencoder
from provq_vision.model.discriminator import PatchDiscriminator
from provq_vision.model.perceptual import PerceptualLoss
from provq_vision.training.config import ImageTrainingConfig
from provq_vision.training.data import TrainingImages, sample_latents, training_plan
from provq_vision.training.events import step_event
from provq_vision.training.optimizer import set_learning_rate
from provq_vision.training.state import make_parts
from provq_vision.training.step import ImageGradients, compute_gradients
from provq_vision.training.validation import look_at

SAMPLES = "samples"
CPU = torch.device("cpu")
_CODES = "quantizer.codebook."


class ImageTrainer(TrainingLoop[ImageBatch]):
    """
    Train an image autoencoder with the ProVQ curriculum, resumably.

    Step n is a pure function of the weights, the optimizers' moments and n: order, crops, noise
    and seeding are drawn from generators keyed by the seed and the step. A run that is killed at
    any moment and started again gives the losses and codes of an unbroken run, bit for bit on a
    CPU with the same number of threads and processes.

    Parameters
    ----------
    config : ImageTrainingConfig
        The run.
    images : TrainingImages
        Training and validation images.
    output : Path
        Run folder: ``checkpoint/``, ``metrics.jsonl``, ``samples/`` with pictures of validation
        images and their reconstructions and, at the end, ``model/``.
    perceptual : PerceptualLoss
        What ``config.perceptual`` names.
    command : str, optional
        The command that started the run, for the model's record.
    initialize : callable, optional
        Called with a model that starts from random weights, to give it others; returns what is
        recorded of their source.
    amend : bool
        Go on with a run whose recipe was another one. What changed, and at which step, is
        recorded in the model.
    device : torch.device
        Where to compute.
    compiled : bool
        Compile encoder and decoder; results then differ by rounding.

    Attributes
    ----------
    prefetch : bool
        Build batches in a thread of their own; results are the same without.

    Raises
    ------
    ConfigError
        If `output` holds a run with other images, or with another recipe and `amend` is False,
        or if the images of a step cannot be shared evenly.

    Notes
    -----
    Under ``torch.distributed`` every process has a trainer with the same arguments. All of them
    draw the same batches and work on their shares; the first one alone writes files and
    validates.
    """

    def __init__(
        self,
        config: ImageTrainingConfig,
        images: TrainingImages,
        output: Path,
        *,
        perceptual: PerceptualLoss,
        command: str = "",
        initialize: Callable[[ImageAutoencoder], Mapping[str, Any]] | None = None,
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
        self.images = images
        self.output = output
        self.perceptual = perceptual
        self.command = command
        self.device = device
        self.plan = training_plan(config, images.training)
        self.unreadable: dict[str, str] = {}
        self.initialized_from: Mapping[str, Any] = {}
        self.model = ImageAutoencoder.build(
            config.model, seed=config.seed, schedule=config.schedule
        ).to(device)
        self.parts = make_parts(self.model, config, device)
        if isinstance(perceptual, torch.nn.Module):
            perceptual.to(device)
        if not self._resume(amend=amend) and initialize is not None:
            self.initialized_from = initialize(self.model)
            if self.parts.averages is not None:
                self.parts.averages.restart()
        self._open_log(output)
        if compiled:
            self.model.encoder.compile()
            self.model.decoder.compile()

    def _batch(self, step: int) -> ImageBatch:
        """Return this process's part of a batch; also called by the thread that prepares them."""
        return self.plan.batch(step, number=rank(), of=world_size())

    def _finish(self) -> None:
        with self._shipped_weights():
            self.model.eval().save(self.output / MODEL, training=self.record())

    def _begin_stage(self) -> None:
        """Do what is due before the first step of a stage."""
        config, parts = self.config, self.parts
        warmup = config.schedule.warmup_steps
        if config.optimizer.restart_after_warmup and warmup and self.step == warmup:
            parts.optimizer.state.clear()
            if parts.discriminator is not None and parts.discriminator_optimizer is not None:
                fresh = PatchDiscriminator.build(config.discriminator, seed=config.seed)
                parts.discriminator.load_state_dict(fresh.state_dict())
                parts.discriminator_optimizer.state.clear()
        codebook = self.model.quantizer.codebook
        if config.is_seeded and self.step >= warmup and not bool(codebook.initialized):
            self._seed()

    def _seed(self) -> None:
        config = self.config
        sample = sample_latents(self.model, self.plan, config)
        generator = torch.Generator().manual_seed(config.seed)
        self.model.quantizer.seed(sample, generator, iterations=config.seeding.iterations)
        # Moments of the unseeded table say nothing about the seeded one.
        for parameter in self.model.quantizer.codebook.parameters():
            self.parts.optimizer.state.pop(parameter, None)
        if self.parts.averages is not None:
            self.parts.averages.restart(_CODES)

    def _train_step(self, batch: ImageBatch) -> Event:
        config, parts = self.config, self.parts
        for name, reason in batch.problems:
            self.unreadable.setdefault(name, reason)
        self.model.train()
        rate = set_learning_rate(parts.optimizer, config.optimizer, step=self.step)
        found = self._gradients(batch)
        if not (math.isfinite(found.loss) and math.isfinite(found.norm)):
            self._diverged(f"loss {found.loss}, gradient norm {found.norm}")
        parts.optimizer.step()
        if found.judgment is not None and parts.discriminator_optimizer is not None:
            if not (math.isfinite(found.judgment) and math.isfinite(found.judgment_norm or 0.0)):
                self._diverged(f"discriminator: loss {found.judgment}")
            set_learning_rate(parts.discriminator_optimizer, config.optimizer, step=self.step)
            parts.discriminator_optimizer.step()
        self._update_codebook(found.quantized)
        if parts.averages is not None:
            parts.averages.update(step=self.step)
        return step_event(
            config, found, step=self.step, rate=rate, utilization=self._utilization(found.quantized)
        ) | {"unreadable": int(summed(torch.tensor(len(batch.problems))))}

    def _gradients(self, batch: ImageBatch) -> ImageGradients:
        try:
            with torch.random.fork_rng(devices=_cuda_devices(self.device)):
                # Some estimators draw noise: also a function of seed and step.
                torch.manual_seed((self.config.seed << 32) + self.step)
                return compute_gradients(
                    self.model,
                    self.parts.discriminator,
                    self.perceptual,
                    batch,
                    self.config,
                    step=self.step,
                )
        except ValueError as error:
            # Quantizer and discriminator refuse what is not finite.
            self._diverged(str(error), error)
            raise

    def _diverged(self, what: str, cause: Exception | None = None) -> None:
        folder = self.output / CHECKPOINT
        kept = "no checkpoint was written yet"
        if folder.exists():
            kept = f"the last good checkpoint is kept in {folder}"
        msg = (
            f"step {self.step}: {what}; the run has diverged; {kept}; go on from it with a lower "
            "learning rate (--set optimizer.learning_rate=... --amend)"
        )
        raise FloatingPointError(msg) from cause

    def _update_codebook(self, quantized: Quantized) -> None:
        """Let codes learn what they do not learn by gradient."""
        generator = torch.Generator().manual_seed((self.config.seed << 32) + self.step)
        revived = self.model.quantizer.update(quantized, generator=generator)
        reset_moments(self.parts.optimizer, self.model.quantizer.codebook.parameters(), revived)
        if self.parts.averages is not None and bool(revived.any()):
            self.parts.averages.restart(_CODES, rows=revived)

    def _utilization(self, quantized: Quantized) -> float | None:
        """Share of codes in use in a batch; None where there is no index per latent."""
        warm = self.config.schedule.stage(self.step) == "warmup"
        if warm or self.model.quantizer.codebook.index_shape:
            return None
        usage = CodeUsage(self.config.codebook.size)
        usage.add(quantized.indices)
        return usage.reduced().utilization

    def _shipped_weights(self) -> AbstractContextManager[None]:
        averages = self.parts.averages
        return nullcontext() if averages is None else averages.in_place()

    def _validate(self) -> Event:
        """Reconstruct validation images, and write a picture of some."""
        self.model.eval()
        with self._shipped_weights():
            scores, picture = look_at(
                self.model, self.images.validation, self.config, step=self.step - 1
            )
        if picture is not None:
            folder = self.output / SAMPLES
            folder.mkdir(parents=True, exist_ok=True)
            save_png(folder / f"step_{self.step:07d}.png", picture)
        return scores

    def record(self) -> dict[str, Any]:
        """
        Return how this model was made.

        Returns
        -------
        dict
            Recipe, images, steps, command, versions and time; JSON values.
        """
        return {
            "command": self.command,
            "recipe": to_mapping(self.config),
            "image_size": self.config.data.image_size,
            "amendments": self.amendments,
            "initialized_from": dict(self.initialized_from),
            "perceptual": self.perceptual.id,
            "perceptual_sha256": self.perceptual.weights_sha256,
            "data_hash": self.images.training.content_hash(),
            "training_images": len(self.images.training),
            "unreadable_images": self.unreadable,
            "trained_seconds": round(self.trained_seconds, 1),
            "processes": world_size(),
            **surroundings(),
        }

    def save(self) -> None:
        """Write a checkpoint, atomically: the last one stays until the new one is whole."""
        document = {"step": self.step, **self.record()}
        on_first(lambda: self.parts.save(self.output / CHECKPOINT, document))

    def _resume(self, *, amend: bool) -> bool:
        folder = self.output / CHECKPOINT
        document = find_state(folder)
        if document is None:
            return False
        changes = check_settings(
            folder,
            document,
            recorded=document["recipe"],
            wanted=to_mapping(self.config),
            data_hash=self.images.training.content_hash(),
            amend=amend,
        )
        recorded = str(document.get("perceptual_sha256"))
        if recorded != self.perceptual.weights_sha256 and not amend:
            msg = (
                f"{folder}: was written by a run whose perceptual loss had other weights "
                f"({recorded[:12]} and not {self.perceptual.weights_sha256[:12]}); name the same "
                "file, or go on with the new ones by --amend"
            )
            raise CheckpointError(msg)
        self.parts.load(folder)
        self._go_on(document, changes)
        self.unreadable = dict(document.get("unreadable_images", {}))
        self.initialized_from = document.get("initialized_from", {})
        return True


def _check_shares(config: ImageTrainingConfig) -> None:
    shares = world_size() * config.accumulate
    if config.data.batch_size % shares:
        msg = (
            f"data.batch_size: {config.data.batch_size} images cannot be shared evenly by "
            f"{world_size()} processes in {config.accumulate} parts each; choose a multiple of "
            f"{shares}"
        )
        raise ConfigError(msg)


def _cuda_devices(device: torch.device) -> list[torch.device]:
    return [device] if device.type == "cuda" else []
