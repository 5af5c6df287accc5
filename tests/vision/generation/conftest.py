"""What do the tests of the autoregressive model share: a tiny one whose logits differ."""

import dataclasses

import pytest
import torch

from provq_vision.generation import GPTS, Gpt, GptConfig


@pytest.fixture
def config() -> GptConfig:
    """Return the sizes of a model of 4 x 4 tokens."""
    sizes = {"layers": 2, "heads": 2, "dim": 32, "hidden_multiple": 16}
    return dataclasses.replace(GPTS["mini"], **sizes, vocabulary=12, num_classes=5, grid=4)


@pytest.fixture
def model(config) -> Gpt:
    """Return a model with large random weights, also where fresh ones are zero."""
    found = Gpt.build(config, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in found.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(1.0 + 0.1 * noise if weight.ndim == 1 else 0.3 * noise)
    return found


@pytest.fixture
def images(config) -> tuple[torch.Tensor, torch.Tensor]:
    """Return classes and tokens of three images."""
    generator = torch.Generator().manual_seed(3)
    tokens = torch.randint(config.vocabulary, (3, 4, 4), generator=generator)
    return torch.tensor([0, 3, 5]), tokens
