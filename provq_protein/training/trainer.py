"""How does a run go from random weights, stage by stage, to a tokenizer?"""

import dataclasses
import platform
import shutil
import sys
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.model.growth_decoder import GrowthDecoderOutput
from provq_protein.model.growth_losses import growth_loss
from provq_protein.quantize import CodeUsage, Quantized
from provq_protein.runs import checkpoint
from provq_protein.runs.config import to_mapping
from provq_protein.runs.log import MetricsLog
from provq_protein.training.batches import Batch, BatchPlan
from provq_protein.training.config import TrainingConfig
from provq_protein.training.optimizer import (
    learning_rate,
    make_optimizer,
    optimizer_tensors,
    reset_moments,
    restore_optimizer,
    set_learning_rate,
)
from provq_protein.training.store import ChainStore
from provq_protein.training.validation import validate

CHECKPOINT = "checkpoint"
MODEL = "model"
METRICS = "metrics.jsonl"
_OPTIMIZER = "optimizer.safetensors"
_STATE = "state.json"

Event = dict[str, Any]


class Trainer:
    """
    Train a structure autoencoder with the ProVQ curriculum, resumably.

    Step n is a pure function of the weights, the optimizer's moments and n: order, crops,
    noise and seeding are drawn from generators keyed by the seed and the step. A run that is
    killed at any moment and started again gives the losses and codes of an unbroken run, bit
    for bit on a CPU with the same number of threads.

    Parameters
    ----------
    config : TrainingConfig
        The run.
    store : ChainStore
        Training and validation chains.
    output : Path
        Run folder: ``checkpoint/``, ``metrics.jsonl`` and, at the end, ``model/``.
    command : str, optional
        The command that started the run, for the model's record.
    amend : bool
        Go on with a run whose recipe was another one, for instance shorter. What changed,
        and at which step, is recorded in the model.

    Raises
    ------
    ConfigError
        If `output` holds a run with other data, or with another recipe and `amend` is False.
    """

    def __init__(
        self,
        config: TrainingConfig,
        store: ChainStore,
        output: Path,
        *,
        command: str = "",
        amend: bool = False,
    ) -> None:
        self.config = config
        self.store = store
        self.output = output
        self.command = command
        self.data_hash = store.content_hash()
        self.step = 0
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = StructureAutoencoder(config.model, config.schedule)
        self.optimizer = make_optimizer(self.model, config.optimizer)
        self.trained_seconds = 0.0
        self.amendments: list[dict[str, Any]] = []
        self._resume(amend=amend)
        self.log = MetricsLog(output / METRICS, resume_step=self.step)
        chains = store.select("train")
        if not len(chains):
            msg = "the chain store has no training chain"
            raise ConfigError(msg)
        self.plan = self._plan(config.data.crop)
        self.settle_plan = self._plan(config.data.settle_crop)

    def _plan(self, crop: int) -> BatchPlan:
        data = self.config.data
        return BatchPlan(
            self.store,
            self.store.select("train"),
            seed=self.config.seed,
            residues=data.residues_per_step,
            crop=crop,
            noise=data.noise,
        )

    @property
    def settling(self) -> bool:
        """Whether encoder and codebook are frozen at this step."""
        return self.step >= self.config.steps - self.config.settle_steps

    def run(
        self, *, on_event: Callable[[Event], None] | None = None, stop_at: int | None = None
    ) -> None:
        """
        Train to the end, or to a step.

        Parameters
        ----------
        on_event : callable, optional
            Called with every logged event.
        stop_at : int, optional
            Stop before this step, after a checkpoint; for tests and for runs in parts.
        """
        last = self.config.steps if stop_at is None else min(stop_at, self.config.steps)
        monitor = self.config.monitor
        while self.step < last:
            started = time.perf_counter()
            self._seed_if_due()
            event = self._train_step()
            elapsed = time.perf_counter() - started
            self.trained_seconds += elapsed
            event["seconds"] = round(elapsed, 4)
            self._report(event, on_event)
            self.step += 1
            if self.step % monitor.validate_every == 0 or self.step == self.config.steps:
                self._report(self._validate(), on_event)
            if self.step % monitor.checkpoint_every == 0 or self.step == last:
                self.save()
        if self.step == self.config.steps:
            self.model.save(self.output / MODEL, training=self.record())

    def _report(self, event: Event, on_event: Callable[[Event], None] | None) -> None:
        self.log.write(**event)
        if on_event is not None:
            on_event(event)

    def _seed_if_due(self) -> None:
        codebook = self.model.quantizer.codebook
        seeding = self.config.seeding
        early = self.step < self.config.schedule.warmup_steps
        if seeding.method == "none" or early or bool(codebook.initialized):
            return
        sample = self._sample_latents(seeding.latents)
        generator = torch.Generator().manual_seed(self.config.seed)
        self.model.quantizer.seed(sample, generator, iterations=seeding.iterations)
        # Moments of the unseeded table say nothing about the seeded one.
        for parameter in codebook.parameters():
            self.optimizer.state.pop(parameter, None)

    @torch.no_grad()
    def _sample_latents(self, wanted: int) -> Tensor:
        self.model.eval()
        # Batches from beyond the end of the run: reproducible, and no step trains on them.
        step, found, count = self.config.steps, [], 0
        while count < wanted:
            batch = self.plan.batch(step)
            latents = self.model.embed(*_inputs(batch))[batch.resolved]
            found.append(latents)
            count += len(latents)
            step += 1
        return torch.cat(found)[:wanted]

    def _train_step(self) -> Event:
        config = self.config
        self.model.train()
        rate = learning_rate(self.step, config.steps, config.optimizer)
        set_learning_rate(self.optimizer, rate)
        batch = (self.settle_plan if self.settling else self.plan).batch(self.step)
        output = self.model(
            *_inputs(batch),
            step=self.step,
            freeze_encoder=self.settling,
            latent_noise=self._latent_noise(batch),
        )
        if not isinstance(output.decoded, GrowthDecoderOutput):
            msg = "this trainer has losses for the growth decoder only"
            raise ConfigError(msg)
        terms = growth_loss(output.decoded, batch.coords, batch.resolved, config.loss)
        total = terms.total
        if not self.settling:
            total = total + self.model.quantizer.vq_loss(output.quantized)
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        norm = nn.utils.clip_grad_norm_(self._moving(), config.optimizer.clip)
        self._check_finite(total, norm)
        self.optimizer.step()
        if not self.settling:
            self._update_codebook(output.quantized, batch)
        stage = "settle" if self.settling else config.schedule.stage(self.step)
        return {
            "step": self.step,
            "kind": "train",
            "stage": stage,
            "alpha": output.quantized.alpha,
            "omega": output.quantized.omega,
            "learning_rate": rate,
            "loss": total.item(),
            **{
                f"loss_{field.name}": getattr(terms, field.name).item()
                for field in dataclasses.fields(terms)
                if field.name != "total"
            },
            "codebook_loss": output.quantized.codebook_loss.item(),
            "commitment_loss": output.quantized.commitment_loss.item(),
            "gradient_norm": norm.item(),
            "batch_utilization": self._utilization(stage, output.quantized, batch),
            "residues": batch.num_residues,
        }

    def _update_codebook(self, quantized: Quantized, batch: Batch) -> None:
        """Let codes learn what they do not learn by gradient."""
        generator = torch.Generator().manual_seed((self.config.seed << 32) + self.step)
        quantizer = self.model.quantizer
        revived = quantizer.update(quantized, mask=batch.resolved, generator=generator)
        reset_moments(self.optimizer, quantizer.codebook.parameters(), revived)

    def _latent_noise(self, batch: Batch) -> Tensor | None:
        """Noise on what the decoder gets, a function of seed and step; None where it is off."""
        data = self.config.data
        if data.latent_noise == 0.0:
            return None
        grown = min(1.0, self.step / max(1, data.latent_noise_ramp))
        generator = torch.Generator().manual_seed((self.config.seed << 32) + self.step)
        shape = (*batch.resolved.shape, self.config.model.encoder.latent_dim)
        return grown * data.latent_noise * torch.randn(shape, generator=generator)

    def _utilization(self, stage: str, quantized: Quantized, batch: Batch) -> float | None:
        """Share of codes in use in a batch; None in the warm-up, which looks at no code."""
        if stage == "warmup":
            return None
        usage = CodeUsage(self.model.codebook_size)
        usage.add(quantized.indices, mask=batch.resolved)
        return usage.utilization

    def _moving(self) -> list[nn.Parameter]:
        return [p for p in self.model.parameters() if p.grad is not None]

    def _check_finite(self, total: Tensor, norm: Tensor) -> None:
        if not (torch.isfinite(total) and torch.isfinite(norm)):
            msg = (
                f"step {self.step}: loss {total.item()}, gradient norm {norm.item()}: the run has "
                f"diverged; resume from {self.output / CHECKPOINT} with a lower learning rate"
            )
            raise FloatingPointError(msg)

    def _validate(self) -> Event:
        chains = self.store.select("validation")[: self.config.monitor.validation_chains]
        self.model.eval()
        backbones = [self.store.backbone(int(chain)) for chain in chains]
        warm = self.config.schedule.stage(self.step - 1) == "warmup"
        scores = validate(self.model, backbones, continuous=warm)
        return {"step": self.step - 1, "kind": "validation", "continuous": warm, **scores}

    def record(self) -> dict[str, Any]:
        """
        Return how this model was made.

        Returns
        -------
        dict
            Recipe, data, seed, steps, command, versions and time; JSON values.
        """
        return {
            "command": self.command,
            "recipe": to_mapping(self.config),
            "amendments": self.amendments,
            "data_hash": self.data_hash,
            "training_chains": len(self.store.select("train")),
            "validation_chains": len(self.store.select("validation")),
            "steps": self.step,
            "trained_seconds": round(self.trained_seconds, 1),
            "threads": torch.get_num_threads(),
            "machine": platform.machine(),
            "versions": _versions(),
        }

    def save(self) -> None:
        """Write a checkpoint, atomically: the last one stays until the new one is whole."""
        document = {"step": self.step, **self.record()}
        checkpoint.save_folder(
            self.output / CHECKPOINT,
            {
                checkpoint.WEIGHTS: self.model.state_dict(),
                _OPTIMIZER: optimizer_tensors(self.model, self.optimizer),
            },
            {_STATE: document},
        )

    def _resume(self, *, amend: bool) -> None:
        folder = self.output / CHECKPOINT
        cut_off = checkpoint.previous(folder)
        if not folder.exists() and cut_off.exists():
            shutil.copytree(cut_off, folder)
        if not folder.exists():
            return
        document = checkpoint.load_document(folder / _STATE)
        changes = _changes(document["recipe"], to_mapping(self.config))
        if changes and not amend:
            listed = ", ".join(f"{key} was {old}, is {new}" for key, (old, new) in changes.items())
            msg = (
                f"{folder}: was written by a run with other settings ({listed}); choose another "
                "--output, or go on with the new ones by --amend"
            )
            raise ConfigError(msg)
        if document.get("data_hash") != self.data_hash:
            msg = f"{folder}: was written by a run on other data; choose another --output"
            raise ConfigError(msg)
        try:
            self.model.load_state_dict(checkpoint.load_tensors(folder / checkpoint.WEIGHTS))
        except RuntimeError as error:
            msg = f"{folder}: weights do not fit the recipe: {error}"
            raise CheckpointError(msg) from error
        restore_optimizer(self.model, self.optimizer, checkpoint.load_tensors(folder / _OPTIMIZER))
        self.step = int(document["step"])
        self.amendments = list(document.get("amendments", []))
        if changes:
            was_is = {key: list(values) for key, values in changes.items()}
            self.amendments.append({"step": self.step, "changes": was_is})
        self.trained_seconds = float(document["trained_seconds"])


def _inputs(batch: Batch) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return batch.coords, batch.resolved, batch.residue_numbers, batch.present


def _changes(old: Event, new: Event, prefix: str = "") -> dict[str, tuple[Any, Any]]:
    """Settings that differ between two recipes, by their full names."""
    found = {}
    for key in sorted(old.keys() | new.keys()):
        before, after, name = old.get(key), new.get(key), f"{prefix}{key}"
        if isinstance(before, dict) and isinstance(after, dict):
            found |= _changes(before, after, f"{name}.")
        elif before != after:
            found[name] = (before, after)
    return found


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0], "torch": torch.__version__}
    try:
        found["provq"] = metadata.version("provq")
    except metadata.PackageNotFoundError:
        found["provq"] = "source tree"
    return found
