"""What is kept of an unfinished training of an image tokenizer?"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from provq_protein.errors import CheckpointError
from provq_protein.runs import checkpoint
from provq_protein.runs.averages import WeightAverages
from provq_protein.runs.moments import optimizer_tensors, restore_optimizer
from provq_protein.runs.resuming import STATE
from provq_vision.model.autoencoder import ImageAutoencoder
from provq_vision.model.discriminator import PatchDiscriminator
from provq_vision.training.config import ImageTrainingConfig
from provq_vision.training.optimizer import make_discriminator_optimizer, make_optimizer

_OPTIMIZER = "optimizer.safetensors"
_AVERAGES = "averages.safetensors"
_DISCRIMINATOR = "discriminator.safetensors"
_DISCRIMINATOR_OPTIMIZER = "discriminator_optimizer.safetensors"


@dataclass(frozen=True, eq=False)
class MovingParts:
    """
    All that changes in a training.

    Parameters
    ----------
    model : ImageAutoencoder
        The autoencoder.
    optimizer : Optimizer
        Its optimizer.
    averages : WeightAverages, optional
        Averages of its weights.
    discriminator : nn.Module, optional
        The discriminator.
    discriminator_optimizer : Optimizer, optional
        Its optimizer; there exactly if the discriminator is.
    """

    model: ImageAutoencoder
    optimizer: torch.optim.Optimizer
    averages: WeightAverages | None
    discriminator: nn.Module | None
    discriminator_optimizer: torch.optim.Optimizer | None

    def save(self, folder: Path, document: Mapping[str, Any]) -> None:
        """
        Write a checkpoint, atomically: the last one stays until the new one is whole.

        Parameters
        ----------
        folder : Path
            Where.
        document : mapping
            What else is to be kept, JSON values.
        """
        tensors = {
            checkpoint.WEIGHTS: self.model.state_dict(),
            _OPTIMIZER: optimizer_tensors(self.model, self.optimizer),
        }
        if self.averages is not None:
            tensors[_AVERAGES] = self.averages.tensors()
        if self.discriminator is not None and self.discriminator_optimizer is not None:
            tensors[_DISCRIMINATOR] = self.discriminator.state_dict()
            tensors[_DISCRIMINATOR_OPTIMIZER] = optimizer_tensors(
                self.discriminator, self.discriminator_optimizer
            )
        checkpoint.save_folder(folder, tensors, {STATE: document})

    def load(self, folder: Path) -> None:
        """
        Put back what `save` wrote.

        Parameters
        ----------
        folder : Path
            The checkpoint.

        Raises
        ------
        CheckpointError
            If a file is damaged or is of another architecture.
        """
        _load_weights(self.model, folder, checkpoint.WEIGHTS)
        try:
            restore_optimizer(
                self.model, self.optimizer, checkpoint.load_tensors(folder / _OPTIMIZER)
            )
            if self.averages is not None and (folder / _AVERAGES).exists():
                self.averages.restore(checkpoint.load_tensors(folder / _AVERAGES))
            elif self.averages is not None:
                self.averages.restart()
            if self.discriminator is not None and self.discriminator_optimizer is not None:
                self._load_discriminator(folder)
        except CheckpointError as error:
            msg = f"{folder}: {error}"
            raise CheckpointError(msg) from error

    def _load_discriminator(self, folder: Path) -> None:
        if self.discriminator is None or self.discriminator_optimizer is None:
            return
        if not (folder / _DISCRIMINATOR).exists():
            # An amended run that had no discriminator so far: it starts with random weights.
            return
        _load_weights(self.discriminator, folder, _DISCRIMINATOR)
        restore_optimizer(
            self.discriminator,
            self.discriminator_optimizer,
            checkpoint.load_tensors(folder / _DISCRIMINATOR_OPTIMIZER),
        )


def make_parts(
    model: ImageAutoencoder, config: ImageTrainingConfig, device: torch.device
) -> MovingParts:
    """
    Build what a run moves besides its autoencoder.

    Parameters
    ----------
    model : ImageAutoencoder
        On the device.
    config : ImageTrainingConfig
        The run.
    device : torch.device
        Where to compute.

    Returns
    -------
    MovingParts
        With a discriminator where its loss has a weight, and averages where they have a decay.
    """
    discriminator, judge = None, None
    if config.loss.adversarial_weight:
        discriminator = PatchDiscriminator.build(config.discriminator, seed=config.seed).to(device)
        judge = make_discriminator_optimizer(discriminator, config.optimizer)
    return MovingParts(
        model=model,
        optimizer=make_optimizer(model, config.optimizer),
        averages=WeightAverages(model, decay=config.ema_decay) if config.ema_decay else None,
        discriminator=discriminator,
        discriminator_optimizer=judge,
    )


def _load_weights(module: nn.Module, folder: Path, name: str) -> None:
    tensors = checkpoint.load_tensors(folder / name)
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        first = " ".join(str(error).split())[:300]
        msg = (
            f"{folder / name}: weights do not fit the recipe: it describes another architecture "
            f"than the run's; choose another --output ({first})"
        )
        raise CheckpointError(msg) from error
