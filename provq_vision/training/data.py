"""Which images is a run trained and validated on, and which latents are its codes seeded from?"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from provq_protein.errors import ConfigError
from provq_protein.quantize.distributed import on_first, world_size
from provq_protein.runs.processes import rank
from provq_vision.images.batches import ImagePlan
from provq_vision.images.crops import to_floats
from provq_vision.images.listing import ImageSet, open_images
from provq_vision.images.protocols import SplitProtocol
from provq_vision.model.autoencoder import ImageAutoencoder
from provq_vision.training.config import ImageTrainingConfig

SPLIT = "split.json"


@dataclass(frozen=True, eq=False)
class TrainingImages:
    """
    The images of a run.

    Parameters
    ----------
    training : ImageSet
        What it is trained on.
    validation : ImageSet
        What it looks at now and then.
    """

    training: ImageSet
    validation: ImageSet


def training_images(
    config: ImageTrainingConfig,
    data: Sequence[Path],
    output: Path,
    *,
    validation: Sequence[Path] | None = None,
    classes: Path | None = None,
) -> TrainingImages:
    """
    Find the images of a run.

    Parameters
    ----------
    config : ImageTrainingConfig
        The run.
    data : sequence of Path
        Folders or archives. Without `validation` they hold the splits train and val.
    output : Path
        Run folder. Where images are held out, ``split.json`` in it says which, with the hash of
        every image; a run that has the file uses it.
    validation : sequence of Path, optional
        Other folders or archives, which hold validation images only.
    classes : Path, optional
        Text file with the names of the classes that are used, one a line.

    Returns
    -------
    TrainingImages
        Without what is held out.

    Raises
    ------
    ConfigError
        If a path, split or class is absent, or nothing can be held out.
    ImageError
        If an archive is damaged.
    """
    if validation is None:
        sets = [open_images(data, split="train"), open_images(data, split="val")]
    else:
        sets = [open_images(data), open_images(validation)]
    if classes is not None:
        names = _class_names(classes)
        sets = [each.of_classes(names) for each in sets]
    training, looked_at = sets
    if config.data.hold_out_per_class:
        training = _without_held_out(config, training, looked_at, output / SPLIT)
    return TrainingImages(training, looked_at)


def _class_names(path: Path) -> list[str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError) as error:
        msg = f"{path}: cannot be read as a list of classes: {error}"
        raise ConfigError(msg) from error
    # Lists of ImageNet's classes have a description behind each name.
    return [line.split()[0] for line in lines if line.strip()]


def _without_held_out(
    config: ImageTrainingConfig, images: ImageSet, validation: ImageSet, path: Path
) -> ImageSet:
    data = config.data

    def decide() -> None:
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            SplitProtocol.make(
                images, validation, per_class=data.hold_out_per_class, seed=data.hold_out_seed
            ).save(path)

    on_first(decide)
    protocol = SplitProtocol.load(path)
    if (protocol.per_class, protocol.seed) != (data.hold_out_per_class, data.hold_out_seed):
        msg = (
            f"{path}: holds out {protocol.per_class} images per class by seed {protocol.seed}, the "
            f"recipe {data.hold_out_per_class} by seed {data.hold_out_seed}; choose another "
            "--output"
        )
        raise ConfigError(msg)
    return protocol.find(images, "train")


def training_plan(config: ImageTrainingConfig, images: ImageSet) -> ImagePlan:
    """
    Return which images make up which step.

    Parameters
    ----------
    config : ImageTrainingConfig
        The run.
    images : ImageSet
        What it is trained on.

    Returns
    -------
    ImagePlan
        A pure function of seed and step.
    """
    data = config.data
    return ImagePlan(
        images,
        seed=config.seed,
        batch_size=data.batch_size,
        size=data.image_size,
        crop=data.crop,
        flip=data.flip,
    )


@torch.no_grad()
def sample_latents(model: ImageAutoencoder, plan: ImagePlan, config: ImageTrainingConfig) -> Tensor:
    """
    Return this process's share of the latents that codes are seeded from.

    Parameters
    ----------
    model : ImageAutoencoder
        Left in eval mode.
    plan : ImagePlan
        Training images. Beyond the end of a run batches are as reproducible, and no step trains
        on them.
    config : ImageTrainingConfig
        Says how many.

    Returns
    -------
    Tensor, shape=(latent, dim), dtype=float32
        The shares of all processes, in the order of their ranks, are as many latents as asked
        for, up to the end of a batch.
    """
    model.eval()
    device = next(model.parameters()).device
    side = config.data.image_size // config.network.downsampling
    batches = -(-config.seeding.latents // (config.data.batch_size * side**2))
    # Whole batches in order, so that the sample is the same for any number of processes.
    own = np.array_split(np.arange(batches), world_size())[rank()]
    shares = world_size() * config.accumulate
    found = [torch.zeros(0, config.codebook.dim, device=device)]
    for number in own.tolist():
        batch = plan.batch(config.steps + number)
        for part in batch.images.split(max(1, len(batch) // shares)):
            with torch.autocast(
                device.type, dtype=torch.bfloat16, enabled=config.precision == "bf16"
            ):
                latents = model.embed(to_floats(part.to(device)))
            found.append(latents.flatten(0, 2).float())
    return torch.cat(found)
