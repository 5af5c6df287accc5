"""What do the tests of drawing share: a tiny tokenizer, and a tiny model of its tokens."""

import dataclasses

import pytest
import torch

from provq_vision.generation import GPTS, Gpt, TrainedGpt
from provq_vision.model import NETWORKS, CodebookConfig, ImageAutoencoder, ImageModelConfig
from provq_vision.tokenizer import ImageTokenizer

NAMES = ["ant", "bee", "cat", "dog", "elk"]


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory):
    """Return a folder with an untrained tokenizer of 16 codes and downsampling 2."""
    network = dataclasses.replace(
        NETWORKS["small"],
        channels=8,
        multipliers=(1, 2),
        res_blocks=1,
        latent_channels=16,
        norm_groups=4,
    )
    codebook = CodebookConfig(method="vanilla", size=16, dim=4, commitment_weight=0.25)
    model = ImageAutoencoder.build(ImageModelConfig(network=network, codebook=codebook), seed=3)
    generator = torch.Generator().manual_seed(4)
    # As they are initialized, all codes decode to the same gray.
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(weight + 0.3 * noise)
    folder = tmp_path_factory.mktemp("models") / "tokenizer"
    model.save(folder, training={"image_size": 8})
    return folder


@pytest.fixture(scope="session")
def tokenizer(tokenizer_folder):
    """Return that tokenizer."""
    return ImageTokenizer.from_pretrained(tokenizer_folder)


@pytest.fixture(scope="session")
def gpt(tokenizer):
    """Return a model of its tokens, 4 x 4 of them, with large random weights."""
    sizes = {"layers": 2, "heads": 2, "dim": 32, "hidden_multiple": 16}
    config = dataclasses.replace(GPTS["mini"], **sizes, vocabulary=16, num_classes=5, grid=4)
    model = Gpt.build(config, seed=1)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for weight in model.parameters():
            noise = torch.randn(weight.shape, generator=generator)
            weight.copy_(1.0 + 0.1 * noise if weight.ndim == 1 else 0.3 * noise)
    return TrainedGpt(model.eval(), tokenizer.fingerprint, {"classes": NAMES})


@pytest.fixture(scope="session")
def gpt_folder(gpt, tmp_path_factory):
    """Return a folder with that model."""
    folder = tmp_path_factory.mktemp("models") / "gpt"
    gpt.save(folder)
    return folder
