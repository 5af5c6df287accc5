"""How far apart are two sets of images, as a network sees them?"""

import struct
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from provq_protein.errors import CheckpointError, ConfigError, ImageError
from provq_protein.runs.files import replacing

_FORMAT = "provq-feature-sums-1"
SMALLEST_SET = 2
_ARRAYS = ("texts", "count", "mean", "scatter")
# What numpy raises for archives that are cut off or altered, and for files of other kinds; a
# single array is no context.
_DAMAGE = (
    AttributeError,
    EOFError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


class FeatureSums:
    """
    Number, mean and scatter of feature vectors, grown batch by batch.

    Parameters
    ----------
    dim : int
        Features per image.
    extractor : str
        What the features are from (`FeatureExtractor.id`).
    weights_sha256 : str
        Of the weights of the extractor.
    images_id : str
        Which images, cropped and resized how.

    Raises
    ------
    ValueError
        If `dim` is below 1.

    Notes
    -----
    Memory does not grow with the number of images. Means and products of deviations from them are
    merged in double precision (Chan's update), which loses nothing where features are large and
    vary little.

    References
    ----------
    .. [1] Chan, Golub, LeVeque, "Algorithms for computing the sample variance: analysis and
       recommendations", The American Statistician 37, 242-247 (1983).

    Examples
    --------
    >>> sums = FeatureSums(1)
    >>> sums.add(torch.tensor([[1.0], [2.0]]))
    >>> sums.add(torch.tensor([[6.0]]))
    >>> sums.count, sums.mean.item(), sums.covariance().item()
    (3, 3.0, 7.0)
    """

    def __init__(
        self, dim: int, *, extractor: str = "", weights_sha256: str = "", images_id: str = ""
    ) -> None:
        if dim < 1:
            msg = f"dim must be 1 or more, got {dim}"
            raise ValueError(msg)
        self.extractor = extractor
        self.weights_sha256 = weights_sha256
        self.images_id = images_id
        self._count = 0
        self._mean = torch.zeros(dim, dtype=torch.float64)
        self._scatter = torch.zeros(dim, dim, dtype=torch.float64)

    def add(self, features: Tensor) -> None:
        """
        Count more images.

        Parameters
        ----------
        features : Tensor, shape=(batch, dim), dtype=float
            One row per image.

        Raises
        ------
        ValueError
            If the shape does not fit or a value is not finite; nothing is counted then.
        """
        if features.ndim != 2 or features.shape[1] != self.dim:
            msg = f"features: expected shape (batch, {self.dim}), got {tuple(features.shape)}"
            raise ValueError(msg)
        rows = features.detach().cpu().double()
        if not bool(rows.isfinite().all()):
            msg = "features: expected finite values, got NaN or infinity"
            raise ValueError(msg)
        if len(rows):
            mean = rows.mean(dim=0)
            gaps = rows - mean
            self._pool(len(rows), mean, gaps.T @ gaps)

    def merged(self, other: "FeatureSums") -> "FeatureSums":
        """
        Return the sums over the images of both.

        Parameters
        ----------
        other : FeatureSums
            Of the same extractor.

        Returns
        -------
        FeatureSums
            A new object, whose images have no id.

        Raises
        ------
        ConfigError
            If the features are from different extractors.
        """
        self.check_same_extractor(other)
        both = FeatureSums(self.dim, extractor=self.extractor, weights_sha256=self.weights_sha256)
        for each in (self, other):
            if each.count:
                both._pool(each.count, each._mean, each._scatter)
        return both

    def check_same_extractor(self, other: "FeatureSums") -> None:
        """
        Refuse sums that cannot be set beside these.

        Parameters
        ----------
        other : FeatureSums
            Other sums.

        Raises
        ------
        ConfigError
            If the features are from different extractors.
        """
        one, two = ((each.extractor, each.weights_sha256, each.dim) for each in (self, other))
        if one != two:
            msg = (
                f"features of different extractors cannot be compared: {one[0]!r} (weights "
                f"{one[1][:8]!r}, {one[2]} features) and {two[0]!r} (weights {two[1][:8]!r}, "
                f"{two[2]} features)"
            )
            raise ConfigError(msg)

    def _pool(self, count: int, mean: Tensor, scatter: Tensor) -> None:
        total = self._count + count
        gap = mean - self._mean
        self._scatter = (
            self._scatter + scatter + torch.outer(gap, gap) * (self._count * count / total)
        )
        self._mean = self._mean + gap * (count / total)
        self._count = total

    @property
    def dim(self) -> int:
        """Features per image."""
        return self._mean.shape[0]

    @property
    def count(self) -> int:
        """Number of images counted."""
        return self._count

    @property
    def mean(self) -> Tensor:
        """
        Mean of the features.

        Returns
        -------
        Tensor, shape=(dim,), dtype=float64
            A copy; zeros if nothing was counted.
        """
        return self._mean.clone()

    def covariance(self) -> Tensor:
        """
        Return the sample covariance of the features.

        Returns
        -------
        Tensor, shape=(dim, dim), dtype=float64
            Divided by the number of images less one.

        Raises
        ------
        ImageError
            If fewer than two images were counted.
        """
        if self._count < SMALLEST_SET:
            msg = (
                f"the covariance of features needs {SMALLEST_SET} images or more, got {self._count}"
            )
            raise ImageError(msg)
        return self._scatter / (self._count - 1)

    def save(self, path: Path) -> None:
        """
        Write the sums to a file, whole or not at all.

        Parameters
        ----------
        path : Path
            Where, ending in ``.npz``; replaced if it exists.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            arrays = self.to_arrays()
            np.savez(
                file,
                texts=arrays["texts"],
                count=arrays["count"],
                mean=arrays["mean"],
                scatter=arrays["scatter"],
            )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """
        Return the sums as arrays, to be kept in a file.

        Returns
        -------
        dict of str to ndarray
            By name; what `from_arrays` takes.
        """
        texts = (_FORMAT, self.extractor, self.weights_sha256, self.images_id)
        return {
            "texts": np.array(texts, dtype=np.str_),
            "count": np.array(self._count, dtype=np.int64),
            "mean": self._mean.numpy(),
            "scatter": self._scatter.numpy(),
        }

    @classmethod
    def load(cls, path: Path) -> "FeatureSums":
        """
        Read sums from a file.

        Parameters
        ----------
        path : Path
            As `save` wrote it.

        Returns
        -------
        FeatureSums
            Equal to what was saved.

        Raises
        ------
        CheckpointError
            If the file is missing, damaged or of another kind.
        """
        try:
            # Opened here: numpy leaves a damaged archive open.
            with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in _ARRAYS}
        except OSError as error:
            msg = f"{path}: cannot be read: {error.strerror or error}"
            raise CheckpointError(msg) from error
        except _DAMAGE as error:
            msg = f"{path}: is damaged, or is no file of feature sums: {error}"
            raise CheckpointError(msg) from error
        return cls.from_arrays(arrays, where=str(path))

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], *, where: str) -> "FeatureSums":
        """
        Build sums from what `to_arrays` returned.

        Parameters
        ----------
        arrays : mapping of str to ndarray
            By name.
        where : str
            Where they are from, for error messages.

        Returns
        -------
        FeatureSums
            Equal to those that were kept.

        Raises
        ------
        CheckpointError
            If an array is of another type or shape, or not finite.
        """
        texts, count, mean, scatter = (arrays[name] for name in _ARRAYS)
        dim = mean.size
        fits = (
            (texts.shape, texts.dtype.kind) == ((4,), "U")
            and texts[0] == _FORMAT
            and (count.shape, count.dtype) == ((), np.int64)
            and count >= 0
            and (mean.shape, mean.dtype) == ((dim,), np.float64)
            and (scatter.shape, scatter.dtype) == ((dim, dim), np.float64)
            and dim > 0
            and bool(np.isfinite(mean).all() and np.isfinite(scatter).all())
        )
        if not fits:
            msg = f"{where}: is no file of feature sums that this release reads ({_FORMAT})"
            raise CheckpointError(msg)
        _, extractor, weights, images = (str(text) for text in texts)
        sums = cls(dim, extractor=extractor, weights_sha256=weights, images_id=images)
        sums._count = int(count)
        sums._mean, sums._scatter = torch.from_numpy(mean), torch.from_numpy(scatter)
        return sums


def frechet_distance(first: FeatureSums, second: FeatureSums) -> float:
    """
    Return the Frechet distance between two sets of images.

    Parameters
    ----------
    first : FeatureSums
        Of one set, two images or more.
    second : FeatureSums
        Of the other set, from the same extractor.

    Returns
    -------
    float
        Squared distance of the means, plus what the covariances differ by; 0 for equal sets.

    Raises
    ------
    ImageError
        If a set has fewer than two images.
    ConfigError
        If the features are from different extractors.

    Notes
    -----
    Features are treated as normal: ``|m1 - m2|^2 + tr(C1) + tr(C2) - 2 tr((C1 C2)^(1/2))``. The
    last trace is the sum of the singular values of ``A1^T A2``, with ``A A^T = C``, where no root
    is taken of a number that is zero but for rounding; sets smaller than the number of features,
    whose covariances are singular, lose no digits.

    Two samples of the same images have a distance above zero, which falls as the sets grow: at a
    few hundred images it can be larger than what is to be measured. Distances can be compared
    where extractor, reference and numbers of images are the same.

    References
    ----------
    .. [1] Heusel et al., "GANs trained by a two time-scale update rule converge to a local Nash
       equilibrium", arXiv:1706.08500.

    Examples
    --------
    >>> first, second = FeatureSums(1), FeatureSums(1)
    >>> first.add(torch.tensor([[0.0], [2.0]]))
    >>> second.add(torch.tensor([[3.0], [5.0]]))
    >>> frechet_distance(first, second)
    9.0
    """
    first.check_same_extractor(second)
    shift = float((first.mean - second.mean).square().sum())
    spread = float(first.covariance().trace() + second.covariance().trace())
    overlap = float(torch.linalg.svdvals(_root(first).T @ _root(second)).sum())
    return max(0.0, shift + spread - 2.0 * overlap)


def _root(sums: FeatureSums) -> Tensor:
    """Return A with A A^T = C, without columns that are zero but for rounding."""
    variances, directions = torch.linalg.eigh(sums.covariance())
    # In ascending order. N images span N - 1 directions around their mean.
    rank = min(sums.count - 1, sums.dim)
    return directions[:, -rank:] * variances[-rank:].clamp(min=0.0).sqrt()
