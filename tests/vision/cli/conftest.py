"""How do the tests of this folder run command lines, and on which images?"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from provq_vision.cli import main
from provq_vision.images.pictures import save_png
from provq_vision.model import NETWORKS, CodebookConfig, ImageAutoencoder, ImageModelConfig


@dataclass(frozen=True)
class Answer:
    """What a command line gave back."""

    code: int
    out: str
    err: str


@pytest.fixture
def run(capsys) -> Callable[..., Answer]:
    """Return a function that carries out one command line in this process."""

    def call(*arguments: object) -> Answer:
        try:
            code = main([str(argument) for argument in arguments])
        except SystemExit as ended:
            code = int(ended.code or 0)
        captured = capsys.readouterr()
        return Answer(code, captured.out, captured.err)

    return call


def _save_model(folder: Path, seed: int, training: dict) -> Path:
    network = dataclasses.replace(
        NETWORKS["small"],
        channels=8,
        multipliers=(1, 2),
        res_blocks=1,
        latent_channels=16,
        norm_groups=4,
    )
    codebook = CodebookConfig(method="vanilla_l2", size=16, dim=4, commitment_weight=0.25)
    config = ImageModelConfig(network=network, codebook=codebook)
    ImageAutoencoder.build(config, seed=seed).save(folder, training=training)
    return folder


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory) -> Path:
    """Return a folder with an untrained model of downsampling 2 and images of 16 pixels."""
    return _save_model(tmp_path_factory.mktemp("models") / "tiny", 3, {"image_size": 16})


@pytest.fixture(scope="session")
def other_model_folder(tmp_path_factory) -> Path:
    """Return a folder with another untrained model, which records no size."""
    return _save_model(tmp_path_factory.mktemp("models") / "other", 4, {})


@pytest.fixture
def photos(tmp_path) -> Path:
    """Return a folder with the images a.png to d.png, 20 x 24 pixels, without classes."""
    pytest.importorskip("PIL.Image", reason="needs the extra provq[vision]")
    generator = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    for name in "abcd":
        pixels = generator.integers(0, 256, (20, 24, 3)).astype(np.uint8)
        save_png(tmp_path / "photos" / f"{name}.png", pixels)
    return tmp_path / "photos"


@pytest.fixture
def splits(tmp_path, photos) -> Path:
    """Return a folder with train and val, each with two classes of one image."""
    for number, part in enumerate(("train/cat", "train/dog", "val/cat", "val/dog")):
        folder = tmp_path / "splits" / part
        folder.mkdir(parents=True)
        content = (photos / f"{'abcd'[number]}.png").read_bytes()
        (folder / f"{number}.png").write_bytes(content)
    return tmp_path / "splits"


@pytest.fixture
def bad_images(tmp_path, photos) -> list[Path]:
    """Return an absent, an empty, a truncated file and one of text, all called images."""
    content = (photos / "a.png").read_bytes()
    folder = tmp_path / "bad"
    folder.mkdir()
    for name, data in (
        ("empty.png", b""),
        ("text.jpg", b"This is no image.\n"),
        ("truncated.png", content[: len(content) // 2]),
    ):
        (folder / name).write_bytes(data)
    names = ("absent.png", "empty.png", "text.jpg", "truncated.png")
    return [folder / name for name in names]
