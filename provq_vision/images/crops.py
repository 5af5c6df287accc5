"""Which square of an image does a model see, and in what numbers?"""

import math

import numpy as np
import torch
from torch import Tensor

from provq_protein.errors import ConfigError, ImageError
from provq_vision.images.decoding import MOST_PIXELS, pillow

_CHANNELS = 3


def center_crop(image: np.ndarray, size: int) -> np.ndarray:
    """
    Return the central square of an image, as ADM (guided-diffusion) evaluates.

    Parameters
    ----------
    image : ndarray, shape=(height, width, 3), dtype=uint8
        Of any size; a smaller one than the crop is enlarged.
    size : int
        Sides of the crop, in pixels.

    Returns
    -------
    ndarray, shape=(size, size, 3), dtype=uint8
        The crop.

    Raises
    ------
    ImageError
        If the array is no image, or if it is so long that it cannot be enlarged.

    Notes
    -----
    The image is halved by box averaging while its short side has at least twice the size; bicubic
    resampling then brings the short side to the size, and the middle of the long side is kept (of
    an odd rest, the smaller half is cut off first).

    References
    ----------
    .. [1] Dhariwal and Nichol, Diffusion Models Beat GANs on Image Synthesis, NeurIPS 2021.
    """
    resized = _resized(image, size)
    top, left = ((side - size) // 2 for side in resized.shape[:2])
    return resized[top : top + size, left : left + size]


def random_crop(
    image: np.ndarray,
    size: int,
    generator: np.random.Generator,
    *,
    smallest: float = 0.8,
    largest: float = 1.0,
) -> np.ndarray:
    """
    Return a random square of an image, as ADM (guided-diffusion) and LlamaGen train.

    Parameters
    ----------
    image : ndarray, shape=(height, width, 3), dtype=uint8
        Of any size; one smaller than the crop is enlarged.
    size : int
        Sides of the crop, in pixels.
    generator : Generator
        Decides size and place: three draws.
    smallest, largest : float
        The crop takes between these shares of the short side.

    Returns
    -------
    ndarray, shape=(size, size, 3), dtype=uint8
        The crop.

    Raises
    ------
    ImageError
        If the array is no image, or if it is so long that it cannot be enlarged.
    ConfigError
        If the shares are not 0 < smallest <= largest <= 1.

    Notes
    -----
    The short side becomes an integer drawn uniformly from size / largest to size / smallest (256
    to 320 for 256), both rounded up, by halving and bicubic resampling as in `center_crop`; the
    place is uniform.

    References
    ----------
    .. [1] Dhariwal and Nichol, Diffusion Models Beat GANs on Image Synthesis, NeurIPS 2021.
    """
    if not 0 < smallest <= largest <= 1:
        msg = f"crop shares: expected 0 < smallest <= largest <= 1, got {smallest} and {largest}"
        raise ConfigError(msg)
    short = generator.integers(math.ceil(size / largest), math.ceil(size / smallest) + 1)
    resized = _resized(image, int(short))
    top = int(generator.integers(resized.shape[0] - size + 1))
    left = int(generator.integers(resized.shape[1] - size + 1))
    return resized[top : top + size, left : left + size]


def ten_crops(image: np.ndarray, size: int, *, margin: float = 1.1) -> np.ndarray:
    """
    Return the corners and the middle of an image and of its mirror image.

    LlamaGen trains its sequence model on the codes of these, once with a margin of 1.1 and once
    with 1.05.

    Parameters
    ----------
    image : ndarray, shape=(height, width, 3), dtype=uint8
        Of any size.
    size : int
        Sides of the crops, in pixels.
    margin : float
        The five are cut from a central square of so many times the size, rounded down.

    Returns
    -------
    ndarray, shape=(10, size, size, 3), dtype=uint8
        Top left, top right, bottom left, bottom right and middle; then the same five places of
        the mirrored square.

    Raises
    ------
    ImageError
        If the array is no image.
    ConfigError
        If the margin is below 1.
    """
    if margin < 1:
        msg = f"margin of ten crops: expected at least 1, got {margin}"
        raise ConfigError(msg)
    square = center_crop(image, int(size * margin))
    rest = len(square) - size
    middle = round(rest / 2)
    corners = [(0, 0), (0, rest), (rest, 0), (rest, rest), (middle, middle)]
    return np.stack(
        [
            side[top : top + size, left : left + size]
            for side in (square, flip(square))
            for top, left in corners
        ]
    )


def flip(image: np.ndarray) -> np.ndarray:
    """
    Return the mirror image, left and right exchanged.

    Parameters
    ----------
    image : ndarray, shape=(height, width, 3), dtype=uint8
        Any image.

    Returns
    -------
    ndarray, shape=(height, width, 3), dtype=uint8
        A view.

    Examples
    --------
    >>> import numpy as np
    >>> flip(np.array([[[1, 1, 1], [2, 2, 2]]], dtype=np.uint8))[0, :, 0].tolist()
    [2, 1]
    """
    return image[:, ::-1]


def to_floats(images: Tensor) -> Tensor:
    """
    Return the numbers a model takes for bytes.

    Parameters
    ----------
    images : Tensor, shape=(batch, 3, height, width), dtype=uint8
        From 0 to 255.

    Returns
    -------
    Tensor, shape=(batch, 3, height, width), dtype=float32
        From -1 to 1: x / 127.5 - 1.

    Examples
    --------
    >>> import torch
    >>> to_floats(torch.tensor([0, 255], dtype=torch.uint8)).tolist()
    [-1.0, 1.0]
    """
    return images.float() / 127.5 - 1


def to_bytes(images: Tensor) -> Tensor:
    """
    Return the bytes of a model's numbers, for files and metrics.

    Parameters
    ----------
    images : Tensor, shape=(batch, 3, height, width)
        Nominally from -1 to 1; numbers outside are clamped.

    Returns
    -------
    Tensor, shape=(batch, 3, height, width), dtype=uint8
        The nearest integer to 127.5 x + 127.5.

    Raises
    ------
    ImageError
        If a value is not a number.

    Examples
    --------
    >>> import torch
    >>> to_bytes(torch.tensor([-1.2, 0.0, 1.0])).tolist()
    [0, 128, 255]
    """
    scaled = images.detach().float() * 127.5 + 127.5
    if bool(scaled.isnan().any()):
        msg = "an image holds values that are not numbers (NaN); did the model diverge?"
        raise ImageError(msg)
    return scaled.round().clamp(0, 255).to(torch.uint8)


def _resized(image: np.ndarray, short: int) -> np.ndarray:
    """Bring the short side to a length: by halves first, then by bicubic resampling."""
    _check(image)
    height, width = image.shape[:2]
    if min(height, width) == short:
        return image
    if short < 1:
        msg = f"crop: expected a size of at least 1 pixel, got {short}"
        raise ConfigError(msg)
    module = pillow()
    picture = module.fromarray(np.ascontiguousarray(image))
    while min(picture.size) >= 2 * short:
        halved = (picture.size[0] // 2, picture.size[1] // 2)
        picture = picture.resize(halved, resample=module.Resampling.BOX)
    scale = short / min(picture.size)
    sides = (round(picture.size[0] * scale), round(picture.size[1] * scale))
    if sides[0] * sides[1] > MOST_PIXELS:
        msg = (
            f"{width} x {height} pixels with a short side of {short} are {sides[0]} x {sides[1]}; "
            f"at most {MOST_PIXELS} pixels are computed"
        )
        raise ImageError(msg)
    return np.asarray(picture.resize(sides, resample=module.Resampling.BICUBIC))


def _check(image: np.ndarray) -> None:
    fits = image.ndim == _CHANNELS and image.shape[2] == _CHANNELS and image.dtype == np.uint8
    if not fits or 0 in image.shape:
        msg = f"expected a uint8 array (height, width, 3), got {image.dtype} {image.shape}"
        raise ImageError(msg)
