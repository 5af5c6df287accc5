"""How are statistics of reference images read that others published?"""

import hashlib
from pathlib import Path

import numpy as np

from provq_protein.errors import CheckpointError, ConfigError
from provq_vision.metrics.extractors import SampleExtractor
from provq_vision.metrics.frechet import FeatureSums
from provq_vision.metrics.generation.archives import array_names, read_arrays
from provq_vision.metrics.generation.features import empty_sums
from provq_vision.metrics.generation.samples import ARRAY, SampleFiles
from provq_vision.metrics.inception import NETWORK

_NAMES = ("mu", "sigma", "mu_s", "sigma_s")


class StoredStatistics:
    """
    Means and covariances of Inception features, as published reference batches hold them.

    Parameters
    ----------
    path : Path
        A NumPy archive with ``mu``, ``sigma`` (2,048 pooled features), ``mu_s`` and ``sigma_s``
        (2,023 spatial ones), and perhaps ``arr_0``, images of the same set for precision and
        recall.

    Attributes
    ----------
    images : SampleFiles or None
        The images, where there are any.

    Raises
    ------
    CheckpointError
        If the file is missing, damaged or of another kind.
    ImageError
        If the images are none.

    Notes
    -----
    The layout is that of the reference batches of guided-diffusion. How many images the
    statistics are of is not written there.

    References
    ----------
    .. [1] Dhariwal and Nichol, Diffusion Models Beat GANs on Image Synthesis, NeurIPS 2021.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._arrays = read_arrays(path, _NAMES)
        self.images: SampleFiles | None = None
        if ARRAY in array_names(path):
            self.images = SampleFiles.open([path])

    def __len__(self) -> int:
        return 0 if self.images is None else len(self.images)

    @staticmethod
    def are_in(path: Path) -> bool:
        """
        Return whether an archive holds statistics.

        Parameters
        ----------
        path : Path
            The file.

        Returns
        -------
        bool
            False for a file of images alone.
        """
        return set(_NAMES) <= array_names(path)

    def sums(self, extractor: SampleExtractor) -> tuple[FeatureSums, FeatureSums]:
        """
        Return the statistics as sums that samples can be compared with.

        Parameters
        ----------
        extractor : SampleExtractor
            What the samples are measured with.

        Returns
        -------
        tuple of FeatureSums
            Of pooled and of spatial features. Their counts are not known: they are those of the
            smallest sets whose covariances can have full rank.

        Raises
        ------
        ConfigError
            If the extractor is not the Inception that such statistics are from.
        CheckpointError
            If an array has another shape, or is not finite.
        """
        if not extractor.id.startswith(f"{NETWORK}/"):
            msg = (
                f"{self._path}: holds statistics of Inception features, which features of "
                f"{extractor.id!r} cannot be compared with; take --features inception:PATH, or "
                "name images as the reference"
            )
            raise ConfigError(msg)
        digest = hashlib.sha256()
        for name in _NAMES:
            digest.update(self._arrays[name].tobytes())
        pooled, spatial = empty_sums(extractor, f"{digest.hexdigest()}/statistics")
        return (
            self._filled(pooled, self._arrays["mu"], self._arrays["sigma"]),
            self._filled(spatial, self._arrays["mu_s"], self._arrays["sigma_s"]),
        )

    def _filled(self, sums: FeatureSums, mean: np.ndarray, covariance: np.ndarray) -> FeatureSums:
        shapes = (mean.shape, covariance.shape)
        kinds = mean.dtype.kind + covariance.dtype.kind
        if shapes != ((sums.dim,), (sums.dim, sums.dim)) or kinds != "ff":
            msg = (
                f"{self._path}: expected floats of shapes ({sums.dim},) and "
                f"({sums.dim}, {sums.dim}), got {mean.dtype} of {shapes[0]} and "
                f"{covariance.dtype} of {shapes[1]}"
            )
            raise CheckpointError(msg)
        count = sums.dim + 1
        arrays = sums.to_arrays() | {
            "count": np.array(count, dtype=np.int64),
            "mean": mean.astype(np.float64),
            "scatter": covariance.astype(np.float64) * (count - 1),
        }
        return FeatureSums.from_arrays(arrays, where=str(self._path))
