"""Which patches of an image look real?"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from provq_protein.errors import ConfigError
from provq_vision.model.convolutional import IMAGE_CHANNELS

_KERNEL = 4
_SLOPE = 0.2
_STANDARD_DEVIATION = 0.02
_LARGEST_MULTIPLE = 8


@dataclass(frozen=True, kw_only=True, slots=True)
class DiscriminatorConfig:
    """
    Sizes of a `PatchDiscriminator`; the defaults are those of VQGAN and LlamaGen.

    Parameters
    ----------
    channels : int
        Features of the first layer.
    layers : int
        Layers that halve the resolution.

    Raises
    ------
    ConfigError
        If a size is below 1.
    """

    channels: int = 64
    layers: int = 3

    def __post_init__(self) -> None:
        """Refuse sizes that make no network."""
        for name in ("channels", "layers"):
            if getattr(self, name) < 1:
                msg = f"discriminator: {name} must be 1 or more, got {getattr(self, name)}"
                raise ConfigError(msg)


class PatchDiscriminator(nn.Module):
    """
    Convolutions that judge every patch of an image by itself (PatchGAN).

    Parameters
    ----------
    config : DiscriminatorConfig
        Its sizes.

    Notes
    -----
    Convolutions of 4 x 4, leaky rectifiers of slope 0.2, batch normalization in all layers but
    the first and the last. Weights start normal with a standard deviation of 0.02, those of the
    normalizations around 1. With three layers a number judges 70 x 70 pixels.

    References
    ----------
    .. [1] Isola et al., "Image-to-image translation with conditional adversarial networks",
       arXiv:1611.07004.

    Examples
    --------
    >>> discriminator = PatchDiscriminator.build(DiscriminatorConfig())
    >>> sum(each.numel() for each in discriminator.parameters())
    2765633
    >>> discriminator(torch.zeros(1, 3, 256, 256)).shape
    torch.Size([1, 1, 30, 30])
    """

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__()
        self.config = config
        inputs, width = IMAGE_CHANNELS, config.channels
        parts: list[nn.Module] = []
        for layer in range(config.layers + 1):
            halves, first = layer < config.layers, layer == 0
            width = config.channels * min(2**layer, _LARGEST_MULTIPLE)
            # The normalization that follows has a shift of its own.
            parts.append(
                nn.Conv2d(inputs, width, _KERNEL, stride=2 if halves else 1, padding=1, bias=first)
            )
            if not first:
                parts.append(nn.BatchNorm2d(width))
            parts.append(nn.LeakyReLU(_SLOPE, inplace=True))
            inputs = width
        parts.append(nn.Conv2d(inputs, 1, _KERNEL, padding=1))
        self.main = nn.Sequential(*parts)
        self.apply(_initialize)

    @classmethod
    def build(cls, config: DiscriminatorConfig, *, seed: int = 0) -> "PatchDiscriminator":
        """
        Build a discriminator with fresh weights, in training mode.

        Parameters
        ----------
        config : DiscriminatorConfig
            Its sizes.
        seed : int
            Decides the weights; the global random state is left as it was.

        Returns
        -------
        PatchDiscriminator
            An untrained one.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return cls(config)

    def forward(self, images: Tensor) -> Tensor:
        """
        Judge the patches of images.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=float
            Colors in [-1, 1].

        Returns
        -------
        Tensor, shape=(batch, 1, row, column), dtype=float
            Logits, positive where a patch looks real.

        Raises
        ------
        ValueError
            If the images are smaller than a patch of the last layer.
        """
        # Two convolutions after the last halving take away a pixel each.
        smallest = 3 * 2**self.config.layers
        if min(images.shape[-2:]) < smallest:
            msg = (
                f"discriminator: images of {tuple(images.shape[-2:])} pixels are too small for "
                f"{self.config.layers} layers, which need {smallest}; use fewer layers"
            )
            raise ValueError(msg)
        return self.main(images)


def _initialize(module: nn.Module) -> None:
    if isinstance(module, nn.Conv2d):
        nn.init.normal_(module.weight, 0.0, _STANDARD_DEVIATION)
    elif isinstance(module, nn.BatchNorm2d):
        nn.init.normal_(module.weight, 1.0, _STANDARD_DEVIATION)
