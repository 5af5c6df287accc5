"""Which images did a user name, in which order, and what is wrong with the others?"""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from provq_protein.errors import ConfigError, ImageError, ProvqError
from provq_vision.images.decoding import ImageProblem, decode_image
from provq_vision.images.listing import ImageSet, open_images
from provq_vision.images.pictures import check_pixels

OnProblem: TypeAlias = Callable[[ImageProblem], None]

_Result = TypeVar("_Result")

# What torch raises for an image that it has no memory for, or a model for one that it cannot take.
_FAILURES = (ValueError, RuntimeError, MemoryError)
# Pillow's modes whose values are no colors from 0 to 255: gray of 16 or 32 bits, floats.
_WIDE_MODES = ("I", "F")


class ImageInput(NamedTuple):
    """
    One image that a user named.

    Parameters
    ----------
    name : str
        As the user finds it again.
    label : int
        Number of its class, -1 for none.
    pixels : callable
        Returns the pixels, uint8 (height, width, 3), or raises `ImageError`.
    """

    name: str
    label: int
    pixels: Callable[[], NDArray[np.uint8]]


class Gathered(NamedTuple):
    """
    All images that a user named.

    Parameters
    ----------
    images : list of ImageInput
        In the order of the inputs, and of the names within a folder or archive.
    classes : tuple of str
        What the labels stand for; empty where they are numbers without names.
    """

    images: list[ImageInput]
    classes: tuple[str, ...]


# Paths, a set, decoded images (arrays, or images of Pillow), a batch, or several of them.
ImageInputs: TypeAlias = (
    str | Path | ImageSet | np.ndarray | torch.Tensor | Gathered | Iterable[Any]
)


def gather(
    inputs: ImageInputs, *, split: str | None = None, on_problem: OnProblem | None = None
) -> Gathered:
    """
    List the images of paths, arrays, Pillow images or a set; none is decoded yet.

    Parameters
    ----------
    inputs : str, Path, ImageSet, ndarray, Tensor, Pillow image or iterable of them
        Image files, folders and archives as `open_images` takes them; pixels as uint8 arrays
        (height, width, 3), and batches of them; a batch as a uint8 Tensor
        (batch, 3, height, width). What was gathered already is returned as it is.
    split : str, optional
        "train", "val" or "test" of the folders and archives.
    on_problem : callable, optional
        Called with an `ImageProblem` for each input that holds no image. Without it, the first
        problem is raised.

    Returns
    -------
    Gathered
        Images and classes. An image file has the name by which it was given, images of folders
        and archives that in the set; where such a name comes twice, all of them follow the name
        of their folder or archive.

    Raises
    ------
    ConfigError
        If an input cannot be opened and `on_problem` is None.
    ImageError
        If an input is no image, or an archive is damaged, and `on_problem` is None.
    """
    if isinstance(inputs, Gathered):
        return inputs
    sources: list[tuple[str, ImageSet | ImageInput]] = []
    for number, each in enumerate(_several(inputs)):
        try:
            sources.append(_source(each, number, split))
        except (ConfigError, ImageError) as error:
            if on_problem is None:
                raise
            where = str(each) if isinstance(each, str | Path) else f"image {number}"
            on_problem(ImageProblem(where, reason_of(error, where)))
    classes, numbers = _classes([found for _, found in sources if isinstance(found, ImageSet)])
    counts = Counter(name for _, found in sources for name in _names(found))
    ambiguous = any(count > 1 for count in counts.values())
    images: list[ImageInput] = []
    for where, found in sources:
        if isinstance(found, ImageSet):
            prefix = f"{where}/" if ambiguous and where else ""
            images += _members(found, prefix, numbers)
        else:
            images.append(found)
    return Gathered(images, classes)


def attempt(
    image: ImageInput, compute: Callable[[ImageInput], _Result], on_problem: OnProblem | None
) -> _Result | None:
    """
    Compute something of an image that may be unreadable.

    Parameters
    ----------
    image : ImageInput
        The image.
    compute : callable
        Takes the image; what it raises is a problem of this image.
    on_problem : callable, optional
        Called with an `ImageProblem`. Without it, the problem is raised.

    Returns
    -------
    object or None
        The result of `compute`; None if there was a problem.

    Raises
    ------
    ImageError
        If there was a problem and `on_problem` is None.
    """
    try:
        return compute(image)
    except _FAILURES as error:
        reason = reason_of(error, image.name)
        if on_problem is None:
            msg = f"{image.name}: {reason}"
            raise ImageError(msg) from error
        on_problem(ImageProblem(image.name, reason))
        return None


def reason_of(error: Exception, where: str) -> str:
    """
    Return what is wrong with an image in one line, without its name.

    Parameters
    ----------
    error : Exception
        What was raised.
    where : str
        Name of the image, which the message may begin with.

    Returns
    -------
    str
        The reason. Of an exception that is none of ours it says so.
    """
    kind = "" if isinstance(error, ProvqError) else f"unexpected {type(error).__name__}: "
    text = str(error).removeprefix(f"{where}: ") or type(error).__name__
    return f"{kind}{' '.join(text.split())}"


def _several(inputs: ImageInputs) -> Iterator[object]:
    """Yield paths, sets, and single images; a batch is several images."""
    if isinstance(inputs, str | Path | ImageSet) or _is_pillow(inputs):
        yield inputs
    elif isinstance(inputs, torch.Tensor):
        yield from _rows_of_batch(inputs)
    elif isinstance(inputs, np.ndarray) and inputs.ndim < 4:
        yield inputs
    elif isinstance(inputs, Iterable):
        yield from inputs
    else:
        yield inputs  # refused later, with its type


def _rows_of_batch(batch: torch.Tensor) -> Sequence[NDArray[np.uint8]]:
    fits = batch.dtype == torch.uint8 and batch.ndim == 4 and batch.shape[1] == 3
    if not fits:
        msg = (
            f"a batch of images: expected uint8 of shape (batch, 3, height, width), got "
            f"{batch.dtype} of {tuple(batch.shape)}; to_bytes in provq_vision.images.crops turns "
            "colors in [-1, 1] into bytes"
        )
        raise ImageError(msg)
    return list(batch.permute(0, 2, 3, 1).contiguous().cpu().numpy())


def _source(each: object, number: int, split: str | None) -> tuple[str, ImageSet | ImageInput]:
    name = f"image {number}"
    if isinstance(each, ImageSet):
        return "", each
    if isinstance(each, str | Path):
        path = os.fspath(each)
        found = open_images([each], split=split)
        if Path(each).is_dir() or Path(each).suffix.lower() == ".tar":
            return path, found
        return "", ImageInput(path, -1, _reader(found, 0, path))
    if _is_pillow(each):
        return "", ImageInput(name, -1, lambda: _pillow_pixels(each, name))
    pixels = check_pixels(each, name=name)
    return "", ImageInput(name, -1, lambda: pixels)


def _members(found: ImageSet, prefix: str, numbers: dict[str, int]) -> list[ImageInput]:
    named = [numbers[name] for name in found.classes]
    images = []
    for index, (name, label) in enumerate(zip(found.names, found.labels.tolist(), strict=True)):
        shown = f"{prefix}{name}"
        images.append(
            ImageInput(shown, _label(label, named, numbers), _reader(found, index, shown))
        )
    return images


def _reader(found: ImageSet, index: int, shown: str) -> Callable[[], NDArray[np.uint8]]:
    def pixels() -> NDArray[np.uint8]:
        try:
            data = found.read(index)
        except ImageError as error:
            msg = f"{shown}: {reason_of(error, found.names[index])}"
            raise ImageError(msg) from error
        return decode_image(data, name=shown)

    return pixels


def _label(label: int, named: list[int], numbers: dict[str, int]) -> int:
    if label < 0:
        return -1
    return named[label] if named else numbers.get(str(label), label)


def _classes(sets: Sequence[ImageSet]) -> tuple[tuple[str, ...], dict[str, int]]:
    """Return the class names of several sets, and their numbers."""
    if not any(found.classes for found in sets):
        return (), {}  # labels stay as they are
    names = {name for found in sets for name in found.classes}
    for found in sets:
        if not found.classes:
            names |= {str(label) for label in found.labels.tolist() if label >= 0}
    classes = tuple(sorted(names))
    return classes, {name: number for number, name in enumerate(classes)}


def _names(found: ImageSet | ImageInput) -> Sequence[str]:
    return found.names if isinstance(found, ImageSet) else (found.name,)


def _is_pillow(thing: object) -> bool:
    # Told by name, so that nothing imports Pillow to find out.
    return any(base.__module__ == "PIL.Image" for base in type(thing).__mro__)


def _pillow_pixels(image: Any, name: str) -> NDArray[np.uint8]:  # noqa: ANN401 - Pillow is optional
    if image.mode.startswith(_WIDE_MODES):
        msg = f"{name}: mode {image.mode!r} has no agreed range of values; convert it to 'RGB'"
        raise ImageError(msg)
    try:
        return np.array(image.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as error:  # opened lazily, so read only now
        msg = f"{name}: cannot be decoded: {error}"
        raise ImageError(msg) from error
