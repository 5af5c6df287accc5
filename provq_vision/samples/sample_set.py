"""How are the images that a model drew kept in a file?"""

import json
import tokenize
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from provq_protein.errors import ConfigError, ImageError
from provq_protein.runs.config import from_mapping, to_mapping
from provq_protein.runs.files import check_output, replacing
from provq_vision.samples.settings import SampleSettings

FORMAT = "provq-image-samples"
FORMAT_VERSION = 1

_MEMBERS = ("arr_0", "labels", "seeds", "ids", "settings")
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
class SampleSet:
    """
    Drawn images, with the class, seed and tokens of each.

    Parameters
    ----------
    images : ndarray, shape=(image, height, width, 3), dtype=uint8
        Colors (RGB).
    labels : ndarray, shape=(image,), dtype=int64
        Class ids.
    seeds : ndarray, shape=(image,), dtype=int64
        Those of the plan.
    ids : ndarray, shape=(image, row, column), dtype=int32
        Tokens.
    settings : SampleSettings
        What drew them.

    Raises
    ------
    ImageError
        If an array is of the wrong type or shape, or classes and seeds are not those of the plan.

    Notes
    -----
    Arrays are not copied; they are seen through views that cannot be written to.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    seeds: NDArray[np.int64]
    ids: NDArray[np.int32]
    settings: SampleSettings

    def __post_init__(self) -> None:
        """Refuse arrays that do not belong to the plan."""
        plan = self.settings.plan
        number = len(plan.numbers)
        _check_array("images", self.images, np.uint8, (number, 0, 0, 3))
        _check_array("labels", self.labels, np.int64, (number,))
        _check_array("seeds", self.seeds, np.int64, (number,))
        _check_array("ids", self.ids, np.int32, (number, 0, 0))
        if not np.array_equal(self.seeds, plan.seeds()):
            _fail("seeds are not those of the plan in the settings")
        # Drawn classes are not drawn again: another release of NumPy may draw others.
        given = plan.per_class is not None
        if given and not np.array_equal(self.labels, plan.labels()):
            _fail("labels are not those of the plan in the settings")
        if not np.isin(self.labels, plan.classes).all():
            _fail("labels have a class that is not in the plan of the settings")
        if int(self.ids.min()) < 0:
            _fail(f"ids must be 0 or more, got {int(self.ids.min())}")
        for name in ("images", "labels", "seeds", "ids"):
            view = getattr(self, name).view()
            view.setflags(write=False)
            object.__setattr__(self, name, view)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @classmethod
    def join(cls, parts: Sequence["SampleSet"]) -> "SampleSet":
        """
        Put the parts of one plan together.

        Parameters
        ----------
        parts : sequence of SampleSet
            All of them, in any order.

        Returns
        -------
        SampleSet
            Equal to the one that is drawn without parts.

        Raises
        ------
        ImageError
            If a part is absent or there twice, or two were drawn in different ways.
        """
        ordered = sorted(parts, key=lambda part: part.settings.plan.shard)
        if not ordered:
            _fail("no parts to join")
        first = ordered[0].settings
        for part in ordered:
            _check_equal(first, part.settings)
        found = [part.settings.plan.shard for part in ordered]
        if found != list(range(first.plan.shards)):
            _fail(f"expected each of {first.plan.shards} parts once, got the parts {found}")
        return cls(
            images=np.concatenate([part.images for part in ordered]),
            labels=np.concatenate([part.labels for part in ordered]),
            seeds=np.concatenate([part.seeds for part in ordered]),
            ids=np.concatenate([part.ids for part in ordered]),
            settings=replace(first, plan=replace(first.plan, shard=0, shards=1)),
        )

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
        The file appears under its name only when it is complete. The images are its ``arr_0``,
        not compressed, as the evaluation program of guided-diffusion reads them.
        """
        path = Path(path)
        check_output(path, overwrite=overwrite)
        document = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            **to_mapping(self.settings),
        }
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(
                file,
                allow_pickle=False,
                arr_0=self.images,
                labels=self.labels,
                seeds=self.seeds,
                ids=self.ids,
                settings=np.array(json.dumps(document, allow_nan=False)),
            )

    @classmethod
    def load(cls, path: str | Path) -> "SampleSet":
        """
        Load what `save` wrote.

        Parameters
        ----------
        path : str or Path
            The file; what it is called does not matter.

        Returns
        -------
        SampleSet
            Equal to what was saved.

        Raises
        ------
        ImageError
            If the file is absent, damaged, no file of drawn images, or of an unknown version.
        """
        path = Path(path)
        try:
            # Opened here: numpy leaves a damaged archive open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                _check_members(archive.zip, path.stat().st_size)
                arrays = {name: archive[name] for name in _MEMBERS}
            images, settings = arrays.pop("arr_0"), _settings(arrays.pop("settings"))
            return cls(images=images, settings=settings, **arrays)
        except OSError as error:
            msg = f"{path}: cannot be read: {error.strerror or error}"
            raise ImageError(msg) from error
        except (ImageError, ConfigError) as error:
            msg = f"{path}: {error}"
            raise ImageError(msg) from error
        except _DAMAGE as error:
            reason = f"{type(error).__name__}: {error}"
            msg = f"{path}: is damaged, or is no file of drawn images ({reason})"
            raise ImageError(msg) from error


def _fail(problem: str) -> NoReturn:
    raise ImageError(problem)


def _check_array(
    name: str, values: object, dtype: type[np.generic], shape: tuple[int, ...]
) -> None:
    """Refuse another type or shape; a length of 0 stands for any but 0."""
    fits = (
        isinstance(values, np.ndarray)
        and values.dtype == dtype
        and values.ndim == len(shape)
        and all(
            found == side if side else found > 0
            for found, side in zip(values.shape, shape, strict=True)
        )
    )
    if not fits:
        found = (
            f"{values.dtype} of shape {values.shape}"
            if isinstance(values, np.ndarray)
            else type(values).__name__
        )
        expected = ", ".join(str(side) if side else "any" for side in shape)
        _fail(f"{name}: expected {np.dtype(dtype)} of shape ({expected}), got {found}")


def _check_equal(first: SampleSettings, other: SampleSettings) -> None:
    """Refuse settings that differ in more than the number of the part."""
    ours, theirs = (
        {**to_mapping(each), **to_mapping(each.plan), "shard": 0, "plan": None}
        for each in (first, other)
    )
    for name, value in ours.items():
        if theirs[name] != value:
            _fail(f"parts of different sets: {name} is {value!r:.80} and {theirs[name]!r:.80}")


def _check_members(archive: zipfile.ZipFile, size: int) -> None:
    found = sorted(Path(entry.filename).stem for entry in archive.infolist())
    if found != sorted(_MEMBERS):
        _fail(f"is no file of drawn images: it has the arrays {found}, not {sorted(_MEMBERS)}")
    # `save` does not compress: what would expand is not its work, and could fill the memory.
    if sum(entry.file_size for entry in archive.infolist()) > size:
        _fail("is damaged: its arrays are larger than the file")


def _settings(text: NDArray[Any]) -> SampleSettings:
    try:
        document = json.loads(str(text))
    except (ValueError, RecursionError) as error:
        _fail(f"settings: are not JSON: {error}")
    if not isinstance(document, dict):
        _fail(f"settings: expected a JSON object, got {type(document).__name__}")
    found = (document.pop("format", None), document.pop("format_version", None))
    if found != (FORMAT, FORMAT_VERSION):
        _fail(f"settings: expected {FORMAT} of version {FORMAT_VERSION}, got {found}")
    return from_mapping(SampleSettings, document, where="settings")
