"""What do the tests of training on images share: a folder of small pictures."""

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("PIL", reason="images need the extra 'vision'")

from PIL import Image

CLASSES, TRAINING, VALIDATION, SIDE = 2, 20, 8, 40


def _pixels(seed: int) -> np.ndarray:
    generator = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE] / SIDE
    waves = [np.sin(9 * (rows * a + columns * b + c)) for a, b, c in generator.random((3, 3))]
    return np.clip(128 + 100 * np.stack(waves, 2), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def image_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the splits train and val over two classes of images of 40 pixels."""
    folder = tmp_path_factory.mktemp("pictures")
    seed = 0
    for split, count in (("train", TRAINING), ("val", VALIDATION)):
        for label in range(CLASSES):
            place = folder / split / f"class{label}"
            place.mkdir(parents=True)
            for number in range(count):
                seed += 1
                Image.fromarray(_pixels(seed)).save(place / f"{number:02d}.png")
    return folder
