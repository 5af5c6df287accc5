"""What do the tests of this training share: a folder of codes with a pattern in them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from provq_vision.codes.code_set import CodeSet
from provq_vision.codes.settings import CodeSettings
from provq_vision.codes.shards import write_codes
from provq_vision.gpt_training.config import GptTrainingConfig, load_recipe
from provq_vision.gpt_training.trainer import TrainingCodes

CLASSES, CODES, GRID = ("cat", "dog", "owl"), 16, 4


def _write(
    folder: Path,
    *,
    images: int,
    seed: int,
    views: int = 10,
    classes: tuple[str, ...] = CLASSES,
    fingerprint: str = "0123456789abcdef",
) -> Path:
    """Write codes of which each is its left neighbor plus its class, mostly."""
    generator = np.random.default_rng(seed)
    labels = np.arange(images) % len(classes)
    first = generator.integers(CODES, size=(images, views, GRID, 1))
    ids = first + (labels[:, None, None, None] + 1) * np.arange(GRID)
    noise = generator.random(ids.shape) < 0.1
    ids = np.where(noise, generator.integers(CODES, size=ids.shape), ids) % CODES
    settings = CodeSettings(
        fingerprint=fingerprint,
        vocabulary=CODES,
        grid=GRID,
        image_size=4 * GRID,
        margins=() if views == 1 else (1.1,),
        shard_size=16,
        n_images=images,
        images=f"{images}-{seed}",
        classes=classes,
    )
    write_codes(folder, settings, ids, labels, [f"{number}.png" for number in range(images)])
    return folder


@pytest.fixture(scope="session")
def code_folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return codes of 40 training images and of 12 others."""
    folder = tmp_path_factory.mktemp("codes")
    return _write(folder / "train", images=40, seed=0), _write(folder / "val", images=12, seed=1)


@pytest.fixture
def write() -> Callable[..., Path]:
    """Return what writes codes of other images, views or tokenizers."""
    return _write


@pytest.fixture
def codes(code_folders) -> TrainingCodes:
    """Return both, opened."""
    return TrainingCodes(*map(CodeSet.open, code_folders))


@pytest.fixture
def config() -> GptTrainingConfig:
    """Return a run of twelve steps."""
    return load_recipe(
        "smoke",
        ["steps=12", "batch_size=8", "monitor.checkpoint_every=5", "monitor.validate_every=6"],
    )
