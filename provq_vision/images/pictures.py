"""How are pixels written as a picture, and several images arranged in one?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from provq_protein.errors import ImageError
from provq_protein.extras import require_extra
from provq_protein.runs.files import replacing

_WHITE = 255


def check_pixels(pixels: object, *, name: str = "image") -> NDArray[np.uint8]:
    """
    Refuse what are not the pixels of one RGB image.

    Parameters
    ----------
    pixels : object
        What is expected to be an array.
    name : str
        What to call it in messages.

    Returns
    -------
    ndarray, shape=(height, width, 3), dtype=uint8
        The same.

    Raises
    ------
    ImageError
        If it is of another type or shape, or has no pixel.
    """
    fits = (
        isinstance(pixels, np.ndarray)
        and pixels.dtype == np.uint8
        and pixels.ndim == 3
        and pixels.shape[2] == 3
        and pixels.size > 0
    )
    if not fits:
        dtype, shape = getattr(pixels, "dtype", None), getattr(pixels, "shape", None)
        found = type(pixels).__name__ if shape is None else f"{dtype} of shape {tuple(shape)}"
        msg = (
            f"{name}: expected an array of uint8 of shape (height, width, 3), got {found}; "
            "to_bytes in provq_vision.images.crops turns colors in [-1, 1] into bytes"
        )
        raise ImageError(msg)
    return pixels  # pyright: ignore[reportReturnType]


def save_png(path: Path, pixels: NDArray[np.uint8]) -> None:
    """
    Write one image as a PNG file, whole or not at all.

    Parameters
    ----------
    path : Path
        File to write; one that exists is replaced. The name is used as it is.
    pixels : ndarray, shape=(height, width, 3), dtype=uint8
        Colors (RGB). They are kept exactly.

    Raises
    ------
    ImageError
        If `pixels` are not those of one image.
    MissingExtraError
        If Pillow is not installed.
    OSError
        If the file cannot be written.
    """
    check_pixels(pixels, name=str(path))
    picture = _pillow().fromarray(np.ascontiguousarray(pixels))
    with replacing(path) as temporary, temporary.open("wb") as file:
        picture.save(file, format="PNG")


def grid(rows: Sequence[Sequence[NDArray[np.uint8]]], *, gap: int = 2) -> NDArray[np.uint8]:
    """
    Arrange images in rows and columns on white.

    Parameters
    ----------
    rows : sequence of sequences of ndarray, shape=(height, width, 3), dtype=uint8
        Images of any sizes; rows may differ in length. Each is placed at the top left of its
        cell, which is as high as the highest image of its row and as wide as the widest of its
        column.
    gap : int
        Pixels between cells; there are none around the outside.

    Returns
    -------
    ndarray, shape=(height, width, 3), dtype=uint8
        One image.

    Raises
    ------
    ImageError
        If there is no image, or one has another shape or type.
    ValueError
        If the gap is negative.

    Examples
    --------
    >>> small, large = np.zeros((2, 2, 3), np.uint8), np.zeros((4, 6, 3), np.uint8)
    >>> grid([[small, large], [large]], gap=1).shape
    (9, 13, 3)
    """
    if gap < 0:
        msg = f"gap: must be 0 or more pixels, got {gap}"
        raise ValueError(msg)
    for number, row in enumerate(rows):
        for column, image in enumerate(row):
            check_pixels(image, name=f"row {number}, column {column}")
    columns = max((len(row) for row in rows), default=0)
    if not columns:
        msg = "grid: expected at least one image, got none"
        raise ImageError(msg)
    heights = [max((image.shape[0] for image in row), default=0) for row in rows]
    widths = [max(row[n].shape[1] for row in rows if n < len(row)) for n in range(columns)]
    shape = (_extent(heights, gap), _extent(widths, gap), 3)
    canvas = np.full(shape, _WHITE, dtype=np.uint8)
    top = 0
    for row, height in zip(rows, heights, strict=True):
        left = 0
        for image, width in zip(row, widths, strict=False):  # a row may be shorter
            canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
            left += width + gap
        top += height + gap
    return canvas


def _extent(sizes: Sequence[int], gap: int) -> int:
    return sum(sizes) + gap * (len(sizes) - 1)


def _pillow() -> Any:  # noqa: ANN401 - Pillow is optional
    return require_extra("PIL.Image", extra="vision", purpose="writing a picture")
