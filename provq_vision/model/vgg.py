"""What do the convolutions of VGG16 see in an image?"""

import hashlib
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from provq_protein.errors import CheckpointError

# Features of each convolution, by the blocks between which the resolution is halved.
VGG16_WIDTHS = ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512))
_KERNEL = 3
_COLORS = 3


class VggFeatures(nn.Module):
    """
    The convolutions of VGG16 up to the last of each of its five blocks, with fixed weights.

    Parameters
    ----------
    weights : sequence of tuple of Tensor
        Kernel, shape=(outputs, inputs, 3, 3), and bias, shape=(outputs,), of each of the 13
        convolutions, from the image on.
    widths : sequence of sequence of int
        Features of the convolutions of each block.
    source : str
        What the weights are from, for error messages.

    Raises
    ------
    CheckpointError
        If a weight has another shape or is not finite.

    Notes
    -----
    Weights are buffers, no parameters: no optimizer moves them, and `train` changes nothing.

    References
    ----------
    .. [1] Simonyan and Zisserman, "Very deep convolutional networks for large-scale image
       recognition", arXiv:1409.1556, configuration D.
    """

    def __init__(
        self,
        weights: Sequence[tuple[Tensor, Tensor]],
        *,
        widths: Sequence[Sequence[int]] = VGG16_WIDTHS,
        source: str,
    ) -> None:
        super().__init__()
        every = [width for block in widths for width in block]
        if len(weights) != len(every):
            msg = f"{source}: expected {len(every)} convolutions, got {len(weights)}"
            raise CheckpointError(msg)
        self.blocks = tuple(len(block) for block in widths)
        inputs = _COLORS
        for number, ((kernel, bias), width) in enumerate(zip(weights, every, strict=True)):
            expected = ((width, inputs, _KERNEL, _KERNEL), (width,))
            got = (tuple(kernel.shape), tuple(bias.shape))
            if got != expected:
                msg = f"{source}: convolution {number} has shapes {got}, expected {expected}"
                raise CheckpointError(msg)
            if not bool(torch.isfinite(kernel).all() and torch.isfinite(bias).all()):
                msg = f"{source}: convolution {number} contains NaN or infinity"
                raise CheckpointError(msg)
            self.register_buffer(f"kernel{number}", kernel.detach().clone())
            self.register_buffer(f"bias{number}", bias.detach().clone())
            inputs = width

    def forward(self, images: Tensor) -> list[Tensor]:
        """
        Return the features of each block.

        Parameters
        ----------
        images : Tensor, shape=(batch, 3, height, width), dtype=float
            Colors, scaled and ordered as the weights want them.

        Returns
        -------
        list of Tensor, each shape=(batch, features, height / 2**block, width / 2**block)
            Behind the last rectifier of each block, from full resolution down.

        Raises
        ------
        ValueError
            If the image is too small to be halved so often.
        """
        smallest = 2 ** (len(self.blocks) - 1)
        if min(images.shape[-2:]) < smallest:
            msg = (
                f"perceptual loss: images of {tuple(images.shape[-2:])} pixels are too small for "
                f"VGG16, which needs {smallest}"
            )
            raise ValueError(msg)
        found, features, number = [], images, 0
        for block, convolutions in enumerate(self.blocks):
            if block:
                features = functional.max_pool2d(features, 2)
            for _ in range(convolutions):
                kernel = self.get_buffer(f"kernel{number}")
                bias = self.get_buffer(f"bias{number}")
                features = functional.relu(functional.conv2d(features, kernel, bias, padding=1))
                number += 1
            found.append(features)
        return found


def unit_length(features: Tensor, *, epsilon: float = 1e-10) -> Tensor:
    """
    Return features divided by their length at each pixel.

    Parameters
    ----------
    features : Tensor, shape=(batch, features, height, width), dtype=float
        Features.
    epsilon : float
        Added to the length, so that pixels without features stay zero.

    Returns
    -------
    Tensor, shape=(batch, features, height, width), dtype=float32
        Of length 1, or shorter where there is hardly anything.
    """
    precise = features.to(torch.promote_types(features.dtype, torch.float32))
    # torch gives the norm of a zero vector the gradient zero; a root of a sum of squares has none.
    return precise / (torch.linalg.vector_norm(precise, dim=1, keepdim=True) + epsilon)


def weights_hash(module: nn.Module) -> str:
    """
    Return the SHA-256 of the weights of a module.

    Parameters
    ----------
    module : nn.Module
        Any.

    Returns
    -------
    str
        64 hex digits, over names, shapes and values; independent of the file they are from.
    """
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().float().numpy().tobytes())
    return digest.hexdigest()
