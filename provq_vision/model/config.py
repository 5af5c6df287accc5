"""Which parts make up an image autoencoder, and how large are they?"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from provq_protein.errors import ConfigError

Method = Literal[
    "vanilla",
    "vanilla_l2",
    "ema",
    "aminoaseed",
    "simvq",
    "rotation",
    "diveq",
    "grit",
    "fsq",
    "rvq",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class NetworkConfig:
    """
    Sizes of the convolutional encoder, of which the decoder is the mirror image.

    Parameters
    ----------
    channels : int
        Features per pixel at full resolution, before the first multiplier.
    multipliers : sequence of int
        Features of each level as a multiple of `channels`, from full resolution down. Between two
        levels the resolution is halved.
    res_blocks : int
        Residual blocks per level of the encoder; the decoder has one more.
    latent_channels : int
        Features that leave the encoder and enter the decoder, on the far side of the 1 x 1
        convolutions around the quantizer (LlamaGen's ``z_channels``).
    norm_groups : int
        Groups of each group normalization; every width must be a multiple of it.
    patch : int
        Side of the squares of pixels that the first convolution takes as one, their colors side
        by side; 1 for LlamaGen's networks. At the highest resolution 2 leaves a quarter
        of the work.

    Raises
    ------
    ConfigError
        If a size is below 1, or a width is no multiple of `norm_groups`.

    Examples
    --------
    >>> NETWORKS["vq16"].downsampling, NETWORKS["vq8"].downsampling
    (16, 8)
    """

    channels: int
    # Bare, because a recipe's list of any length must pass the strict reader; checked below.
    multipliers: Sequence
    res_blocks: int
    latent_channels: int
    norm_groups: int
    patch: int

    def __post_init__(self) -> None:
        """Refuse sizes that make no network."""
        if isinstance(self.multipliers, str) or not self.multipliers:
            msg = f"multipliers: expected a list of integers, got {self.multipliers!r}"
            raise ConfigError(msg)
        object.__setattr__(self, "multipliers", tuple(self.multipliers))
        for number in self.multipliers:
            _check_size("multipliers", number)
        for name in ("channels", "res_blocks", "latent_channels", "norm_groups", "patch"):
            _check_size(name, getattr(self, name))
        for width in (self.channels, *self.widths):
            if width % self.norm_groups:
                msg = f"norm_groups ({self.norm_groups}) must divide every width, got {width}"
                raise ConfigError(msg)

    @property
    def widths(self) -> tuple[int, ...]:
        """Features of each level, from full resolution down."""
        return tuple(self.channels * number for number in self.multipliers)

    @property
    def downsampling(self) -> int:
        """Pixels along one side of the square that a latent stands for."""
        return self.patch * 2 ** (len(self.multipliers) - 1)


def _check_size(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        msg = f"{name}: must be an integer of 1 or more, got {value!r}"
        raise ConfigError(msg)


@dataclass(frozen=True, kw_only=True, slots=True)
class CodebookConfig:
    """
    The codebook.

    Parameters
    ----------
    method : str
        One of `provq_protein.quantize.METHODS`: "vanilla" is a free table (l2-norm off),
        "vanilla_l2" the same on the unit sphere, as in LlamaGen, and so on.
    size : int
        Number of codes; of each of its two levels for "rvq".
    dim : int
        Dimension of the latents that are quantized.
    commitment_weight : float
        Weight of the commitment loss relative to the codebook loss (beta).

    Raises
    ------
    ConfigError
        If the method is unknown, or there is no choice among codes.
    """

    method: Method
    size: int
    dim: int
    commitment_weight: float

    def __post_init__(self) -> None:
        """Refuse a codebook that cannot be built."""
        if self.method not in get_args(Method):
            known = ", ".join(map(repr, get_args(Method)))
            msg = f"codebook: method must be one of {known}; got {self.method!r}"
            raise ConfigError(msg)
        if self.size < 2:
            msg = f"codebook: size must be at least 2, got {self.size}"
            raise ConfigError(msg)
        if self.dim < 1:
            msg = f"codebook: dim must be at least 1, got {self.dim}"
            raise ConfigError(msg)


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageModelConfig:
    """
    An image autoencoder: encoder, codebook, decoder.

    Parameters
    ----------
    network : NetworkConfig
        Encoder and decoder.
    codebook : CodebookConfig
        The codes.
    """

    network: NetworkConfig
    codebook: CodebookConfig


# LlamaGen's two tokenizers (Sun et al., arXiv:2406.06525, and its public configuration), and a
# network of a million parameters that two processor cores can train on 64-pixel images.
NETWORKS: dict[str, NetworkConfig] = {
    "vq16": NetworkConfig(
        channels=128,
        multipliers=(1, 1, 2, 2, 4),
        res_blocks=2,
        latent_channels=256,
        norm_groups=32,
        patch=1,
    ),
    "vq8": NetworkConfig(
        channels=128,
        multipliers=(1, 2, 2, 4),
        res_blocks=2,
        latent_channels=256,
        norm_groups=32,
        patch=1,
    ),
    "small": NetworkConfig(
        channels=32,
        multipliers=(1, 2, 2),
        res_blocks=1,
        latent_channels=64,
        norm_groups=32,
        patch=1,
    ),
}


def llamagen_config(network: str = "vq16", *, method: Method = "vanilla_l2") -> ImageModelConfig:
    """
    Return the sizes of a LlamaGen tokenizer: 16,384 codes of 8 dimensions.

    Parameters
    ----------
    network : str
        One of `NETWORKS`.
    method : str
        The codebook; LlamaGen's own is "vanilla_l2".

    Returns
    -------
    ImageModelConfig
        The configuration.

    Raises
    ------
    ConfigError
        If there is no such network or method.

    Examples
    --------
    >>> llamagen_config("vq8").codebook.size
    16384
    """
    if network not in NETWORKS:
        known = ", ".join(map(repr, NETWORKS))
        msg = f"network: must be one of {known}; got {network!r}"
        raise ConfigError(msg)
    codebook = CodebookConfig(method=method, size=16_384, dim=8, commitment_weight=0.25)
    return ImageModelConfig(network=dataclasses.replace(NETWORKS[network]), codebook=codebook)
