"""Small images and untrained models, for tests of the numbers that an evaluation gives."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from provq_vision.model import NETWORKS, CodebookConfig, ImageAutoencoder, ImageModelConfig

TINY = replace(NETWORKS["small"], channels=8, multipliers=(1, 2), latent_channels=8, norm_groups=4)


class ToyFeatures:
    """Means and contrasts of the channels: six features without weights."""

    id = "toy"
    weights_sha256 = "0" * 64
    dim = 6

    def __call__(self, images):
        values = images.double().flatten(2)
        return torch.cat([values.mean(dim=2), values.std(dim=2)], dim=1)


@pytest.fixture
def toy_features():
    """A feature extractor that needs no weights."""
    return ToyFeatures()


@pytest.fixture(scope="session")
def tiny_model():
    """A function that builds an untrained model of downsampling 2."""

    def build(method="vanilla", size=32):
        codebook = CodebookConfig(method=method, size=size, dim=4, commitment_weight=0.25)
        return ImageAutoencoder.build(ImageModelConfig(network=TINY, codebook=codebook))

    return build


@pytest.fixture(scope="session")
def write_images():
    """A function that fills a folder with blurred random images."""
    pillow = pytest.importorskip("PIL.Image")

    def write(folder, count, *, side=16, seed=0):
        folder.mkdir(parents=True, exist_ok=True)
        generator = np.random.default_rng(seed)
        for number in range(count):
            coarse = generator.integers(0, 256, (4, 4, 3), dtype=np.uint8)
            pillow.fromarray(coarse).resize((side, side)).save(folder / f"{number:04d}.png")
        return folder

    return write


@pytest.fixture(scope="session")
def hundred_images(tmp_path_factory, write_images):
    """A folder of 100 images of 16 x 16 pixels."""
    return write_images(tmp_path_factory.mktemp("hundred"), 100)
