"""How do reconstructions look, in a file that is small enough to keep?"""

import hashlib
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from provq_protein.errors import ConfigError, MissingExtraError
from provq_protein.extras import require_extra
from provq_vision.images.batches import center_batches
from provq_vision.images.crops import to_bytes, to_floats
from provq_vision.images.listing import ImageSet, open_images
from provq_vision.images.pictures import grid, save_png
from provq_vision.model import ImageAutoencoder

# The seed whose runs show pictures.
SEED = 0
# Photographs in the package scikit-image that are free of rights (NASA's, or CC0), so that they may
# be kept beside the results. ImageNet's may not.
PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "gravel.png",
    "hubble_deep_field.jpg",
    "ihc.png",
    "retina.jpg",
    "rocket.jpg",
)
GAP = 2
ORIGINALS = "originals.png"


def photographs() -> ImageSet:
    """
    Return the images that are shown.

    Returns
    -------
    ImageSet
        Photographs that no run was trained on.

    Raises
    ------
    MissingExtraError
        If scikit-image is not installed.
    """
    # Found and not imported: only its files are of use here.
    spec = find_spec("skimage")
    if spec is None or spec.origin is None:
        msg = (
            "the pictures of reconstructions need the photographs of scikit-image, which is not "
            "installed; install it with: pip install 'provq[bench]'"
        )
        raise MissingExtraError(msg)
    folder = Path(spec.origin).parent / "data"
    return open_images([folder / name for name in PHOTOGRAPHS])


def write(
    model: ImageAutoencoder, images: ImageSet, folder: Path, *, row: str, seed: int, size: int
) -> dict[str, Any] | None:
    """
    Write a strip of reconstructions, and one of their originals.

    Parameters
    ----------
    model : ImageAutoencoder
        A trained one.
    images : ImageSet
        The originals.
    folder : Path
        Where the pictures go.
    row : str
        Key of the row.
    seed : int
        Of the run.
    size : int
        Sides of the center crops in pixels.

    Returns
    -------
    dict or None
        Names and hashes of both files, and the images; None for seeds that are not shown.
    """
    if seed != SEED:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    batch = next(iter(center_batches(images, size=size, batch_size=len(images))))
    model.eval()
    with torch.no_grad():
        decoded = to_bytes(model.decode(model.encode(to_floats(batch.images))))
    return {
        "originals": _save(folder / ORIGINALS, batch.images),
        "reconstructions": _save(folder / f"{row}.{seed}.png", decoded),
        "size": size,
        "images": [images.names[int(index)] for index in batch.indices],
    }


def _save(path: Path, images: torch.Tensor) -> dict[str, str]:
    save_png(path, grid([[one.permute(1, 2, 0).numpy() for one in images]], gap=GAP))
    return {"file": path.name, "sha256": hashlib.sha256(path.read_bytes()).hexdigest()}


def read(folder: Path, strip: Mapping[str, str]) -> NDArray[np.uint8]:
    """
    Read a picture that results name.

    Parameters
    ----------
    folder : Path
        Of the results.
    strip : mapping
        Their entry ``originals`` or ``reconstructions``.

    Returns
    -------
    ndarray, shape=(height, width, 3), dtype=uint8
        The images side by side.

    Raises
    ------
    ConfigError
        If the file is missing or is another one.
    """
    path = folder / strip["file"]
    try:
        content = path.read_bytes()
    except OSError as error:
        msg = f"{path}: cannot be read ({error.strerror}); measure the run again"
        raise ConfigError(msg) from error
    if hashlib.sha256(content).hexdigest() != strip["sha256"]:
        msg = f"{path}: is not the picture that its results name; measure the run again"
        raise ConfigError(msg)
    pillow = require_extra("PIL.Image", extra="vision", purpose="the picture of reconstructions")
    with pillow.open(path) as image:
        return np.asarray(image.convert("RGB"))
