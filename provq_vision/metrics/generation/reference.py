"""What are generated images compared with, and how is it kept for the next comparison?"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from provq_protein.errors import CheckpointError, ConfigError
from provq_protein.runs.files import replacing
from provq_vision.images.listing import open_images
from provq_vision.metrics.extractors import SampleExtractor
from provq_vision.metrics.frechet import FeatureSums
from provq_vision.metrics.generation.archives import array_names, read_arrays
from provq_vision.metrics.generation.features import Progress, set_features
from provq_vision.metrics.generation.samples import ARCHIVE_SUFFIX, SampleFiles, Samples
from provq_vision.metrics.generation.statistics import StoredStatistics
from provq_vision.metrics.meters import GROUP

ROWS = 10_000
"""Reference images that neighborhoods are taken around in published evaluations."""

_FORMAT = "provq-generation-reference-1"
_SUMS = ("texts", "count", "mean", "scatter")
_OWN = ("format", "size", "n_images", "rows")
_UNKNOWN = -1


@dataclass(frozen=True, eq=False, kw_only=True)
class Reference:
    """
    What a network saw in the real images.

    Parameters
    ----------
    pooled : FeatureSums
        Of pooled features.
    spatial : FeatureSums
        Of spatial features of the same images.
    rows : Tensor, shape=(row, dim), dtype=float32, optional
        Pooled features of `ROWS` of the images, or of all if there are fewer. None where there
        are statistics alone, which give no precision and recall.
    size : int, optional
        Sides in pixels at which the images were seen; None if that is not known.
    n_images : int, optional
        How many images there were; None if that is not known.
    problems : tuple of tuple of str
        Name and reason, of images that could not be read; not kept in a file.
    """

    pooled: FeatureSums
    spatial: FeatureSums
    rows: Tensor | None
    size: int | None
    n_images: int | None
    problems: tuple[tuple[str, str], ...] = ()

    def check_extractor(self, extractor: SampleExtractor) -> None:
        """
        Refuse an extractor that this reference is not from.

        Parameters
        ----------
        extractor : SampleExtractor
            What samples are to be measured with.

        Raises
        ------
        ConfigError
            If network, layers or weights differ.
        """
        names = (extractor.id, extractor.spatial_id, extractor.weights_sha256)
        own = (self.pooled.extractor, self.spatial.extractor, self.pooled.weights_sha256)
        if names != own:
            msg = (
                f"the reference was measured with {own[0]!r} (spatial {own[1]!r}, weights "
                f"{own[2][:8]!r}), samples with {names[0]!r} (spatial {names[1]!r}, weights "
                f"{names[2][:8]!r}); features of different extractors cannot be compared"
            )
            raise ConfigError(msg)

    def save(self, path: Path) -> None:
        """
        Write the reference to a file, whole or not at all.

        Parameters
        ----------
        path : Path
            Where, ending in ``.npz``; replaced if it exists.
        """
        arrays = {
            "format": np.array(_FORMAT),
            "size": np.array(_UNKNOWN if self.size is None else self.size),
            "n_images": np.array(_UNKNOWN if self.n_images is None else self.n_images),
            "rows": np.zeros((0, self.pooled.dim), dtype=np.float32)
            if self.rows is None
            else self.rows.cpu().numpy(),
        }
        for kind, sums in (("pooled", self.pooled), ("spatial", self.spatial)):
            arrays |= {f"{kind}_{name}": array for name, array in sums.to_arrays().items()}
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)

    @classmethod
    def load(cls, path: Path) -> "Reference":
        """
        Read a reference from a file.

        Parameters
        ----------
        path : Path
            As `save` wrote it.

        Returns
        -------
        Reference
            Equal to the one that was saved, without its problems.

        Raises
        ------
        CheckpointError
            If the file is missing, damaged or of another kind.
        """
        names = (*_OWN, *(f"{kind}_{name}" for kind in ("pooled", "spatial") for name in _SUMS))
        arrays = read_arrays(path, names)
        pooled, spatial = (
            FeatureSums.from_arrays(
                {name: arrays[f"{kind}_{name}"] for name in _SUMS}, where=str(path)
            )
            for kind in ("pooled", "spatial")
        )
        rows = arrays["rows"]
        numbers = [arrays[name] for name in ("size", "n_images")]
        fits = (
            arrays["format"].shape == ()
            and arrays["format"].item() == _FORMAT
            and all(each.shape == () and each.dtype == np.int64 for each in numbers)
            and (rows.shape[1:], rows.dtype) == ((pooled.dim,), np.float32)
            and bool(np.isfinite(rows).all())
        )
        if not fits:
            msg = f"{path}: is no reference that this release reads ({_FORMAT})"
            raise CheckpointError(msg)
        size, n_images = (None if each == _UNKNOWN else int(each) for each in numbers)
        return cls(
            pooled=pooled,
            spatial=spatial,
            rows=torch.from_numpy(rows) if len(rows) else None,
            size=size,
            n_images=n_images,
        )


ReferenceSource = Reference | StoredStatistics | Samples


def measure_reference(
    source: Samples | StoredStatistics,
    *,
    extractor: SampleExtractor,
    size: int,
    batch_size: int = GROUP,
    progress: Progress | None = None,
) -> Reference:
    """
    Return what a network sees in real images.

    Parameters
    ----------
    source : ImageSet, SampleFiles or StoredStatistics
        The images, or what was published of them.
    extractor : SampleExtractor
        The network.
    size : int
        Sides in pixels: images of a set are center-cropped, those of files must have them.
    batch_size : int
        Images in the network at once.
    progress : callable, optional
        Called with the number of images that were done since its last call.

    Returns
    -------
    Reference
        It can be saved, and used again.

    Raises
    ------
    ImageError
        If no image can be read, or images have another size.
    ConfigError
        If a number is impossible, or statistics are of other features.
    """
    options = {"size": size, "most_rows": ROWS, "batch_size": batch_size, "progress": progress}
    if isinstance(source, StoredStatistics):
        pooled, spatial = source.sums(extractor)
        rows = None
        if source.images is not None:
            rows = set_features(source.images, extractor=extractor, **options).rows
        known = None if source.images is None else size
        return Reference(pooled=pooled, spatial=spatial, rows=rows, size=known, n_images=None)
    seen = set_features(source, extractor=extractor, **options)
    return Reference(
        pooled=seen.pooled,
        spatial=seen.spatial,
        rows=seen.rows,
        size=size,
        n_images=seen.pooled.count,
        problems=seen.problems,
    )


def open_reference(path: str | Path, *, split: str | None = None) -> ReferenceSource:
    """
    Open what a user names as the reference; images are not read yet.

    Parameters
    ----------
    path : str or Path
        A folder or archive of images, as `open_images` takes them; or a ``.npz`` file: what
        `Reference.save` wrote, published statistics, or images as `SampleFiles.open` takes them.
    split : str, optional
        "train", "val" or "test" of a folder or archive.

    Returns
    -------
    Reference, StoredStatistics, SampleFiles or ImageSet
        By what there is.

    Raises
    ------
    ConfigError
        If there are no images, or a split is named of a ``.npz`` file.
    CheckpointError
        If a ``.npz`` file is missing, damaged or of another kind.
    ImageError
        If images are damaged or none.
    """
    path = Path(path)
    if path.suffix.lower() != ARCHIVE_SUFFIX:
        return open_images(path, split=split)
    if split is not None:
        msg = f"{path}: has no splits; split {split!r} asks for a folder or archive of images"
        raise ConfigError(msg)
    if set(_OWN) <= array_names(path):
        return Reference.load(path)
    return StoredStatistics(path) if StoredStatistics.are_in(path) else SampleFiles.open([path])
