"""What pixels are in the bytes of this image file, and why not?"""

import io
import struct
import threading
import zlib
from collections import Counter
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from provq_protein.errors import ImageError
from provq_protein.extras import require_extra

# Others have decoders that start programs or have no place in a set of photographs.
_FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "PPM", "TIFF")
# Pillow's own limit against decompression bombs, from which on it warns.
MOST_PIXELS = 89_478_485
_WIDE = 65_535
_FAILURES = (
    OSError,
    SyntaxError,
    ValueError,
    ArithmeticError,
    LookupError,
    TypeError,
    AttributeError,
    EOFError,
    RuntimeError,
    MemoryError,
    Warning,
    struct.error,
    zlib.error,
)


class ImageProblem(NamedTuple):
    """
    An image that could not be used.

    Parameters
    ----------
    name : str
        Its name in the set.
    reason : str
        Why, in a sentence.
    """

    name: str
    reason: str


class ImageAccount:
    """
    Count what was decoded and keep what could not be. Threads may share one.

    Attributes
    ----------
    modes : Counter
        Images per Pillow mode ("RGB", "L", "CMYK", ...) before conversion.
    problems : dict of str to str
        Reasons by name.
    """

    def __init__(self) -> None:
        self.modes: Counter[str] = Counter()
        self.problems: dict[str, str] = {}
        self._lock = threading.Lock()

    def decoded(self, mode: str) -> None:
        """
        Count an image that was decoded.

        Parameters
        ----------
        mode : str
            Pillow's name of its color space.
        """
        with self._lock:
            self.modes[mode] += 1

    def failed(self, name: str, reason: str) -> None:
        """
        Keep the reason for which an image cannot be used.

        Parameters
        ----------
        name : str
            Of the image.
        reason : str
            Why.
        """
        with self._lock:
            self.problems[name] = reason


def pillow() -> ModuleType:
    """
    Return the module ``PIL.Image``.

    Returns
    -------
    ModuleType
        Imported on the first call.

    Raises
    ------
    MissingExtraError
        If Pillow is not installed.
    """
    return require_extra("PIL.Image", extra="vision", purpose="reading images")


def decode_image(data: bytes, *, name: str, account: ImageAccount | None = None) -> np.ndarray:
    """
    Return the pixels of an image file.

    Parameters
    ----------
    data : bytes
        The whole file: JPEG, PNG, WebP, BMP, PPM or TIFF, whatever its name says.
    name : str
        For error messages.
    account : ImageAccount, optional
        Told what was met.

    Returns
    -------
    ndarray, shape=(height, width, 3), dtype=uint8
        RGB. Gray, palette and CMYK images are converted as Pillow does. Transparency is dropped:
        the color under it shows, over no background. Gray values of 16 bits are divided by 257
        and rounded. Of several frames the first is taken.

    Raises
    ------
    ImageError
        If the file is no image, is truncated or damaged, has more than `MOST_PIXELS` pixels or
        has floating point values, which have no agreed range.

    Notes
    -----
    The orientation in EXIF data is not applied: data sets that were prepared with other tools
    (torchvision among them) are seen as those see them.
    """
    module = pillow()
    failures = (*_FAILURES, module.DecompressionBombError)
    try:
        with module.open(io.BytesIO(data), formats=_FORMATS) as image:
            mode = image.mode
            pixels = _pixels(image)
    except failures as error:
        reason = _reason(error, data)
        if account is not None:
            account.failed(name, reason)
        msg = f"{name}: {reason}"
        raise ImageError(msg) from error
    if account is not None:
        account.decoded(mode)
    return pixels


def _reason(error: BaseException, data: bytes) -> str:
    if not data:
        return "the file is empty"
    if type(error).__name__ == "UnidentifiedImageError":
        return f"no image that can be read; expected one of {', '.join(_FORMATS)}"
    return f"cannot be decoded: {str(error) or type(error).__name__}"


def _pixels(image: Any) -> np.ndarray:  # noqa: ANN401  (Pillow is optional)
    width, height = image.size
    if width * height > MOST_PIXELS:
        msg = f"{width} x {height} pixels; at most {MOST_PIXELS} are decoded"
        raise ValueError(msg)
    if image.mode == "F":
        msg = "floating point values have no agreed range; save it with 8 bits per channel"
        raise ValueError(msg)
    if image.mode.startswith("I"):
        return _narrowed(np.asarray(image))
    if "transparency" in image.info:
        # Straight to RGB is the same pixels with a warning.
        image = image.convert("RGBA")
    return np.array(image.convert("RGB"))


def _narrowed(values: np.ndarray) -> np.ndarray:
    wide = values.astype(np.int64)
    if wide.min() < 0 or wide.max() > _WIDE:
        msg = f"gray values from {wide.min()} to {wide.max()}; expected 0 to {_WIDE}"
        raise ValueError(msg)
    gray = ((wide + 128) // 257).astype(np.uint8)
    return np.repeat(gray[:, :, None], 3, axis=2)
