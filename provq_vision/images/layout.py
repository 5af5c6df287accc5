"""Which splits, classes and names do these paths of images mean?"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from provq_protein.errors import ConfigError, ImageError
from provq_vision.images.places import IMAGE_SUFFIXES, Place

SPLITS = ("train", "val", "test")
NO_LABEL = -1
_MOST_LABEL = 2**31


class Item(NamedTuple):
    """
    An image before names are known to be unique and classes to be complete.

    Parameters
    ----------
    name : str
        Its path below the folders that all images share.
    class_name : str or None
        Of its class.
    place : Place
        Its bytes.
    source : Path
        The folder or archive, which makes equal names of several sources differ.
    by_text : bool
        Whether the class was given as a text, which may be a number, rather than by a folder.
    """

    name: str
    class_name: str | None
    place: Place
    source: Path
    by_text: bool = False


def arranged(
    where: Path,
    images: Mapping[tuple[str, ...], Place],
    texts: Mapping[str, str] | None,
    split: str | None,
) -> list[Item]:
    """
    Find splits and classes in the paths of one folder or archive.

    Parameters
    ----------
    where : Path
        The folder or archive.
    images : mapping
        Places by the parts of the path below it.
    texts : mapping of str to str, optional
        Classes by `sample_key`; without it, folders are the classes.
    split : str, optional
        Which of the split folders.

    Returns
    -------
    list of Item
        Images of the split.

    Raises
    ------
    ConfigError
        If there is no image, or the split is absent or not given.
    """
    if not images:
        msg = f"{where}: holds no image; expected {', '.join(IMAGE_SUFFIXES)}, or plain .tar files"
        raise ConfigError(msg)
    top = next(iter(images))[0]
    drop = int(all(len(parts) > 2 and parts[0] == top for parts in images) and top not in SPLITS)
    folders = sorted({parts[drop] for parts in images if len(parts) > drop + 1})
    chosen = chosen_split(where, folders, split)
    items = []
    for parts, place in images.items():
        rest = parts[drop:]
        if chosen is not None:
            if rest[0] != chosen or len(rest) == 1:
                continue
            rest = rest[1:]
        folder = rest[0] if len(rest) > 1 else None
        class_name = folder if texts is None else texts.get(sample_key(parts))
        items.append(Item("/".join(rest), class_name, place, where, texts is not None))
    return items


def chosen_split(where: Path, folders: list[str], split: str | None) -> str | None:
    """
    Return which folder is the split.

    Parameters
    ----------
    where : Path
        For error messages.
    folders : list of str
        What there is to choose from.
    split : str, optional
        What is asked for.

    Returns
    -------
    str or None
        None if the folders are not all called like splits: they are classes then.

    Raises
    ------
    ConfigError
        If the split is not there, or there are several and none is asked for.
    """
    if split is not None:
        if split not in folders:
            shown = ", ".join(folders[:5]) or "none"
            msg = f"{where}: has no folder {split!r} for the split; its folders are: {shown}"
            raise ConfigError(msg)
        return split
    if not folders or not set(folders) <= set(SPLITS):
        return None
    if len(folders) > 1:
        msg = f"{where}: holds the splits {', '.join(folders)}; say which with split"
        raise ConfigError(msg)
    return folders[0]


def assembled(
    items: list[Item],
) -> tuple[list[str], np.ndarray, list[Place], tuple[str, ...]]:
    """
    Make names unique, number the classes and sort.

    Parameters
    ----------
    items : list of Item
        Of all sources.

    Returns
    -------
    names : list of str
        Sorted; with the source before them if some were equal.
    labels : ndarray, shape=(image,), dtype=int64
        Class numbers; -1 without one.
    places : list of Place
        In the same order.
    classes : tuple of str
        Sorted; empty if all classes are numbers already.

    Raises
    ------
    ImageError
        If the same image is there twice, or a class number is too large.
    """
    items = sorted(_distinct(items), key=lambda item: item.name)
    found = {item.class_name for item in items if item.class_name is not None}
    numbered = all(item.by_text for item in items) and all(map(_is_number, found))
    if numbered:
        numbers = {text: int(text) for text in found}
        largest = max(numbers.values(), default=0)
        if largest >= _MOST_LABEL:
            msg = f"class number {largest}; expected less than {_MOST_LABEL}"
            raise ImageError(msg)
    else:
        numbers = {name: number for number, name in enumerate(sorted(found))}
    labels = [NO_LABEL if i.class_name is None else numbers[i.class_name] for i in items]
    return (
        [item.name for item in items],
        np.array(labels, dtype=np.int64),
        [item.place for item in items],
        () if numbered else tuple(numbers),
    )


def _distinct(items: list[Item]) -> list[Item]:
    """Put as much of the source before the names as makes them differ."""
    named = items
    for prefixed in (False, True):
        if len({item.name for item in named}) == len(named):
            return named
        parts = [item.source.as_posix() if prefixed else item.source.stem for item in items]
        named = [
            item._replace(name=f"{part}/{item.name}")
            for part, item in zip(parts, items, strict=True)
        ]
    counts = Counter(item.name for item in named)
    name, count = counts.most_common(1)[0]
    if count > 1:
        msg = f"{name}: {count} images have this name; give each path once"
        raise ImageError(msg)
    return named


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def sample_key(parts: tuple[str, ...]) -> str:
    """
    Return the key of a WebDataset sample: its path up to the first dot of the file name.

    Parameters
    ----------
    parts : tuple of str
        The path.

    Returns
    -------
    str
        The key.

    Examples
    --------
    >>> sample_key(("shard", "000017.seg.png"))
    'shard/000017'
    """
    return "/".join((*parts[:-1], parts[-1].split(".", 1)[0]))
