"""Which images do these folders, archives and files hold, and what are their bytes?"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import numpy as np

from provq_protein.errors import ConfigError, ImageError
from provq_vision.images.layout import (
    NO_LABEL,
    SPLITS,
    Item,
    arranged,
    assembled,
    chosen_split,
    sample_key,
)
from provq_vision.images.places import (
    ARCHIVE_SUFFIX,
    COMPRESSED_SUFFIXES,
    IMAGE_SUFFIXES,
    WHOLE_FILE,
    Archives,
    Place,
    archive_members,
    folder_files,
    is_hidden,
    suffix,
)

_CLASS_SUFFIX = ".cls"
_MOST_TEXT = 1024


class ManifestRow(NamedTuple):
    """
    One image of a set, so that another machine can tell whether it has the same.

    Parameters
    ----------
    name : str
        In the set.
    label : int
        Class number; -1 without one.
    sha256 : str
        Of the bytes of the file, in hex.
    """

    name: str
    label: int
    sha256: str


class ImageSet:
    """
    Images in a fixed order, read when they are asked for.

    Made by `open_images`. Threads may share a set.

    Parameters
    ----------
    names : sequence of str
        Unique and sorted.
    labels : ndarray, shape=(image,), dtype=int64
        Class numbers; -1 without one.
    places : sequence of tuple
        Path, offset (-1 for a whole file) and bytes of each image.
    classes : sequence of str
        Class names; a label is a position in it. Empty where classes are only numbered.
    """

    def __init__(
        self,
        names: Sequence[str],
        labels: np.ndarray,
        places: Sequence[tuple[Path, int, int]],
        *,
        classes: Sequence[str],
    ) -> None:
        self.names = tuple(names)
        self.labels = np.asarray(labels, dtype=np.int64)
        self.classes = tuple(classes)
        self._places = tuple(Place(*place) for place in places)
        self._archives = Archives()

    def __len__(self) -> int:
        return len(self.names)

    def __repr__(self) -> str:
        return f"ImageSet({len(self)} images, {len(self.classes)} named classes)"

    def read(self, index: int) -> bytes:
        """
        Return the bytes of an image file, undecoded.

        Parameters
        ----------
        index : int
            Which image.

        Returns
        -------
        bytes
            All of them.

        Raises
        ------
        ImageError
            If the file is gone, or an archive is shorter than it was.
        """
        name, place = self.names[index], self._places[index]
        try:
            if place.offset == WHOLE_FILE:
                return place.path.read_bytes()
            data = self._archives.read(place)
        except OSError as error:
            msg = f"{name}: {place.path}: {error.strerror or error}"
            raise ImageError(msg) from error
        if len(data) < place.size:
            msg = (
                f"{name}: {place.path}: {len(data)} of {place.size} bytes at {place.offset}; "
                "the archive was cut short or replaced after it was opened"
            )
            raise ImageError(msg)
        return data

    def select(self, indices: Iterable[int]) -> "ImageSet":
        """
        Return some of the images, in the order of this set.

        Parameters
        ----------
        indices : iterable of int
            Which; each at most once.

        Returns
        -------
        ImageSet
            With the class names and labels of this set.

        Raises
        ------
        ConfigError
            If an index is outside the set or comes twice.
        """
        chosen = sorted(int(index) for index in indices)
        if chosen and not 0 <= chosen[0] <= chosen[-1] < len(self):
            msg = f"indices {chosen[0]} to {chosen[-1]} of a set of {len(self)} images"
            raise ConfigError(msg)
        if len(set(chosen)) < len(chosen):
            twice = next(a for a, b in pairwise(chosen) if a == b)
            msg = f"image {twice} ({self.names[twice]}) is selected twice; each may come once"
            raise ConfigError(msg)
        part = ImageSet(
            [self.names[i] for i in chosen],
            self.labels[chosen],
            [self._places[i] for i in chosen],
            classes=self.classes,
        )
        part._archives = self._archives
        return part

    def of_classes(self, classes: Sequence[str]) -> "ImageSet":
        """
        Return the images of some classes, which are numbered anew in sorted order.

        Parameters
        ----------
        classes : sequence of str
            Class names, in any order.

        Returns
        -------
        ImageSet
            With these classes alone.

        Raises
        ------
        ConfigError
            If a name is not a class of this set, or none is given.
        """
        wanted = sorted(set(classes))
        strange = [name for name in wanted if name not in set(self.classes)]
        if strange or not wanted:
            msg = f"no class {strange[:3]} among the {len(self.classes)} of this set"
            raise ConfigError(msg)
        new = np.full(len(self.classes) + 1, NO_LABEL, dtype=np.int64)
        new[[self.classes.index(name) for name in wanted]] = np.arange(len(wanted))
        # Label -1 is the last place of `new`, which stays -1.
        labels = new[self.labels]
        part = self.select(np.flatnonzero(labels != NO_LABEL))
        part.labels = labels[labels != NO_LABEL]
        part.classes = tuple(wanted)
        return part

    def content_hash(self) -> str:
        """
        Return a hash that tells sets apart without reading an image.

        Returns
        -------
        str
            SHA-256 in hex, over the names and the sizes in bytes.
        """
        digest = hashlib.sha256()
        for name, place in zip(self.names, self._places, strict=True):
            digest.update(name.encode("utf-8", "surrogateescape"))
            digest.update(f"\0{place.size}\n".encode())
        return digest.hexdigest()

    def manifest(self) -> list[ManifestRow]:
        """
        Return name, label and hash of every image; each file is read once.

        Returns
        -------
        list of ManifestRow
            In the order of the set.

        Raises
        ------
        ImageError
            If a file cannot be read.
        """
        return [
            ManifestRow(name, int(label), hashlib.sha256(self.read(index)).hexdigest())
            for index, (name, label) in enumerate(zip(self.names, self.labels, strict=True))
        ]


def open_images(paths: str | Path | Iterable[str | Path], *, split: str | None = None) -> ImageSet:
    """
    List the images of folders, tar archives and files.

    A folder or an archive holds one folder per class, or images without classes, or folders
    train, val and test with either of the two; one folder above all that is left out of the names.
    An archive with ``.cls`` members is read as a WebDataset: ``key.jpg`` has the class in
    ``key.cls``. A folder may hold archives instead of images.

    Parameters
    ----------
    paths : str, Path or iterable of them
        Folders, ``.tar`` archives (not compressed) and image files, in any mixture.
    split : str, optional
        "train", "val" or "test", where there are such folders; must be given if there are
        several.

    Returns
    -------
    ImageSet
        In the order of the names, whatever the order of the paths or of the file system.

    Raises
    ------
    ConfigError
        If a path does not exist or holds no image, or the split is absent or not given.
    ImageError
        If an archive is compressed, truncated or damaged, or if two images have one name.

    Notes
    -----
    Files are images by their suffix (jpg, jpeg, png, webp, bmp, ppm, tif, tiff in any case).
    Hidden files and folders (``.name``, ``__MACOSX``) and files of other kinds are passed over.
    Images beside class folders have no class (-1). Classes that are decimal numbers in every
    ``.cls`` member are labels as they are, and have no names.
    """
    if split not in (None, *SPLITS):
        msg = f"split: expected one of {', '.join(SPLITS)}, got {split!r}"
        raise ConfigError(msg)
    given = [paths] if isinstance(paths, str | Path) else list(paths)
    if not given:
        msg = "no path of images is given; expected a folder, a .tar archive or image files"
        raise ConfigError(msg)
    names, labels, places, classes = assembled(
        [item for path in given for item in _items(Path(path), split)]
    )
    return ImageSet(names, labels, places, classes=classes)


def _items(path: Path, split: str | None) -> list[Item]:
    try:
        if path.is_dir():
            return _folder_items(path, split)
        if suffix(path.name) in (ARCHIVE_SUFFIX, *COMPRESSED_SUFFIXES):
            return _archive_items(path, split)
        return [_single_item(path, split)]
    except OSError as error:
        msg = f"{error.filename or path}: {error.strerror or error}; expected images at {path}"
        raise ConfigError(msg) from error


def _single_item(path: Path, split: str | None) -> Item:
    size = path.stat().st_size
    if suffix(path.name) not in IMAGE_SUFFIXES:
        kinds = ", ".join(IMAGE_SUFFIXES)
        msg = f"{path}: neither a folder, nor a .tar archive, nor one of {kinds}"
        raise ConfigError(msg)
    if split is not None:
        msg = f"{path}: is one image; split {split!r} asks for a folder or archive with splits"
        raise ConfigError(msg)
    return Item(path.name, None, Place(path, WHOLE_FILE, size), path.parent)


def _folder_items(folder: Path, split: str | None) -> list[Item]:
    files = list(folder_files(folder))
    images = [(parts, place) for parts, place in files if suffix(parts[-1]) in IMAGE_SUFFIXES]
    archives = [(parts, place) for parts, place in files if suffix(parts[-1]) == ARCHIVE_SUFFIX]
    if images and archives:
        msg = (
            f"{folder}: holds images ({'/'.join(images[0][0])}) and archives "
            f"({'/'.join(archives[0][0])}); name the archives or the folders that are meant"
        )
        raise ConfigError(msg)
    if not archives:
        return arranged(folder, dict(images), None, split)
    above = sorted({parts[0] for parts, _ in archives if len(parts) > 1})
    # A split that is no folder here may be one inside the archives.
    chosen = chosen_split(folder, above, split) if split is None or split in above else None
    if chosen is not None:
        archives = [(parts, place) for parts, place in archives if parts[0] == chosen]
        split = None
    return [item for _, place in archives for item in _archive_items(place.path, split)]


def _archive_items(path: Path, split: str | None) -> list[Item]:
    images: dict[tuple[str, ...], Place] = {}
    texts: dict[str, Place] = {}
    for name, place in archive_members(path):
        parts = tuple(part for part in name.split("/") if part not in ("", "."))
        if not parts or any(map(is_hidden, parts)):
            continue
        if suffix(parts[-1]) == _CLASS_SUFFIX:
            texts[sample_key(parts)] = place
        elif suffix(parts[-1]) in IMAGE_SUFFIXES:
            if parts in images:
                msg = f"{path}: two members are called {name}; an archive must hold each once"
                raise ImageError(msg)
            images[parts] = place
    if not texts:
        return arranged(path, images, None, split)
    large = next((place for place in texts.values() if place.size > _MOST_TEXT), None)
    if large is not None:
        msg = f"{path}: a {_CLASS_SUFFIX} member has {large.size} bytes; expected a class"
        raise ImageError(msg)
    archives = Archives()
    classes = {key: _class_text(path, archives.read(place)) for key, place in texts.items()}
    return arranged(path, _samples(path, images), classes, split)


def _samples(path: Path, images: Mapping[tuple[str, ...], Place]) -> dict[tuple[str, ...], Place]:
    """Return the image of each sample: masks and the like (``key.seg.png``) are none."""
    keys: dict[str, str] = {}
    for parts in images:
        key, name = sample_key(parts), "/".join(parts)
        if name[len(key) :].lower() in IMAGE_SUFFIXES and keys.setdefault(key, name) != name:
            msg = f"{path}: {keys[key]} and {name} are one sample; expected one image for each"
            raise ImageError(msg)
    chosen = set(keys.values())
    return {parts: place for parts, place in images.items() if "/".join(parts) in chosen}


def _class_text(path: Path, data: bytes) -> str:
    text = data.decode("utf-8", "replace").strip()
    if not text:
        msg = f"{path}: a {_CLASS_SUFFIX} member is empty; expected a class number or name"
        raise ImageError(msg)
    return text
