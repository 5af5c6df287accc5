"""A network without weights, and files of samples, for tests of evaluations of generated images."""

import numpy as np
import pytest
import torch

from provq_vision.metrics.perceived import Perceived


class ToySampleFeatures:
    """Means and contrasts of colors, colors of the four quarters, and five classes of hue."""

    id = "toy"
    spatial_id = "toy/quarters"
    weights_sha256 = "0" * 64
    dim = 6
    spatial_dim = 12

    def __call__(self, images):
        values = images.double().flatten(2)
        return torch.cat([values.mean(dim=2), values.std(dim=2)], dim=1)

    def perceive(self, images):
        pooled = self(images)
        spatial = torch.nn.functional.adaptive_avg_pool2d(images.double(), 2).flatten(1)
        mixing = torch.linspace(-1, 1, 15, dtype=torch.float64).reshape(3, 5)
        return Perceived(pooled, spatial, pooled[:, :3] @ mixing.sin() / 20)


@pytest.fixture
def toy_samples():
    """A sample extractor that needs no weights."""
    return ToySampleFeatures()


def _pixels(count, *, size=8, seed=0, dark=0):
    generator = np.random.default_rng(seed)
    coarse = generator.integers(0, 256 - dark, (count, 2, 2, 3), dtype=np.uint8)
    return coarse.repeat(size // 2, axis=1).repeat(size // 2, axis=2)


@pytest.fixture(scope="session")
def pixels():
    """A function that makes images of four colored squares, (count, size, size, 3)."""
    return _pixels


@pytest.fixture
def npz(tmp_path, pixels):
    """A function that writes a file of samples as guided-diffusion's evaluator reads it."""

    def write(name, images, *, save=np.savez, **others):
        path = tmp_path / name
        save(path, arr_0=images, **others)
        return path

    return write
