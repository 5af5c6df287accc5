"""What are the convolutional encoder and decoder made of?"""

from torch import Tensor, nn
from torch.nn import functional

# Names of parameters follow those of LlamaGen's released weights throughout.
_NORM_EPSILON = 1e-6


def group_norm(channels: int, groups: int) -> nn.GroupNorm:
    """
    Return the normalization that all blocks share.

    Parameters
    ----------
    channels : int
        Features per pixel.
    groups : int
        Groups of features that are normalized together.

    Returns
    -------
    GroupNorm
        With a scale and a shift per feature.
    """
    return nn.GroupNorm(groups, channels, eps=_NORM_EPSILON)


class ResidualBlock(nn.Module):
    """
    Two normalized 3 x 3 convolutions beside a shortcut.

    Parameters
    ----------
    inputs, outputs : int
        Features per pixel before and after; where they differ the shortcut is a 1 x 1
        convolution.
    groups : int
        Groups of each normalization.

    Notes
    -----
    The activation is swish, :math:`x \\sigma(x)`, after each normalization.
    """

    def __init__(self, inputs: int, outputs: int, *, groups: int) -> None:
        super().__init__()
        self.norm1 = group_norm(inputs, groups)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = group_norm(outputs, groups)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.nin_shortcut = None if inputs == outputs else nn.Conv2d(inputs, outputs, 1)

    def forward(self, features: Tensor) -> Tensor:
        """
        Apply the block.

        Parameters
        ----------
        features : Tensor, shape=(batch, inputs, height, width), dtype=float
            Features.

        Returns
        -------
        Tensor, shape=(batch, outputs, height, width), dtype=float
            Features.
        """
        inner = self.conv1(functional.silu(self.norm1(features)))
        inner = self.conv2(functional.silu(self.norm2(inner)))
        return inner + (features if self.nin_shortcut is None else self.nin_shortcut(features))


class AttentionBlock(nn.Module):
    """
    Attention of one head among all pixels, beside a shortcut.

    Parameters
    ----------
    channels : int
        Features per pixel.
    groups : int
        Groups of the normalization.
    """

    def __init__(self, channels: int, *, groups: int) -> None:
        super().__init__()
        self.norm = group_norm(channels, groups)
        self.q = nn.Conv2d(channels, channels, 1)
        self.k = nn.Conv2d(channels, channels, 1)
        self.v = nn.Conv2d(channels, channels, 1)
        self.proj_out = nn.Conv2d(channels, channels, 1)

    def forward(self, features: Tensor) -> Tensor:
        """
        Apply the block.

        Parameters
        ----------
        features : Tensor, shape=(batch, channels, height, width), dtype=float
            Features.

        Returns
        -------
        Tensor, shape=(batch, channels, height, width), dtype=float
            Features.
        """
        normed = self.norm(features)
        # The head axis is explicit: fused kernels know four axes only.
        queries, keys, values = (
            layer(normed).flatten(2).transpose(1, 2).unsqueeze(1)
            for layer in (self.q, self.k, self.v)
        )
        mixed = functional.scaled_dot_product_attention(queries, keys, values)
        mixed = mixed.squeeze(1).transpose(1, 2).reshape(features.shape)
        return features + self.proj_out(mixed)


class Downsample(nn.Module):
    """
    Half the resolution by a 3 x 3 convolution of stride 2.

    Parameters
    ----------
    channels : int
        Features per pixel.

    Notes
    -----
    One row and one column of zeros are added below and to the right, none above or to the left.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, stride=2)

    def forward(self, features: Tensor) -> Tensor:
        """
        Apply the layer.

        Parameters
        ----------
        features : Tensor, shape=(batch, channels, height, width), dtype=float
            Features of even height and width.

        Returns
        -------
        Tensor, shape=(batch, channels, height / 2, width / 2), dtype=float
            Features.
        """
        return self.conv(functional.pad(features, (0, 1, 0, 1)))


class Upsample(nn.Module):
    """
    Twice the resolution by repeating pixels, then a 3 x 3 convolution.

    Parameters
    ----------
    channels : int
        Features per pixel.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        """
        Apply the layer.

        Parameters
        ----------
        features : Tensor, shape=(batch, channels, height, width), dtype=float
            Features.

        Returns
        -------
        Tensor, shape=(batch, channels, 2 * height, 2 * width), dtype=float
            Features.
        """
        return self.conv(functional.interpolate(features, scale_factor=2.0, mode="nearest"))


def middle(channels: int, groups: int) -> nn.ModuleList:
    """
    Return the blocks at the lowest resolution, between the levels and the latents.

    Parameters
    ----------
    channels : int
        Features per pixel.
    groups : int
        Groups of each normalization.

    Returns
    -------
    ModuleList
        A residual block, attention, a residual block.
    """
    return nn.ModuleList(
        [
            ResidualBlock(channels, channels, groups=groups),
            AttentionBlock(channels, groups=groups),
            ResidualBlock(channels, channels, groups=groups),
        ]
    )
