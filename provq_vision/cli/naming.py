"""What are the pictures called that ``provq-vision decode`` writes?"""

import re
import unicodedata
from pathlib import PurePosixPath

from provq_vision.tokens import NO_LABEL, ImageTokens

# What is special to some shell or file system; letters and digits of all scripts are not.
_SPECIAL = re.compile(r"[^\w.+-]")
_IMAGE_SUFFIX = re.compile(r"\.(jpe?g|png|webp|bmp|ppm|tiff?)$", re.IGNORECASE)


def picture_names(tokens: ImageTokens) -> list[PurePosixPath]:
    """
    Name one PNG file per image after the image and its class.

    Parameters
    ----------
    tokens : ImageTokens
        Images, in order.

    Returns
    -------
    list of PurePosixPath
        ``CLASS/STEM.png`` each, or ``STEM.png`` of images without a class: relative, and without
        a step upwards, whatever the names are. Where that is taken, also by a name that differs
        only in case, as on some disks, ``-2``, ``-3``, ... follows the stem.

    Examples
    --------
    >>> tokens = ImageTokens(
    ...     ids=[[[0]], [[1]], [[1]]],
    ...     names=("photos/cat.jpg", "/tmp/Cat.png", "dog/1.png"),
    ...     labels=[-1, -1, 0],
    ...     classes=("dog",),
    ...     fingerprint="c0ffee",
    ...     codebook_size=4,
    ... )
    >>> [str(name) for name in picture_names(tokens)]
    ['cat.png', 'Cat-2.png', 'dog/1.png']
    """
    taken: set[str] = set()
    names = []
    for name, label in zip(tokens.names, tokens.labels.tolist(), strict=True):
        base = plain_name(name, class_name(tokens, label))
        chosen, number = base, 1
        while _key(chosen) in taken:
            number += 1
            chosen = base.with_name(f"{base.stem}-{number}.png")
        taken.add(_key(chosen))
        names.append(chosen)
    return names


def class_name(tokens: ImageTokens, label: int) -> str | None:
    """
    Return the name of a class, or its number if it has none.

    Parameters
    ----------
    tokens : ImageTokens
        Whose classes.
    label : int
        Number of the class.

    Returns
    -------
    str or None
        None for -1.
    """
    if label == NO_LABEL:
        return None
    return tokens.classes[label] if tokens.classes else str(label)


def plain_name(name: str, folder: str | None) -> PurePosixPath:
    """
    Return the path of an image's picture, heedless of others.

    Parameters
    ----------
    name : str
        Of the image.
    folder : str or None
        Its class.

    Returns
    -------
    PurePosixPath
        Class and stem, each safe as part of a path.
    """
    # Both separators: the token file may come from another system.
    stem = _IMAGE_SUFFIX.sub("", re.split(r"[/\\]", name)[-1])
    file = f"{_safe(stem) or 'image'}.png"
    return (
        PurePosixPath(_safe(folder) or "class", file)
        if folder is not None
        else (PurePosixPath(file))
    )


def _safe(text: str) -> str:
    # A leading dot would hide the file, or lead upwards.
    return _SPECIAL.sub("_", text).lstrip(".")


def _key(path: PurePosixPath) -> str:
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", str(path)).casefold())
