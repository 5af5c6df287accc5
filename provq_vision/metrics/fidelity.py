"""How close are images to their originals, pixel by pixel and window by window?"""

import math

import torch
from torch import Tensor

from provq_protein.errors import ImageError

_LARGEST = 255
_CHANNELS = 3
# Of the window of SSIM; 7 is what scikit-image takes where nothing else is asked for.
_WINDOW = 7


def psnr(images: Tensor, targets: Tensor) -> Tensor:
    """
    Return the peak signal-to-noise ratio of each image.

    Parameters
    ----------
    images : Tensor, shape=(batch, 3, height, width), dtype=uint8
        Reconstructions.
    targets : Tensor, shape=(batch, 3, height, width), dtype=uint8
        Originals.

    Returns
    -------
    Tensor, shape=(batch,), dtype=float64
        In decibels; infinite where an image equals its original.

    Raises
    ------
    ImageError
        If the two are not bytes of the same shape.

    Notes
    -----
    Papers print the mean of these values over images. The ratio of the mean squared error over
    all images is another number, which is about one decibel lower.

    Sums of squares are taken in integers, so that a value does not depend on the batch that an
    image is in.

    Examples
    --------
    >>> black = torch.zeros(1, 3, 8, 8, dtype=torch.uint8)
    >>> psnr(black, black + 51).tolist()
    [13.979400086720377]
    """
    _check(images, targets, smallest=1)
    gaps = images.int() - targets.int()
    squares = gaps.square().flatten(1).sum(dim=1, dtype=torch.int64)
    mean = squares.double() / math.prod(images.shape[1:])
    return 10.0 * torch.log10(_LARGEST**2 / mean)


def ssim(images: Tensor, targets: Tensor, *, data_range: float = 1.0) -> Tensor:
    """
    Return the structural similarity of each image and its original.

    Parameters
    ----------
    images : Tensor, shape=(batch, 3, height, width), dtype=uint8
        Reconstructions, 7 x 7 pixels or more.
    targets : Tensor, shape=(batch, 3, height, width), dtype=uint8
        Originals.
    data_range : float
        Distance of the darkest and the brightest value that a channel could have, where bytes
        are scaled to [0, 1].

    Returns
    -------
    Tensor, shape=(batch,), dtype=float64
        From -1 to 1, 1 where an image equals its original: mean over channels and over all
        windows of 7 x 7 pixels that lie within the image.

    Raises
    ------
    ImageError
        If the two are not bytes of the same shape, or too small.
    ValueError
        If the range is not positive.

    Notes
    -----
    What scikit-image computes, of images scaled to [0, 1], with its default window (uniform) and
    its default (sample) covariance. Other libraries weight the window with a Gaussian, or compare
    brightness alone; their numbers cannot be set beside these.

    References
    ----------
    .. [1] Wang et al., "Image quality assessment: from error visibility to structural similarity",
       IEEE Transactions on Image Processing 13, 600-612 (2004).

    Examples
    --------
    >>> ramp = torch.arange(192, dtype=torch.uint8).reshape(1, 3, 8, 8)
    >>> ssim(ramp, ramp).tolist()
    [1.0]
    """
    _check(images, targets, smallest=_WINDOW)
    if not data_range > 0.0:
        msg = f"data_range: expected a positive number, got {data_range}"
        raise ValueError(msg)
    # One image at a time: the sums take some fifty bytes per value.
    values = [
        _similarity(image, target, data_range * _LARGEST)
        for image, target in zip(images, targets, strict=True)
    ]
    if not values:
        return torch.zeros(0, dtype=torch.float64, device=images.device)
    return torch.stack(values)


def ssim_llamagen(images: Tensor, targets: Tensor) -> Tensor:
    """
    Return the structural similarity as tables of image tokenizers print it.

    Parameters
    ----------
    images : Tensor, shape=(batch, 3, height, width), dtype=uint8
        Reconstructions, 7 x 7 pixels or more.
    targets : Tensor, shape=(batch, 3, height, width), dtype=uint8
        Originals.

    Returns
    -------
    Tensor, shape=(batch,), dtype=float64
        As `ssim`; larger, most of all where images differ much.

    Raises
    ------
    ImageError
        If the two are not bytes of the same shape, or too small.

    Notes
    -----
    LlamaGen's evaluation scales images to [0, 1] and states a range of 2. That takes small
    contrasts for noise, and hides much of what distinguishes two images. The value is of use to
    compare with published tables, and for nothing else.

    References
    ----------
    .. [1] Sun et al., "Autoregressive model beats diffusion: Llama for scalable image generation"
       (LlamaGen), arXiv:2406.06525.

    Examples
    --------
    >>> ramp = torch.arange(192, dtype=torch.uint8).reshape(1, 3, 8, 8)
    >>> bool(ssim_llamagen(ramp, ramp.flip(3)) > ssim(ramp, ramp.flip(3)))
    True
    """
    return ssim(images, targets, data_range=2.0)


def _similarity(image: Tensor, target: Tensor, span: float) -> Tensor:
    """Compare two images of shape (channel, height, width) in units of bytes."""
    # Sums over windows are exact, since they are integers.
    x, y = image.int(), target.int()
    pixels = _WINDOW**2
    sum_x, sum_y = _window_sums(x).double(), _window_sums(y).double()
    mean_x, mean_y = sum_x / pixels, sum_y / pixels
    degrees = pixels - 1
    variance_x = (_window_sums(x * x).double() - sum_x * mean_x) / degrees
    variance_y = (_window_sums(y * y).double() - sum_y * mean_y) / degrees
    covariance = (_window_sums(x * y).double() - sum_x * mean_y) / degrees
    floor_mean, floor_variance = (0.01 * span) ** 2, (0.03 * span) ** 2
    brightness = (2.0 * mean_x * mean_y + floor_mean) / (mean_x**2 + mean_y**2 + floor_mean)
    structure = (2.0 * covariance + floor_variance) / (variance_x + variance_y + floor_variance)
    return (brightness * structure).mean()


def _window_sums(values: Tensor) -> Tensor:
    """Sum windows that lie within the last two axes."""
    rows = values.shape[-2] - _WINDOW + 1
    columns = values.shape[-1] - _WINDOW + 1
    along = sum(
        (values.narrow(-2, start, rows) for start in range(1, _WINDOW)), values[..., :rows, :]
    )
    return sum(
        (along.narrow(-1, start, columns) for start in range(1, _WINDOW)), along[..., :columns]
    )


def _check(images: Tensor, targets: Tensor, *, smallest: int) -> None:
    for name, batch in (("images", images), ("targets", targets)):
        fits = (
            batch.dtype == torch.uint8
            and batch.ndim == 4
            and batch.shape[1] == _CHANNELS
            and min(batch.shape[2:]) >= smallest
        )
        if not fits:
            msg = (
                f"{name}: expected uint8 of shape (batch, {_CHANNELS}, height, width), "
                f"{smallest} x {smallest} pixels or more, got {batch.dtype} of "
                f"{tuple(batch.shape)}"
            )
            raise ImageError(msg)
    if images.shape != targets.shape:
        msg = (
            f"images and targets: expected the same shape, got {tuple(images.shape)} and "
            f"{tuple(targets.shape)}"
        )
        raise ImageError(msg)
