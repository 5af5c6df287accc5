"""What does a network tell about each image of a batch?"""

from typing import NamedTuple

from torch import Tensor


class Perceived(NamedTuple):
    """
    Everything that one pass of a classifier gives, one row per image.

    Parameters
    ----------
    pooled : Tensor, shape=(batch, dim), dtype=float
        Features of an image as a whole.
    spatial : Tensor, shape=(batch, spatial_dim), dtype=float
        Features that keep where in the image they are: a few channels of an earlier layer.
    logits : Tensor, shape=(batch, class), dtype=float
        How strongly the image speaks for each class that the network knows.
    """

    pooled: Tensor
    spatial: Tensor
    logits: Tensor
