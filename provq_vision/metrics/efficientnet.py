"""What does EfficientNet-Lite0, a small classifier of photographs, compute?"""

from collections.abc import Iterable, Mapping
from typing import cast

from torch import Tensor, nn
from torch.nn import functional

from provq_vision.metrics.perceived import Perceived

FEATURES = 1280
CLASSES = 1000
# The last block whose wide maps have 14 x 14 positions, and how many of its channels are kept:
# about as many numbers as pooled features. Like the layer of Inception that sFIDs are computed
# from, it is a convolution of single positions, normalized and rectified.
SPATIAL_BLOCK, SPATIAL_CHANNELS, SPATIAL_SIDE = 10, 7, 14
# Edge length in pixels that the published weights were trained at, and the normalization.
INPUT_SIZE = 224
_MEAN, _SCALE = 127.0, 128.0

_STEM = 32
_EPSILON = 1e-3
# Of each stage: blocks, kernel, stride of the first block, expansion, width.
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class EfficientNetLite0(nn.Module):
    """
    The network, in eval mode and without weights of its own.

    Notes
    -----
    EfficientNet-B0 without squeeze-and-excitation, and with ReLU6 in place of Swish. Convolutions
    pad as TensorFlow's do, one pixel more at the bottom and right where a stride leaves a choice.

    References
    ----------
    .. [1] Tan and Le, "EfficientNet: rethinking model scaling for convolutional neural networks",
       arXiv:1905.11946.

    Examples
    --------
    >>> import torch
    >>> with torch.random.fork_rng():
    ...     network = EfficientNetLite0()
    >>> sum(each.numel() for each in network.parameters())
    4652008
    >>> with torch.no_grad():
    ...     network.features(torch.zeros(1, 3, 64, 64, dtype=torch.uint8)).shape
    torch.Size([1, 1280])
    """

    def __init__(self) -> None:
        super().__init__()
        self.conv_stem = _SameConv(3, _STEM, 3, stride=2)
        self.bn0 = nn.BatchNorm2d(_STEM, eps=_EPSILON)
        blocks, width = [], _STEM
        for count, kernel, stride, expansion, outputs in _STAGES:
            for index in range(count):
                step = stride if index == 0 else 1
                blocks.append(_Block(width, outputs, kernel, stride=step, expansion=expansion))
                width = outputs
        self.blocks = nn.ModuleList(blocks)
        self.conv_head = _SameConv(width, FEATURES, 1)
        self.bn1 = nn.BatchNorm2d(FEATURES, eps=_EPSILON)
        self.fc = nn.Linear(FEATURES, CLASSES)
        self.eval()
        self.requires_grad_(False)

    def load_published(self, tensors: Mapping[str, Tensor]) -> None:
        """
        Take weights with the names of the published file.

        Parameters
        ----------
        tensors : mapping of str to Tensor
            The content of the file, where the names of parts have a leading underscore.

        Raises
        ------
        RuntimeError
            If a tensor is absent, unknown or of another shape.
        """
        own = {
            ".".join(part.removeprefix("_") for part in name.split(".")): value
            for name, value in tensors.items()
        }
        self.load_state_dict(own)

    def features(self, images: Tensor) -> Tensor:
        """
        Return what the classifier sees of each image.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=uint8 or float
            Colors from 0 to 255, of any size; `INPUT_SIZE` is what the weights are made for.

        Returns
        -------
        Tensor, shape=(batch, 1280), dtype=float32
            Means over all positions, from 0 to 6.
        """
        return self._maps(images)[1].mean(dim=(2, 3))

    def perceive(self, images: Tensor) -> Perceived:
        """
        Return everything about each image in one pass.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=uint8 or float
            As `features`.

        Returns
        -------
        Perceived
            Pooled features as `features`, logits as `forward`, and as spatial features the first
            7 wide channels of block 10, from 0 to 6, row by row: of an image of `INPUT_SIZE`
            14 x 14 x 7 numbers.
        """
        middle, last = self._maps(images)
        pooled = last.mean(dim=(2, 3))
        spatial = middle[:, :SPATIAL_CHANNELS].permute(0, 2, 3, 1).flatten(1)
        return Perceived(pooled, spatial, self.fc(pooled))

    def _maps(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the maps of the block of spatial features, and those that are pooled."""
        hidden = (images.float() - _MEAN) / _SCALE
        middle = hidden = functional.relu6(self.bn0(self.conv_stem(hidden)))
        for number, block in enumerate(cast("Iterable[_Block]", self.blocks)):
            wide = block.widened(hidden)
            hidden = block.narrowed(hidden, wide)
            if number == SPATIAL_BLOCK:
                middle = wide
        return middle, functional.relu6(self.bn1(self.conv_head(hidden)))

    def forward(self, images: Tensor) -> Tensor:
        """
        Return how strongly each image speaks for each class of ImageNet.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=uint8 or float
            As `features`.

        Returns
        -------
        Tensor, shape=(batch, 1000), dtype=float32
            Logits, in the order of the sorted WordNet ids.
        """
        return self.fc(self.features(images))


class _SameConv(nn.Conv2d):
    """Convolution without bias whose output has the input's size divided by the stride."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(inputs, outputs, kernel, stride=stride, groups=groups, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        """Pad and convolve features of shape (batch, channel, height, width)."""
        kernel, stride = self.kernel_size[0], self.stride[0]
        pads = [
            max((-(-size // stride) - 1) * stride + kernel - size, 0) for size in input.shape[2:]
        ]
        top, left = (pad // 2 for pad in pads)
        return super().forward(functional.pad(input, (left, pads[1] - left, top, pads[0] - top)))


class _Block(nn.Module):
    """Widen, mix each channel in space, narrow; added to its input where shapes allow."""

    def __init__(
        self, inputs: int, outputs: int, kernel: int, *, stride: int, expansion: int
    ) -> None:
        super().__init__()
        width = inputs * expansion
        self.has_skip = stride == 1 and inputs == outputs
        self.is_expanded = expansion > 1
        if self.is_expanded:
            self.expand_conv = _SameConv(inputs, width, 1)
            self.bn0 = nn.BatchNorm2d(width, eps=_EPSILON)
        self.depthwise_conv = _SameConv(width, width, kernel, stride=stride, groups=width)
        self.bn1 = nn.BatchNorm2d(width, eps=_EPSILON)
        self.project_conv = _SameConv(width, outputs, 1)
        self.bn2 = nn.BatchNorm2d(outputs, eps=_EPSILON)

    def forward(self, inputs: Tensor) -> Tensor:
        """Return features of shape (batch, channel, height / stride, width / stride)."""
        return self.narrowed(inputs, self.widened(inputs))

    def widened(self, inputs: Tensor) -> Tensor:
        """Return the wide features that are mixed in space."""
        if not self.is_expanded:
            return inputs
        return functional.relu6(self.bn0(self.expand_conv(inputs)))

    def narrowed(self, inputs: Tensor, wide: Tensor) -> Tensor:
        """Return the features of the block from its input and `widened` of it."""
        hidden = functional.relu6(self.bn1(self.depthwise_conv(wide)))
        hidden = self.bn2(self.project_conv(hidden))
        return inputs + hidden if self.has_skip else hidden
