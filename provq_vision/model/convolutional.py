"""How do convolutions turn an image into a grid of latents, and back?"""

from torch import Tensor, nn
from torch.nn import functional

from provq_vision.model.config import NetworkConfig
from provq_vision.model.layers import (
    AttentionBlock,
    Downsample,
    ResidualBlock,
    Upsample,
    group_norm,
    middle,
)

IMAGE_CHANNELS = 3


class ConvolutionalEncoder(nn.Module):
    """
    The encoder of VQGAN as LlamaGen has it.

    Parameters
    ----------
    config : NetworkConfig
        Its sizes.

    Notes
    -----
    Levels of residual blocks, each at half the resolution of the one before; attention after
    every residual block of the last level and once more in the middle. Nothing depends on the
    size of the image, except that it must be a multiple of the downsampling.

    References
    ----------
    .. [1] Esser et al., "Taming transformers for high-resolution image synthesis" (VQGAN),
       arXiv:2012.09841.
    .. [2] Sun et al., "Autoregressive model beats diffusion: Llama for scalable image generation"
       (LlamaGen), arXiv:2406.06525.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        groups = config.norm_groups
        self.patch = config.patch
        self.conv_in = nn.Conv2d(IMAGE_CHANNELS * config.patch**2, config.channels, 3, padding=1)
        self.conv_blocks = nn.ModuleList()
        inputs = config.channels
        for number, width in enumerate(config.widths):
            last = number == len(config.widths) - 1
            self.conv_blocks.append(
                _Level(
                    inputs,
                    width,
                    blocks=config.res_blocks,
                    groups=groups,
                    attention=last,
                    downsample=not last,
                )
            )
            inputs = width
        self.mid = middle(inputs, groups)
        self.norm_out = group_norm(inputs, groups)
        self.conv_out = nn.Conv2d(inputs, config.latent_channels, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        """
        Encode images.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=float
            Colors, nominally in [-1, 1].

        Returns
        -------
        Tensor, shape=(batch, latent_channels, height / f, width / f), dtype=float
            Features; f is the downsampling.
        """
        features = self.conv_in(functional.pixel_unshuffle(images, self.patch))
        for level in self.conv_blocks:
            features = level(features)
        for block in self.mid:
            features = block(features)
        return self.conv_out(functional.silu(self.norm_out(features)))


class ConvolutionalDecoder(nn.Module):
    """
    The decoder of VQGAN as LlamaGen has it.

    Parameters
    ----------
    config : NetworkConfig
        Its sizes.

    Notes
    -----
    The mirror image of the encoder with one residual block more in each level, stored from low to
    high resolution. Its output is not bounded.
    """

    def __init__(self, config: NetworkConfig) -> None:
        super().__init__()
        groups = config.norm_groups
        self.patch = config.patch
        widths = config.widths[::-1]
        inputs = widths[0]
        self.conv_in = nn.Conv2d(config.latent_channels, inputs, 3, padding=1)
        self.mid = middle(inputs, groups)
        self.conv_blocks = nn.ModuleList()
        for number, width in enumerate(widths):
            self.conv_blocks.append(
                _Level(
                    inputs,
                    width,
                    blocks=config.res_blocks + 1,
                    groups=groups,
                    attention=number == 0,
                    upsample=number < len(widths) - 1,
                )
            )
            inputs = width
        self.norm_out = group_norm(inputs, groups)
        self.conv_out = nn.Conv2d(inputs, IMAGE_CHANNELS * config.patch**2, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """
        Decode images.

        Parameters
        ----------
        features : Tensor, shape=(batch, latent_channels, height / f, width / f), dtype=float
            Features; f is the downsampling.

        Returns
        -------
        Tensor, shape=(batch, 3, height, width), dtype=float
            Colors, nominally in [-1, 1].
        """
        features = self.conv_in(features)
        for block in self.mid:
            features = block(features)
        for level in self.conv_blocks:
            features = level(features)
        colors = self.conv_out(functional.silu(self.norm_out(features)))
        return functional.pixel_shuffle(colors, self.patch)


class _Level(nn.Module):
    """Residual blocks at one resolution, with or without attention, then a change of resolution."""

    def __init__(
        self,
        inputs: int,
        width: int,
        *,
        blocks: int,
        groups: int,
        attention: bool,
        downsample: bool = False,
        upsample: bool = False,
    ) -> None:
        super().__init__()
        self.res = nn.ModuleList(
            ResidualBlock(inputs if number == 0 else width, width, groups=groups)
            for number in range(blocks)
        )
        self.attn = nn.ModuleList(
            AttentionBlock(width, groups=groups) for _ in range(blocks if attention else 0)
        )
        self.downsample = Downsample(width) if downsample else None
        self.upsample = Upsample(width) if upsample else None

    def forward(self, features: Tensor) -> Tensor:
        for number, block in enumerate(self.res):
            features = block(features)
            if self.attn:
                features = self.attn[number](features)
        for layer in (self.downsample, self.upsample):
            if layer is not None:
                features = layer(features)
        return features
