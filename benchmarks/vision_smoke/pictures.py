"""Where do images come from where there are none: colored shapes on gradients."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLASSES = ("disk", "square")
SIDE = 48


def drawn(shape: str, seed: int) -> NDArray[np.uint8]:
    """
    Draw one shape of one color on a gradient between two others.

    Parameters
    ----------
    shape : {"disk", "square"}
        What to draw.
    seed : int
        Decides colors, place and size.

    Returns
    -------
    ndarray, shape=(48, 48, 3), dtype=uint8
        The picture.
    """
    generator = np.random.default_rng(seed)
    above, below, color = generator.integers(0, 256, (3, 3)).astype(float)
    rows, columns = np.mgrid[0:SIDE, 0:SIDE]
    share = (rows / (SIDE - 1))[..., None]
    pixels = (1.0 - share) * above + share * below
    row, column = generator.uniform(0.3 * SIDE, 0.7 * SIDE, 2)
    radius = generator.uniform(0.12 * SIDE, 0.28 * SIDE)
    down, right = np.abs(rows - row), np.abs(columns - column)
    inside = np.maximum(down, right) < radius
    if shape == "disk":
        inside = np.hypot(down, right) < radius
    pixels[inside] = color
    return np.rint(pixels).astype(np.uint8)


def write_folder(folder: Path, *, training: int = 32, validation: int = 8) -> None:
    """
    Write an image folder with the splits train and val.

    Parameters
    ----------
    folder : Path
        Where; created.
    training, validation : int
        Pictures of each class.
    """
    seed = 0
    for split, count in (("train", training), ("val", validation)):
        for shape in CLASSES:
            place = folder / split / shape
            place.mkdir(parents=True, exist_ok=True)
            for number in range(count):
                seed += 1
                Image.fromarray(drawn(shape, seed)).save(place / f"{number:03d}.png")
