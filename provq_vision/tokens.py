"""What are the tokens of a set of images, and how are they kept in a file?"""

import sys
import tokenize
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import ArrayLike, NDArray

from provq_protein.errors import TokenFormatError
from provq_protein.runs.files import check_output, replacing

FORMAT_NAME = "provq-image-tokens"
FORMAT_VERSION = 1
NO_LABEL = -1
MAX_BYTES = 16 << 30
"""Size that the arrays of one file may have in memory, so that no small file can fill it."""

_COLUMNS = ("ids", "names", "labels", "classes", "fingerprint", "codebook_size")
_KINDS = {"ids": "i", "names": "U", "labels": "i", "classes": "U", "fingerprint": "U"}
# What the zip and array readers raise on damaged bytes, besides OSError.
_DAMAGE = (
    zipfile.BadZipFile,
    zlib.error,
    ValueError,
    KeyError,
    EOFError,
    RuntimeError,
    SyntaxError,
    TypeError,
    OverflowError,
    MemoryError,
    NotImplementedError,
    tokenize.TokenError,
)


@dataclass(frozen=True, eq=False, kw_only=True)
class ImageTokens:
    """
    The tokens of images with equal token grids, and where each image came from.

    Parameters
    ----------
    ids : ndarray, shape=(image, row, column), dtype=int32
        Code of each square of pixels, in ``[0, codebook_size)``. Residual codebooks, which add
        several codes, have a fourth axis of levels.
    names : tuple of str
        One per image, as a user finds it again; may repeat.
    fingerprint : str
        Identity of the tokenizer: ids with equal fingerprints mean the same.
    codebook_size : int
        Number of codes of that tokenizer, per level.
    labels : ndarray, shape=(image,), dtype=int64
        Index of each image's class, -1 for none; by default none.
    classes : tuple of str
        Names of the classes; empty where labels are numbers without names.

    Raises
    ------
    TokenFormatError
        If lengths disagree, an id is no code, a label no class, or a text is none that a file
        can hold.

    Notes
    -----
    Arrays are copied and made read-only.

    Examples
    --------
    >>> tokens = ImageTokens(
    ...     ids=[[[0, 3]], [[2, 2]]],
    ...     names=("cat/1.png", "dog/1.png"),
    ...     labels=[0, 1],
    ...     classes=("cat", "dog"),
    ...     fingerprint="c0ffee",
    ...     codebook_size=4,
    ... )
    >>> len(tokens), tokens.grid
    (2, (1, 2))
    >>> tokens.select([1]).names
    ('dog/1.png',)
    """

    ids: NDArray[np.int32]
    names: tuple[str, ...]
    fingerprint: str
    codebook_size: int
    # The default has as many entries as there are images, which is not known here.
    labels: NDArray[np.int64] = field(default=None)  # type: ignore[assignment]
    classes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Normalize the arrays and refuse what are no tokens of images."""
        for name in ("names", "classes"):
            object.__setattr__(self, name, self._texts(name))
        size = self.codebook_size
        if isinstance(size, bool) or not isinstance(size, int | np.integer) or size < 1:
            _fail(f"codebook_size must be an integer of at least 1, got {size!r}")
        object.__setattr__(self, "codebook_size", int(size))
        _check_text("fingerprint", self.fingerprint)
        if not self.fingerprint:
            _fail("fingerprint is empty: nobody could tell what the ids mean")
        labels = np.full(len(self.names), NO_LABEL) if self.labels is None else self.labels
        object.__setattr__(self, "ids", self._checked_ids())
        object.__setattr__(self, "labels", self._checked_labels(labels))

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.names)

    @property
    def grid(self) -> tuple[int, int]:
        """Rows and columns of tokens of each image."""
        return self.ids.shape[1], self.ids.shape[2]

    @property
    def levels(self) -> int:
        """Codes per square of pixels: 1, or more where a residual codebook adds several."""
        return self.ids.shape[3] if self.ids.ndim == 4 else 1

    def select(self, indices: ArrayLike) -> "ImageTokens":
        """
        Return some of the images.

        Parameters
        ----------
        indices : array of int
            Which ones, in the order wanted.

        Returns
        -------
        ImageTokens
            With the same classes.
        """
        chosen = np.asarray(indices, dtype=np.int64)
        names = tuple(self.names[number] for number in chosen.tolist())
        return replace(self, ids=self.ids[chosen], names=names, labels=self.labels[chosen])

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """
        Save to one NumPy archive.

        Parameters
        ----------
        path : str or Path
            File to write. The name is used as it is, no suffix is added.
        overwrite : bool
            Whether an existing file may be replaced.

        Raises
        ------
        ConfigError
            If the file exists and `overwrite` is False, or it could not be written there.

        Notes
        -----
        The file appears under its name only when it is complete. ``numpy.load`` reads it.
        """
        path = Path(path)
        check_output(path, overwrite=overwrite)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez_compressed(
                file,
                allow_pickle=False,
                format=np.array(FORMAT_NAME),
                format_version=np.array(FORMAT_VERSION),
                ids=self.ids,
                names=np.array(self.names, dtype=np.str_),
                labels=self.labels,
                classes=np.array(self.classes, dtype=np.str_),
                fingerprint=np.array(self.fingerprint),
                codebook_size=np.array(self.codebook_size),
            )

    @classmethod
    def load(cls, path: str | Path) -> "ImageTokens":
        """
        Load what `save` wrote.

        Parameters
        ----------
        path : str or Path
            The file; what it is called does not matter.

        Returns
        -------
        ImageTokens
            Equal to what was saved.

        Raises
        ------
        TokenFormatError
            If the file is absent, damaged, no file of image tokens, of an unknown version, or
            larger in memory than `MAX_BYTES`.
        """
        path = Path(path)
        try:
            arrays = _arrays(path)
            return cls(
                ids=arrays["ids"],
                names=tuple(arrays["names"].tolist()),
                labels=arrays["labels"],
                classes=tuple(arrays["classes"].tolist()),
                fingerprint=arrays["fingerprint"].item(),
                codebook_size=arrays["codebook_size"].item(),
            )
        except OSError as error:
            msg = f"{path}: cannot be read: {error.strerror or error}"
            raise TokenFormatError(msg) from error
        except TokenFormatError as error:
            known = str(error).startswith(f"{path}: ")
            msg = str(error) if known else f"{path}: {error}"
            raise TokenFormatError(msg) from error
        except _DAMAGE as error:
            msg = f"{path}: truncated or damaged .npz file ({type(error).__name__}: {error})"
            raise TokenFormatError(msg) from error

    def _texts(self, name: str) -> tuple[str, ...]:
        values = getattr(self, name)
        if isinstance(values, str):
            _fail(f"{name} must be a sequence of texts, got one text")
        for value in values:
            _check_text(name, value)
        return tuple(str(value) for value in values)

    def _checked_ids(self) -> NDArray[np.int32]:
        ids = _integers("ids", self.ids)
        if ids.ndim not in (3, 4) or 0 in ids.shape[1:]:
            _fail(f"ids must have shape (image, row, column[, level]), got {ids.shape}")
        if len(ids) != len(self.names):
            _fail(f"ids of {len(ids)} images, but {len(self.names)} names")
        wrong = (ids < 0) | (ids >= self.codebook_size)
        if wrong.any():
            place = np.unravel_index(int(np.argmax(wrong)), ids.shape)
            _fail(
                f"the id {int(ids[place])} of image {self.names[place[0]]!r} is no code of a "
                f"codebook of {self.codebook_size}"
            )
        return _frozen(ids, np.int32)

    def _checked_labels(self, values: ArrayLike) -> NDArray[np.int64]:
        labels = _integers("labels", values)
        if labels.shape != (len(self.names),):
            _fail(f"labels must have shape ({len(self.names)},), one per name, got {labels.shape}")
        end = len(self.classes) or np.iinfo(np.int64).max
        wrong = (labels < NO_LABEL) | (labels >= end)
        if wrong.any():
            first = int(np.argmax(wrong))
            _fail(
                f"the label {int(labels[first])} of image {self.names[first]!r} is none of "
                f"{len(self.classes)} classes, nor {NO_LABEL}"
            )
        return _frozen(labels, np.int64)


def _fail(problem: str) -> NoReturn:
    # A damaged file may have line breaks and the like in a name; a message is one line.
    raise TokenFormatError(" ".join(problem.split()))


def _check_text(name: str, value: object) -> None:
    if not isinstance(value, str):
        _fail(f"{name} must be text, got {type(value).__name__}")
    # Fixed-width text arrays, as in .npz files, cannot hold it.
    if "\0" in value:
        _fail(f"{name} contains a NUL character")


def _integers(name: str, values: ArrayLike) -> NDArray[Any]:
    try:
        array = np.asarray(values)
    except (ValueError, OverflowError) as error:
        _fail(f"{name} must be an array of integers ({error})")
    if array.size and array.dtype.kind not in "iu":
        _fail(f"{name} must be integers, got {array.dtype}")
    return array


def _frozen(values: NDArray[Any], dtype: type[np.generic]) -> NDArray[Any]:
    own = values.astype(dtype)  # a copy
    own.setflags(write=False)
    return own


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    if path.is_dir():
        msg = f"{path}: is a folder; name a token file"
        raise TokenFormatError(msg)
    if path.stat().st_size == 0:
        msg = f"{path}: is an empty file; expected image tokens (.npz)"
        raise TokenFormatError(msg)
    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            msg = f"{path}: is no, or a truncated, .npz file; expected image tokens"
            raise TokenFormatError(msg)
        file.seek(0)
        with np.load(file, allow_pickle=False) as archive:
            _check_size(archive.zip, path)
            _check_format(archive, path)
            absent = [name for name in _COLUMNS if name not in archive]
            if absent:
                msg = f"{path}: truncated or damaged .npz file: {', '.join(absent)} missing"
                raise TokenFormatError(msg)
            return {name: _array(archive, name, path) for name in _COLUMNS}


def _check_format(archive: Any, path: Path) -> None:  # noqa: ANN401 - NumPy does not export it
    found = archive["format"].tolist() if "format" in archive else None
    if found != FORMAT_NAME:
        what = f"format {found!r}" if isinstance(found, str) else "an .npz archive of another kind"
        advice = "; protein tokens: provq-protein decode" if found == "provq-tokens" else ""
        msg = f"{path}: is no file of image tokens ({what}){advice}"
        raise TokenFormatError(msg)
    version = archive["format_version"].tolist() if "format_version" in archive else None
    if version != FORMAT_VERSION:
        msg = (
            f"{path}: image token format version {version!r} is unknown to this release, which "
            f"reads version {FORMAT_VERSION}; install a newer provq, or encode the images again"
        )
        raise TokenFormatError(msg)


def _check_size(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse arrays that would expand to more than the limit; no more than declared is read."""
    size = sum(entry.file_size for entry in archive.infolist())
    if size > MAX_BYTES:
        msg = (
            f"{path}: its arrays expand to {size:,} bytes, more than the limit of {MAX_BYTES:,}; "
            "if it is no accident or attack, keep so many images in several files"
        )
        raise TokenFormatError(msg)


def _array(archive: Any, name: str, path: Path) -> NDArray[Any]:  # noqa: ANN401 - as above
    values = archive[name]
    # NumPy gives back the bytes of a member that does not begin as an array does.
    if not isinstance(values, np.ndarray) or values.dtype.kind != _KINDS.get(name, "i"):
        msg = f"{path}: truncated or damaged .npz file: {name} is of the wrong type"
        raise TokenFormatError(msg)
    scalar = name in ("fingerprint", "codebook_size")
    if (values.ndim == 0) != scalar or (name in ("names", "classes") and values.ndim != 1):
        msg = f"{path}: truncated or damaged .npz file: {name} has shape {values.shape}"
        raise TokenFormatError(msg)
    if values.dtype.kind == "U" and values.size:
        # NumPy takes any four bytes for a character; Python's text does not.
        codes = np.ascontiguousarray(values).reshape(-1).view(np.uint32)
        codes = codes if values.dtype.isnative else codes.byteswap()
        if int(codes.max(initial=0)) > sys.maxunicode:
            msg = f"{path}: truncated or damaged .npz file: {name} has characters that are none"
            raise TokenFormatError(msg)
    return values
