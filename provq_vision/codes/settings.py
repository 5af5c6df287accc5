"""Of which images, by which tokenizer and from which crops are the codes of a folder?"""

import hashlib
import json
import math
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from provq_protein.errors import ConfigError, TokenFormatError
from provq_protein.runs.files import replacing

FORMAT = "provq-image-codes"
FORMAT_VERSION = 1
SETTINGS = "codes.json"

_CROPS_PER_MARGIN = 10
# Codes are kept in at most four bytes.
_MOST_CODES = 2**31 - 1
_SHOWN = 60


@dataclass(frozen=True, kw_only=True)
class CodeSettings:
    """
    Everything that the codes of a folder follow from.

    Parameters
    ----------
    fingerprint : str
        Identity of the tokenizer.
    vocabulary : int
        Number of its codes: ids lie in ``[0, vocabulary)``.
    grid : int
        Tokens along one side of an image.
    image_size : int
        Sides of the crops, in pixels.
    margins : tuple of float
        Ten crops were taken at each of these (see `provq_vision.images.crops.ten_crops`); with
        none, the central crop alone.
    shard_size : int
        Images per file; the last may have fewer.
    n_images : int
        Images of the set, with those that cannot be read.
    images : str
        Hash of the set (`ImageSet.content_hash`).
    classes : tuple of str
        What the labels stand for.

    Raises
    ------
    ConfigError
        If a value is of the wrong type, or impossible.

    Examples
    --------
    >>> settings = CodeSettings(
    ...     fingerprint="c0ffee",
    ...     vocabulary=512,
    ...     grid=8,
    ...     image_size=64,
    ...     margins=(1.1, 1.05),
    ...     shard_size=1024,
    ...     n_images=12_000,
    ...     images="bead",
    ...     classes=("cat", "dog"),
    ... )
    >>> settings.views, settings.n_shards
    (20, 12)
    >>> settings.members(11)
    range(11264, 12000)
    """

    fingerprint: str
    vocabulary: int
    grid: int
    image_size: int
    margins: tuple[float, ...]
    shard_size: int
    n_images: int
    images: str
    classes: tuple[str, ...]

    def __post_init__(self) -> None:
        """Refuse what no extraction can have had."""
        for name in ("vocabulary", "grid", "image_size", "shard_size", "n_images"):
            most = _MOST_CODES if name == "vocabulary" else math.inf
            value = getattr(self, name)
            if type(value) is not int or not 1 <= value <= most:
                msg = f"{name}: expected an integer from 1 to {most}, got {value!r}"
                raise ConfigError(msg)
        for name in ("fingerprint", "images"):
            if not isinstance(getattr(self, name), str) or not getattr(self, name):
                msg = f"{name}: expected text, got {getattr(self, name)!r}"
                raise ConfigError(msg)
        if not all(type(each) is float and 1 <= each < math.inf for each in self.margins):
            msg = f"margins: expected numbers of at least 1, got {list(self.margins)}"
            raise ConfigError(msg)
        if not self.classes or not all(isinstance(each, str) for each in self.classes):
            msg = f"classes: expected names, got {list(self.classes)!r:.{_SHOWN}}"
            raise ConfigError(msg)

    @property
    def crops(self) -> str:
        """``"ten"`` at each margin, or ``"center"`` alone."""
        return "ten" if self.margins else "center"

    @property
    def views(self) -> int:
        """Crops of each image."""
        return _CROPS_PER_MARGIN * len(self.margins) or 1

    @property
    def n_shards(self) -> int:
        """Files that hold all images."""
        return -(-self.n_images // self.shard_size)

    def members(self, shard: int) -> range:
        """
        Return which images a file holds.

        Parameters
        ----------
        shard : int
            Its number, from 0.

        Returns
        -------
        range
            Positions in the sorted set.
        """
        start = shard * self.shard_size
        return range(start, min(start + self.shard_size, self.n_images))

    def differences(self, other: "CodeSettings") -> list[str]:
        """
        Say what is not the same in other settings.

        Parameters
        ----------
        other : CodeSettings
            What is wanted now.

        Returns
        -------
        list of str
            One entry per setting, with both values; empty if they are equal.
        """
        return [
            f"{field.name} was {_short(getattr(self, field.name))}, "
            f"is {_short(getattr(other, field.name))}"
            for field in fields(self)
            if getattr(self, field.name) != getattr(other, field.name)
        ]

    def content_hash(self) -> str:
        """
        Return the identity of these settings.

        Returns
        -------
        str
            SHA-256 in hex.
        """
        return hashlib.sha256(self._text().encode()).hexdigest()

    def save(self, folder: Path) -> None:
        """
        Write the settings of a folder, whole or not at all.

        Parameters
        ----------
        folder : Path
            Where; ``codes.json`` in it is replaced.
        """
        with replacing(folder / SETTINGS) as temporary:
            temporary.write_text(self._text(), encoding="ascii")

    @classmethod
    def load(cls, folder: Path) -> "CodeSettings":
        """
        Read the settings of a folder.

        Parameters
        ----------
        folder : Path
            It holds ``codes.json``, as `save` wrote it.

        Returns
        -------
        CodeSettings
            Equal to those that were saved.

        Raises
        ------
        TokenFormatError
            If the file is missing, damaged, of another format or of another version.
        """
        path = folder / SETTINGS
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            msg = (
                f"{path}: cannot be read: {error.strerror or error}; expected a folder of codes, "
                "as `provq-vision extract-codes` writes it"
            )
            raise TokenFormatError(msg) from error
        except (ValueError, RecursionError) as error:
            msg = f"{path}: is not JSON: {error}"
            raise TokenFormatError(msg) from error
        return _from_document(document, path)

    def _document(self) -> dict[str, Any]:
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            **values,
            "margins": list(self.margins),
            "classes": list(self.classes),
            # These two follow from the margins; they are for readers in other languages.
            "crops": self.crops,
            "views": self.views,
        }

    def _text(self) -> str:
        return json.dumps(self._document(), indent=1) + "\n"


def _from_document(document: object, path: Path) -> CodeSettings:
    """Return the settings from their JSON, refusing all that is not as written."""
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        msg = f"{path}: describes no folder of codes; expected a JSON object of format {FORMAT!r}"
        raise TokenFormatError(msg)
    if document.get("format_version") != FORMAT_VERSION:
        msg = (
            f"{path}: format version {document.get('format_version')!r}; this release reads "
            f"{FORMAT_VERSION}; install a newer provq, or extract the codes again"
        )
        raise TokenFormatError(msg)
    names = [field.name for field in fields(CodeSettings)]
    known = {"format", "format_version", *names, "crops", "views"}
    if document.keys() != known:
        differ = sorted(document.keys() ^ known)
        msg = f"{path}: missing or unknown: {', '.join(differ)}"
        raise TokenFormatError(msg)
    values = {name: document[name] for name in names}
    for name in ("margins", "classes"):
        if not isinstance(values[name], list):
            msg = f"{path}: {name}: expected a list, got {values[name]!r:.{_SHOWN}}"
            raise TokenFormatError(msg)
        values[name] = tuple(values[name])
    try:
        settings = CodeSettings(**values)
    except ConfigError as error:
        msg = f"{path}: {error}"
        raise TokenFormatError(msg) from error
    found = (document["crops"], document["views"])
    if found != (settings.crops, settings.views):
        msg = (
            f"{path}: crops and views are {found}; expected {(settings.crops, settings.views)} "
            f"with {len(settings.margins)} margins"
        )
        raise TokenFormatError(msg)
    return settings


def _short(value: object) -> str:
    text = repr(list(value)) if isinstance(value, tuple) else str(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
