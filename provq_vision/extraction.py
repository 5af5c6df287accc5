"""How do images become a folder of codes that a sequence model is trained on?"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from provq_protein.errors import ConfigError, ImageError, TokenFormatError
from provq_vision.codes.reading import read_codes, read_shard
from provq_vision.codes.settings import SETTINGS, CodeSettings
from provq_vision.codes.shards import shard_path, write_shard
from provq_vision.images.crops import center_crop, ten_crops, to_floats
from provq_vision.images.decoding import ImageProblem, decode_image
from provq_vision.images.layout import NO_LABEL
from provq_vision.images.listing import ImageSet
from provq_vision.inputs import OnProblem, reason_of
from provq_vision.tokenizer import ImageTokenizer

MARGINS = (1.1, 1.05)
"""Margins of the ten crops on which LlamaGen trains."""

SHARD_SIZE = 1024

# A sequence model learns a vector for each class: larger numbers are no classes.
_MOST_CLASSES = 2**20
_SHOWN = 3


class Extracted(NamedTuple):
    """
    What is in the files that one process worked off.

    Parameters
    ----------
    images : int
        Images whose codes are there.
    problems : int
        Images that could not be read.
    written : int
        Files that were made now.
    kept : int
        Files that were there already, and are whole.
    used : int
        Codes that occur.
    """

    images: int
    problems: int
    written: int
    kept: int
    used: int


class _Content(NamedTuple):
    """What is in one file."""

    codes: NDArray[np.int64]
    labels: NDArray[np.int64]
    names: tuple[str, ...]
    problems: tuple[ImageProblem, ...]


class CodeExtractor:
    """
    Encode views of images into a folder of codes.

    Parameters
    ----------
    tokenizer : ImageTokenizer
        With one code per token.
    images : ImageSet
        Every one with a class. Classes that are only numbered are named by their numbers.
    size : int, optional
        Sides of the crops, in pixels; by default those of the tokenizer's training.
    margins : sequence of float
        Ten crops are taken at each (see `provq_vision.images.crops.ten_crops`); with none, the
        central crop alone.
    shard_size : int
        Images per file.

    Raises
    ------
    ConfigError
        If a number is impossible, an image has no class, or the tokenizer's codebook is residual.

    Notes
    -----
    An image's codes follow from the image alone: its crops are encoded ten at a time, never
    together with those of another.
    """

    def __init__(
        self,
        tokenizer: ImageTokenizer,
        images: ImageSet,
        *,
        size: int | None = None,
        margins: Sequence[float] = MARGINS,
        shard_size: int = SHARD_SIZE,
    ) -> None:
        if tokenizer.model.quantizer.codebook.index_shape:
            msg = (
                f"{tokenizer.name}: has a residual codebook, with several codes per token; a "
                "sequence model takes one: use a tokenizer with another codebook"
            )
            raise ConfigError(msg)
        size = tokenizer.size_for(size)
        self.tokenizer = tokenizer
        self.images = images
        self.settings = CodeSettings(
            fingerprint=tokenizer.fingerprint,
            vocabulary=tokenizer.codebook_size,
            grid=size // tokenizer.downsampling,
            image_size=size,
            margins=tuple(float(each) for each in margins),
            shard_size=shard_size,
            n_images=len(images),
            images=images.content_hash(),
            classes=_classes(images),
        )

    def fill(
        self,
        folder: Path,
        *,
        number: int = 0,
        of: int = 1,
        on_problem: OnProblem | None = None,
        on_done: Callable[[int], object] | None = None,
    ) -> Extracted:
        """
        Write the files that a folder lacks.

        Parameters
        ----------
        folder : Path
            Made if it does not exist. Files that are whole are kept, damaged ones replaced.
        number : int
            Which part of the files to work off, from 0.
        of : int
            How many parts there are; several processes may fill one folder, each another part.
        on_problem : callable, optional
            Called with an `ImageProblem` for each image that cannot be read, also for those of
            files that are kept.
        on_done : callable, optional
            Called with how many more images have been dealt with.

        Returns
        -------
        Extracted
            What is in the files of this part.

        Raises
        ------
        ConfigError
            If the folder, or a file in it, holds other codes, or if there is no such part.
        ImageError
            If the model fails on an image, for instance for lack of memory.

        Notes
        -----
        The same folder results from any number of parts and interruptions, byte for byte.
        """
        if not 0 <= number < of:
            msg = f"there is no part {number} of {of}; parts are counted from 0"
            raise ConfigError(msg)
        _begin(folder, self.settings)
        tell = on_problem or (lambda problem: None)
        advance = on_done or (lambda done: None)
        used = np.zeros(self.settings.vocabulary, dtype=bool)
        images = problems = written = kept = 0
        for shard in range(number, self.settings.n_shards, of):
            _remove_leftovers(shard_path(folder, shard))
            content = _content(folder, self.settings, shard)
            if content is None:
                content = self._encoded(shard, tell, advance)
                write_shard(folder, self.settings, shard, **content._asdict())
                written += 1
            else:
                for problem in content.problems:
                    tell(problem)
                advance(len(self.settings.members(shard)))
                kept += 1
            used[content.codes] = True
            images += len(content.names)
            problems += len(content.problems)
        return Extracted(images, problems, written, kept, int(used.sum()))

    def _encoded(self, shard: int, tell: OnProblem, advance: Callable[[int], object]) -> _Content:
        codes, indices, problems = [], [], []
        for index in self.settings.members(shard):
            name = self.images.names[index]
            try:
                codes.append(self._views(decode_image(self.images.read(index), name=name)))
                indices.append(index)
            # Of the model: this image has latents that are not finite.
            except (ImageError, ValueError) as error:
                problems.append(ImageProblem(name, reason_of(error, name)))
                tell(problems[-1])
            # Not a property of the image, and so nothing to record.
            except (RuntimeError, MemoryError) as error:
                msg = (
                    f"{name}: cannot be encoded here: {reason_of(error, name)}; the files that "
                    "are finished are kept: the same command goes on with the others"
                )
                raise ImageError(msg) from error
            advance(1)
        shape = (-1, self.settings.views, self.settings.grid, self.settings.grid)
        return _Content(
            np.array(codes, dtype=np.int64).reshape(shape),
            self.images.labels[indices],
            tuple(self.images.names[index] for index in indices),
            tuple(problems),
        )

    def _views(self, pixels: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Return the ids of all views of an image, (view, row, column)."""
        size, margins = self.settings.image_size, self.settings.margins
        if not margins:
            return self.tokenizer.encode_pixels(center_crop(pixels, size))[None].astype(np.int64)
        return np.concatenate(
            [self._encode(ten_crops(pixels, size, margin=margin)) for margin in margins]
        )

    @torch.inference_mode()
    def _encode(self, crops: NDArray[np.uint8]) -> NDArray[np.int64]:
        model = self.tokenizer.model
        device = next(model.parameters()).device
        batch = torch.from_numpy(crops).permute(0, 3, 1, 2).to(device)
        return model.encode(to_floats(batch).contiguous()).cpu().numpy()


def _classes(images: ImageSet) -> tuple[str, ...]:
    without = np.flatnonzero(images.labels == NO_LABEL)
    if len(without):
        shown = ", ".join(repr(images.names[index]) for index in without[:_SHOWN])
        msg = (
            f"{len(without)} of {len(images)} images have no class ({shown}); a class-conditional "
            "model needs one of each: put every image into the folder of its class"
        )
        raise ConfigError(msg)
    if images.classes:
        return images.classes
    largest = int(images.labels.max(initial=0))
    if largest >= _MOST_CLASSES:
        msg = f"class number {largest}; expected less than {_MOST_CLASSES}"
        raise ConfigError(msg)
    return tuple(str(label) for label in range(largest + 1))


def _begin(folder: Path, settings: CodeSettings) -> None:
    """Make the folder, or refuse one of other codes."""
    if folder.exists() and not folder.is_dir():
        msg = f"{folder}: is not a folder; name one for the codes"
        raise ConfigError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / SETTINGS
    if path.exists():
        _remove_leftovers(path)
    else:
        try:
            settings.save(folder)
        except FileNotFoundError:
            # Another process began the same folder, and took this one's file for a leftover.
            if not path.exists():
                raise
    differences = CodeSettings.load(folder).differences(settings)
    if differences:
        msg = f"{folder}: holds other codes ({'; '.join(differences)}); choose another folder"
        raise ConfigError(msg)


def _remove_leftovers(path: Path) -> None:
    """Remove what a process left that was ended while it wrote a file."""
    for leftover in path.parent.glob(f".{path.name}.*.tmp"):
        leftover.unlink(missing_ok=True)


def _content(folder: Path, settings: CodeSettings, number: int) -> _Content | None:
    """Return what is in a file; None where it has to be made."""
    try:
        shard = read_shard(folder, settings, number)
        codes = read_codes(shard, settings)
    except (FileNotFoundError, TokenFormatError):
        return None
    return _Content(codes, shard.labels, shard.names, shard.problems)
