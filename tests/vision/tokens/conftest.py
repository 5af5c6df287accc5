"""Which small models and images do the tests of this folder share?"""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest

from provq_vision.model import NETWORKS, CodebookConfig, ImageAutoencoder, ImageModelConfig
from provq_vision.tokenizer import ImageTokenizer

NETWORK = dataclasses.replace(
    NETWORKS["small"],
    channels=8,
    multipliers=(1, 2),
    res_blocks=1,
    latent_channels=16,
    norm_groups=4,
)


@pytest.fixture(scope="session")
def make_model() -> Callable[..., ImageAutoencoder]:
    """Return a function that builds an untrained model of downsampling 2."""

    def build(method: str = "vanilla_l2", *, seed: int = 3) -> ImageAutoencoder:
        codebook = CodebookConfig(
            method=method,  # type: ignore[arg-type]
            size=16,
            dim=4,
            commitment_weight=0.25,
        )
        return ImageAutoencoder.build(
            ImageModelConfig(network=NETWORK, codebook=codebook), seed=seed
        )

    return build


@pytest.fixture(scope="session")
def tokenizer(make_model) -> ImageTokenizer:
    """Return the tokenizer of an untrained model that was "trained" on 16 pixels."""
    return ImageTokenizer(make_model(), name="tiny", image_size=16)


@pytest.fixture
def make_pixels() -> Callable[..., np.ndarray]:
    """Return a function that makes a smooth image with some noise, another for each seed."""

    def make(seed: int, height: int = 16, width: int = 16) -> np.ndarray:
        generator = np.random.default_rng(seed)
        coarse = generator.integers(0, 256, (4, 4, 3))
        rows = np.arange(height) * 4 // height
        columns = np.arange(width) * 4 // width
        noisy = coarse[rows][:, columns] + generator.integers(-20, 21, (height, width, 3))
        return np.clip(noisy, 0, 255).astype(np.uint8)

    return make
