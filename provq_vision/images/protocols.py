"""Which images are trained on, which are tested on, and does another machine have the same?"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from provq_protein.errors import ConfigError, ImageError
from provq_protein.runs.files import replacing
from provq_vision.images.layout import NO_LABEL
from provq_vision.images.listing import ImageSet, ManifestRow

FORMAT = "provq-image-split"
FORMAT_VERSION = 1
PARTS = ("train", "test", "validation")
_HEX_DIGITS = 64
_SHOWN = 3


def hold_out(images: ImageSet, *, per_class: int, seed: int) -> tuple[ImageSet, ImageSet]:
    """
    Divide a set into what is trained on and what is tested on, class by class.

    Parameters
    ----------
    images : ImageSet
        Every image with a class.
    per_class : int
        Images of each class to hold out, drawn uniformly.
    seed : int
        Decides which. What is drawn from a class depends on its name and its images alone, not
        on which other classes there are.

    Returns
    -------
    kept : ImageSet
        To train on.
    held : ImageSet
        To test on; no image is in both.

    Raises
    ------
    ConfigError
        If an image has no class, a class has no image left to train on, or a number is impossible.
    """
    if per_class < 1 or seed < 0:
        msg = f"hold out: expected per_class >= 1 and seed >= 0, got {per_class} and {seed}"
        raise ConfigError(msg)
    without = np.flatnonzero(images.labels == NO_LABEL)
    if len(without) or not len(images):
        shown = [images.names[i] for i in without[:_SHOWN]]
        msg = f"hold out: {len(without)} of {len(images)} images have no class: {shown}"
        raise ConfigError(msg)
    held = []
    for label in np.unique(images.labels):
        members = np.flatnonzero(images.labels == label)
        name = images.classes[label] if images.classes else str(label)
        if len(members) <= per_class:
            msg = f"hold out: class {name} has {len(members)} images; more than {per_class} needed"
            raise ConfigError(msg)
        generator = np.random.default_rng([seed, *hashlib.sha256(name.encode()).digest()])
        held.append(generator.permutation(members)[:per_class])
    out = np.concatenate(held)
    return images.select(np.setdiff1d(np.arange(len(images)), out)), images.select(out)


@dataclass(frozen=True)
class SplitProtocol:
    """
    What is trained, tested and validated on, image by image, to be kept beside results.

    With 150 per class and 100 classes of ImageNet this is the protocol of ProVQ's ImageNet-100
    as its text can be read: 15,000 images held out of the training folder are the test set, and
    the 5,000 official validation images choose between checkpoints.

    Parameters
    ----------
    seed : int
        What was held out, see `hold_out`.
    per_class : int
        How many images of each class were.
    classes : tuple of str
        Names, sorted; empty if classes are numbers.
    train, test, validation : tuple of ManifestRow
        Sorted by name. Validation may be empty.
    """

    seed: int
    per_class: int
    classes: tuple[str, ...]
    train: tuple[ManifestRow, ...]
    test: tuple[ManifestRow, ...]
    validation: tuple[ManifestRow, ...] = ()

    @classmethod
    def make(
        cls,
        images: ImageSet,
        validation: ImageSet | None = None,
        *,
        per_class: int = 150,
        seed: int = 0,
    ) -> "SplitProtocol":
        """
        Hold a test set out of the training images; every file is read once.

        Parameters
        ----------
        images : ImageSet
            Official training images of the classes.
        validation : ImageSet, optional
            Official validation images of the same classes.
        per_class : int
            Images of each class to hold out.
        seed : int
            Decides which.

        Returns
        -------
        SplitProtocol
            With the hash of every image.

        Raises
        ------
        ConfigError
            If the classes of the two sets differ, or nothing can be held out.
        ImageError
            If a file cannot be read.
        """
        kept, held = hold_out(images, per_class=per_class, seed=seed)
        if validation is not None and validation.classes != images.classes:
            differ = sorted(set(validation.classes) ^ set(images.classes))
            msg = f"classes of validation and training differ: {differ[:_SHOWN]}"
            raise ConfigError(msg)
        parts = [kept, held, *([] if validation is None else [validation])]
        rows = [tuple(part.manifest()) for part in parts]
        return cls(seed, per_class, images.classes, *rows)

    def __post_init__(self) -> None:
        twice = {row.name for row in self.train} & {row.name for row in self.test}
        if twice:
            msg = f"trained and tested on: {sorted(twice)[:_SHOWN]}; an image has one part"
            raise ConfigError(msg)

    def repeated(self) -> list[tuple[str, str]]:
        """
        Return test and validation images whose bytes are those of a training image.

        Large data sets have some; they count as they are, and a result can say how many.

        Returns
        -------
        list of tuple of str
            Name in training, name outside of it.
        """
        seen = {row.sha256: row.name for row in self.train}
        others = (*self.test, *self.validation)
        return [(seen[row.sha256], row.name) for row in others if row.sha256 in seen]

    def find(self, images: ImageSet, part: str, *, check_bytes: bool = False) -> ImageSet:
        """
        Return the images of a part.

        Parameters
        ----------
        images : ImageSet
            A set that has them all, and may have more.
        part : str
            "train", "test" or "validation".
        check_bytes : bool
            Also read every image and compare its hash.

        Returns
        -------
        ImageSet
            Those images.

        Raises
        ------
        ConfigError
            If there is no such part, or an image is missing.
        ImageError
            If an image is another one than that of the protocol.
        """
        if part not in PARTS:
            msg = f"part: expected one of {', '.join(PARTS)}, got {part!r}"
            raise ConfigError(msg)
        rows: tuple[ManifestRow, ...] = getattr(self, part)
        numbers = {name: number for number, name in enumerate(images.names)}
        missing = [row.name for row in rows if row.name not in numbers]
        if missing:
            msg = f"{part}: {len(missing)} of {len(rows)} images are missing: {missing[:_SHOWN]}"
            raise ConfigError(msg)
        found = images.select(numbers[row.name] for row in rows)
        if check_bytes:
            pairs = zip(rows, found.manifest(), strict=True)
            other = [row.name for row, here in pairs if row.sha256 != here.sha256]
            if other:
                msg = f"{part}: {len(other)} images have other bytes: {other[:_SHOWN]}"
                raise ImageError(msg)
        return found

    def content_hash(self) -> str:
        """
        Return a hash of everything in the protocol.

        Returns
        -------
        str
            SHA-256 in hex.
        """
        return hashlib.sha256(self._text().encode("utf-8", "surrogateescape")).hexdigest()

    def save(self, path: Path) -> None:
        """
        Write the protocol as JSON, whole or not at all.

        Parameters
        ----------
        path : Path
            Where; replaced if it exists.
        """
        with replacing(path) as temporary:
            temporary.write_text(self._text(), encoding="utf-8", errors="surrogateescape")

    @classmethod
    def load(cls, path: Path) -> "SplitProtocol":
        """
        Read a protocol.

        Parameters
        ----------
        path : Path
            As `save` made it.

        Returns
        -------
        SplitProtocol
            The same.

        Raises
        ------
        ConfigError
            If the file is missing, is no such protocol, of another version, or not complete.
        """
        try:
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
            document = json.loads(text)
        except OSError as error:
            msg = f"{path}: cannot be read: {error.strerror or error}"
            raise ConfigError(msg) from error
        except (ValueError, RecursionError) as error:
            msg = f"{path}: is not JSON: {error}"
            raise ConfigError(msg) from error
        return cls(**_fields(path, document))

    def _text(self) -> str:
        """JSON with one image a line, so that ordinary tools can compare two protocols."""
        head = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "seed": self.seed,
            "per_class": self.per_class,
            "classes": self.classes,
        }
        entries = [
            f'"{key}": {json.dumps(value, ensure_ascii=False)}' for key, value in head.items()
        ]
        for part in PARTS:
            rows = [json.dumps(row, ensure_ascii=False) for row in getattr(self, part)]
            entries.append(f'"{part}": [' + ",".join(f"\n{row}" for row in rows) + "]")
        return "{\n" + ",\n".join(entries) + "\n}\n"


def _fields(path: Path, document: object) -> dict[str, Any]:
    """Return the arguments of a protocol from its JSON, refusing all that is not as written."""
    keys = ("format", "format_version", "seed", "per_class", "classes", *PARTS)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        msg = f"{path}: is no split protocol; expected a JSON object with format {FORMAT!r}"
        raise ConfigError(msg)
    if document.get("format_version") != FORMAT_VERSION:
        found = document.get("format_version")
        msg = f"{path}: format version {found!r}; this release reads {FORMAT_VERSION}"
        raise ConfigError(msg)
    if set(document) != set(keys):
        differ = sorted(set(document) ^ set(keys))
        msg = f"{path}: missing or unknown: {differ}; expected exactly {', '.join(keys)}"
        raise ConfigError(msg)
    for key in ("seed", "per_class"):
        if type(document[key]) is not int or document[key] < 0:
            msg = f"{path}: {key}: expected an integer of 0 or more, got {document[key]!r}"
            raise ConfigError(msg)
    return {
        "seed": document["seed"],
        "per_class": document["per_class"],
        "classes": _classes(path, document),
        **{part: _rows(path, document, part) for part in PARTS},
    }


def _classes(path: Path, document: Mapping[str, Any]) -> tuple[str, ...]:
    found = document["classes"]
    strings = isinstance(found, list) and all(isinstance(name, str) for name in found)
    if not strings or found != sorted(set(found)):
        msg = f"{path}: classes: expected a sorted list of names without repetition"
        raise ConfigError(msg)
    return tuple(found)


def _rows(path: Path, document: Mapping[str, Any], part: str) -> tuple[ManifestRow, ...]:
    found = document[part]
    if not isinstance(found, list):
        msg = f"{path}: {part}: expected a list of images, got {type(found).__name__}"
        raise ConfigError(msg)
    for number, row in enumerate(found):
        if not _is_row(row):
            msg = f"{path}: {part}: {number}: expected [name, label, sha256], got {row!r:.80}"
            raise ConfigError(msg)
    names = [row[0] for row in found]
    if names != sorted(set(names)):
        msg = f"{path}: {part}: the images are not sorted by name, or one is there twice"
        raise ConfigError(msg)
    return tuple(ManifestRow(*row) for row in found)


def _is_row(row: object) -> bool:
    match row:
        case [str(), int(label), str(digest)]:
            fits = type(label) is int and label >= NO_LABEL
            return fits and len(digest) == _HEX_DIGITS and set(digest) <= set("0123456789abcdef")
        case _:
            return False
