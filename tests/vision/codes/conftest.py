"""What do the tests of codes share: folders of codes, a small model, a set of images?"""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from provq_vision.codes.settings import CodeSettings
from provq_vision.codes.shards import write_codes
from provq_vision.images.listing import ImageSet, open_images
from provq_vision.images.pictures import save_png
from provq_vision.model import NETWORKS, CodebookConfig, ImageAutoencoder, ImageModelConfig
from provq_vision.tokenizer import ImageTokenizer


class Written(NamedTuple):
    """A folder of codes, and what was written into it."""

    folder: Path
    settings: CodeSettings
    codes: np.ndarray
    labels: np.ndarray


@pytest.fixture
def make_settings() -> Callable[..., CodeSettings]:
    """Return a function that makes settings of ten images in three shards."""

    def make(**changes: object) -> CodeSettings:
        values = {
            "fingerprint": "c0ffee",
            "vocabulary": 16,
            "grid": 3,
            "image_size": 12,
            "margins": (1.1,),
            "shard_size": 4,
            "n_images": 10,
            "images": "bead",
            "classes": ("cat", "dog"),
        }
        return CodeSettings(**(values | changes))  # type: ignore[arg-type]

    return make


@pytest.fixture
def write(tmp_path, make_settings) -> Callable[..., Written]:
    """Return a function that writes a folder of random codes."""

    def written(name: str = "codes", **changes: object) -> Written:
        settings = make_settings(**changes)
        generator = np.random.default_rng(0)
        shape = (settings.n_images, settings.views, settings.grid, settings.grid)
        codes = generator.integers(0, settings.vocabulary, shape)
        labels = generator.integers(0, len(settings.classes), len(codes))
        folder = tmp_path / name
        write_codes(folder, settings, codes, labels, [f"{i}.png" for i in range(len(codes))])
        return Written(folder, settings, codes, labels)

    return written


@pytest.fixture(scope="session")
def make_model() -> Callable[..., ImageAutoencoder]:
    """Return a function that builds an untrained model of downsampling 2."""

    def build(method: str = "vanilla_l2", *, seed: int = 3) -> ImageAutoencoder:
        network = dataclasses.replace(
            NETWORKS["small"],
            channels=8,
            multipliers=(1, 2),
            res_blocks=1,
            latent_channels=16,
            norm_groups=4,
        )
        codebook = CodebookConfig(
            method=method,  # type: ignore[arg-type]
            size=16,
            dim=4,
            commitment_weight=0.25,
        )
        return ImageAutoencoder.build(
            ImageModelConfig(network=network, codebook=codebook), seed=seed
        )

    return build


@pytest.fixture(scope="session")
def tokenizer(make_model) -> ImageTokenizer:
    """Return the tokenizer of an untrained model that was "trained" on 16 pixels."""
    return ImageTokenizer(make_model(), name="tiny", image_size=16)


@pytest.fixture
def pictures(tmp_path) -> Path:
    """Return a folder with nine images in the classes cat and dog; cat/2.png is none."""
    pytest.importorskip("PIL.Image", reason="needs the extra provq[vision]")
    generator = np.random.default_rng(0)
    for number in range(9):
        path = tmp_path / "pictures" / ("cat", "dog")[number // 5] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        save_png(path, generator.integers(0, 256, (20 + number, 24, 3)).astype(np.uint8))
    (tmp_path / "pictures" / "cat" / "2.png").write_bytes(b"This is no image.\n")
    return tmp_path / "pictures"


@pytest.fixture
def images(pictures) -> ImageSet:
    """Return the nine images."""
    return open_images(pictures)
