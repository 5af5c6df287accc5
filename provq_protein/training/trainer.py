"""How does a run go from random weights, stage by stage, to a tokenizer?"""

import math
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.quantize import CodeUsage, Quantized
from provq_protein.quantize.distributed import on_first, world_size
from provq_protein.runs.averages import WeightAverages
from provq_protein.runs.config import to_mapping
from provq_protein.runs.loop import CHECKPOINT, MODEL, Event, TrainingLoop
from provq_protein.runs.moments import reset_moments
from provq_protein.runs.resuming import check_settings, find_state, surroundings
from provq_protein.training.batches import Batch, BatchPlan, usable_chains
from provq_protein.training.breaks import fit_breaks
from provq_protein.training.config import TrainingConfig
from provq_protein.training.noise import latent_noise
from provq_protein.training.optimizer import (
    learning_rate,
    make_optimizer,
    set_learning_rate,
)
from provq_protein.training.seeding import sample_latents
from provq_protein.training.state import load_state, recorded_recipe, save_state
from provq_protein.training.step import Gradients, compile_blocks, compute_gradients
from provq_protein.training.store import ChainStore
from provq_protein.training.validation import validate

BEST = "best"
CPU = torch.device("cpu")
# Chains named where a batch cannot be trained on.
_NAMED = 8


class Trainer(TrainingLoop[Batch]):
    """
    Train a structure autoencoder with the ProVQ curriculum, resumably.

    Step n is a pure function of the weights, the optimizer's moments and n: order, crops,
    noise and seeding are drawn from generators keyed by the seed and the step. A run that is
    killed at any moment and started again gives the losses and codes of an unbroken run, bit
    for bit on a CPU with the same number of threads and processes.

    Parameters
    ----------
    config : TrainingConfig
        The run.
    store : ChainStore
        Training and validation chains.
    output : Path
        Run folder: ``checkpoint/``, ``metrics.jsonl``, ``best/`` once quantization is hard and,
        at the end, ``model/``.
    command : str, optional
        The command that started the run, for the model's record.
    amend : bool
        Go on with a run whose recipe was another one, for instance shorter. What changed,
        and at which step, is recorded in the model.
    device : torch.device
        Where to compute.
    compiled : bool
        Compile the blocks of encoder and decoder; results then differ by rounding.
    prefetch : bool
        Build batches in a thread of their own; results are the same.

    Raises
    ------
    ConfigError
        If `output` holds a run with other data, or with another recipe and `amend` is False, or
        if there is nothing to train on.

    Notes
    -----
    Under ``torch.distributed`` every process has a trainer with the same arguments. All of them
    work on the same batches; the first one alone writes files and validates.
    """

    def __init__(
        self,
        config: TrainingConfig,
        store: ChainStore,
        output: Path,
        *,
        command: str = "",
        amend: bool = False,
        device: torch.device = CPU,
        compiled: bool = False,
        prefetch: bool = True,
    ) -> None:
        super().__init__(
            steps=config.steps,
            validate_every=config.monitor.validate_every,
            checkpoint_every=config.monitor.checkpoint_every,
        )
        self.config = config
        self.store = store
        self.output = output
        self.command = command
        self.prefetch = prefetch
        self.device = device
        self.data_hash = store.content_hash()
        self.best: dict[str, Any] | None = None
        chains = usable_chains(store)
        self.plan = self._plan(chains, config.data.crop)
        self.settle_plan = self._plan(chains, config.data.settle_crop)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            self.model = StructureAutoencoder(config.model, config.schedule).to(device)
        self.optimizer = make_optimizer(self.model, config.optimizer)
        self.averages = None
        if config.ema_decay:
            self.averages = WeightAverages(self.model, decay=config.ema_decay)
        self._resume(amend=amend)
        self._open_log(output)
        if compiled:
            compile_blocks(self.model)

    def _plan(self, chains: np.ndarray, crop: int) -> BatchPlan:
        data = self.config.data
        return BatchPlan(
            self.store,
            chains,
            seed=self.config.seed,
            residues=data.residues_per_step,
            crop=crop,
            noise=data.noise,
            most_chains=data.chains_per_step,
        )

    @property
    def settling(self) -> bool:
        """Whether encoder and codebook are frozen at this step."""
        return self.step >= self._settling_from

    @property
    def _settling_from(self) -> int:
        return self.config.steps - self.config.settle_steps

    def _finish(self) -> None:
        with self._shipped_weights():
            self.model.save(self.output / MODEL, training=self.record())

    def _batch(self, step: int) -> Batch:
        """Return the whole batch of a step; also called by the thread that prepares batches."""
        batch = (self.settle_plan if step >= self._settling_from else self.plan).batch(step)
        return replace(batch, latent_noise=latent_noise(self.config, batch, step=step))

    def _begin_stage(self) -> None:
        """Do what is due before the first step of a stage."""
        config = self.config
        if config.optimizer.restart_after_warmup and self.step == config.schedule.warmup_steps:
            self.optimizer.state.clear()
        self._seed_if_due()
        if not config.settle_steps or self.step != self._settling_from:
            return
        if self.averages is not None:
            # The ids that stay are theirs: the decoder is to adapt to them.
            self.averages.adopt("encoder.", "quantizer.", "course.")
        fit_breaks(self.model, self.store, seed=config.seed)

    def _seed_if_due(self) -> None:
        codebook = self.model.quantizer.codebook
        seeding = self.config.seeding
        early = self.step < self.config.schedule.warmup_steps
        if seeding.method == "none" or early or bool(codebook.initialized):
            return
        sample = sample_latents(
            self.model,
            self.plan,
            first=self.config.steps,
            wanted=seeding.latents,
            low_precision=self.config.precision == "bf16",
        )
        generator = torch.Generator().manual_seed(self.config.seed)
        self.model.quantizer.seed(sample, generator, iterations=seeding.iterations)
        # Moments of the unseeded table say nothing about the seeded one.
        for parameter in codebook.parameters():
            self.optimizer.state.pop(parameter, None)
        if self.averages is not None:
            self.averages.restart("quantizer.codebook.")

    def _train_step(self, batch: Batch) -> Event:
        config = self.config
        self.model.train()
        restart = config.optimizer.restart_after_warmup
        rate = learning_rate(
            self.step,
            config.steps,
            config.optimizer,
            restart=config.schedule.warmup_steps if restart else None,
        )
        set_learning_rate(self.optimizer, rate)
        found = self._gradients(batch)
        if not (math.isfinite(found.loss) and math.isfinite(found.norm)):
            self._diverged(f"loss {found.loss}, gradient norm {found.norm}")
        self.optimizer.step()
        if not self.settling:
            self._update_codebook(found.quantized)
        if self.averages is not None:
            self.averages.update(step=self.step)
        stage = "settle" if self.settling else config.schedule.stage(self.step)
        return {
            "step": self.step,
            "kind": "train",
            "stage": stage,
            "alpha": found.quantized.alpha,
            "omega": found.quantized.omega,
            "learning_rate": rate,
            "loss": found.loss,
            **{f"loss_{name}": value for name, value in found.terms.items()},
            "codebook_loss": found.codebook_loss,
            "commitment_loss": found.commitment_loss,
            "gradient_norm": found.norm,
            "batch_utilization": self._utilization(stage, found.quantized),
            "residues": batch.num_residues,
        }

    def _gradients(self, batch: Batch) -> Gradients:
        try:
            with torch.random.fork_rng():
                # Some estimators draw noise, as dropout does: also a function of seed and step.
                torch.manual_seed((self.config.seed << 32) + self.step)
                return compute_gradients(
                    self.model, batch, self.config, step=self.step, settling=self.settling
                )
        except ValueError as error:
            # The quantizer refuses latents that are not finite.
            self._diverged(str(error), error)
            raise

    def _diverged(self, what: str, cause: Exception | None = None) -> None:
        plan = self.settle_plan if self.settling else self.plan
        names = [self.store.names[chain] for chain in plan.chosen(self.step)]
        more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        folder = self.output / CHECKPOINT
        kept = "no checkpoint was written yet"
        if folder.exists():
            kept = f"the last good checkpoint is kept in {folder}"
        msg = (
            f"step {self.step}: {what}; the run has diverged on the batch of "
            f"{', '.join(names[:_NAMED])}{more}; {kept}; go on from it with a lower learning rate "
            "(--set optimizer.learning_rate=... --amend)"
        )
        raise FloatingPointError(msg) from cause

    def _update_codebook(self, quantized: Quantized) -> None:
        """Let codes learn what they do not learn by gradient."""
        generator = torch.Generator().manual_seed((self.config.seed << 32) + self.step)
        revived = self.model.quantizer.update(quantized, generator=generator)
        reset_moments(self.optimizer, self.model.quantizer.codebook.parameters(), revived)
        if self.averages is not None and bool(revived.any()):
            self.averages.restart("quantizer.codebook.", rows=revived)

    def _utilization(self, stage: str, quantized: Quantized) -> float | None:
        """Share of codes in use in a batch; None in the warm-up, which looks at no code."""
        usage = CodeUsage(self.model.codebook_size)
        usage.add(quantized.indices)
        return None if stage == "warmup" else usage.reduced().utilization

    def _shipped_weights(self) -> Any:  # noqa: ANN401  (a context)
        return nullcontext() if self.averages is None else self.averages.in_place()

    def _validate(self) -> Event:
        chains = self.store.select("validation")[: self.config.monitor.validation_chains]
        self.model.eval()
        backbones = [self.store.backbone(int(chain)) for chain in chains]
        stage = self.config.schedule.stage(self.step - 1)
        with self._shipped_weights():
            scores = validate(self.model, backbones, continuous=stage == "warmup")
            if stage == "hard":
                self._keep_if_best(scores)
        warm = stage == "warmup"
        return {"step": self.step - 1, "kind": "validation", "continuous": warm, **scores}

    def _keep_if_best(self, scores: dict[str, float]) -> None:
        """Keep the model if none with hard quantization was better so far."""
        error = scores.get("rmsd", math.inf)
        if error < (math.inf if self.best is None else self.best["rmsd"]):
            self.best = {"step": self.step, "rmsd": error}
            self.model.save(self.output / BEST, training={**self.record(), "best_of": self.best})

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
            "processes": world_size(),
            **surroundings(),
        }

    def save(self) -> None:
        """Write a checkpoint, atomically: the last one stays until the new one is whole."""
        document = {"step": self.step, "best": self.best, **self.record()}
        parts = {"model": self.model, "optimizer": self.optimizer, "averages": self.averages}
        on_first(lambda: save_state(self.output / CHECKPOINT, document, **parts))

    def _resume(self, *, amend: bool) -> None:
        folder = self.output / CHECKPOINT
        document = find_state(folder)
        if document is None:
            return
        changes = check_settings(
            folder,
            document,
            recorded=recorded_recipe(document["recipe"]),
            wanted=to_mapping(self.config),
            data_hash=self.data_hash,
            amend=amend,
        )
        load_state(folder, model=self.model, optimizer=self.optimizer, averages=self.averages)
        self._go_on(document, changes)
        self.best = document.get("best")
