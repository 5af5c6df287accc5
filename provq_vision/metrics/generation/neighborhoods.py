"""Which share of the generated images look real, and which share of the real ones are covered?"""

from typing import NamedTuple

import torch
from torch import Tensor

from provq_protein.errors import ImageError

NEIGHBORS = 3
"""Neighbors that the size of a neighborhood is taken from in published evaluations."""

# Of each side of a tile. Two of such rows of 2,048 numbers and their distances are 96 MiB.
_TILE = 2048
# Squared distances below this share of the squared lengths are rounding: the images are equal.
_EQUAL = 1e-12


class PrecisionRecall(NamedTuple):
    """
    How far two sets of images cover each other.

    Parameters
    ----------
    precision : float
        Share of the samples that are in the neighborhood of a reference image.
    recall : float
        Share of the reference images that are in the neighborhood of a sample.
    """

    precision: float
    recall: float


def precision_recall(
    samples: Tensor, reference: Tensor, *, neighbors: int = NEIGHBORS
) -> PrecisionRecall:
    """
    Return precision and recall of samples by neighborhoods in a space of features.

    Parameters
    ----------
    samples : Tensor, shape=(sample, dim), dtype=float
        Features of generated images.
    reference : Tensor, shape=(image, dim), dtype=float
        Features of real images, on the same device.
    neighbors : int
        The neighborhood of an image reaches to its so-many-th nearest neighbor in its own set.

    Returns
    -------
    PrecisionRecall
        Both from 0 to 1.

    Raises
    ------
    ImageError
        If a set has too few images for that many neighbors, the numbers of features differ, or a
        value is not finite.

    Notes
    -----
    Distances are computed in double precision and compared in single, where an image and its copy
    stay equally far from a third. Memory does not grow with the number of images beyond their
    features: one tile of distances is held at a time.

    Both values depend on the sizes of the sets. Published ones take 50,000 samples and 10,000
    reference images.

    References
    ----------
    .. [1] Kynkaanniemi et al., "Improved precision and recall metric for assessing generative
       models", arXiv:1904.06991.

    Examples
    --------
    >>> real = torch.arange(8.0)[:, None]
    >>> precision_recall(torch.tensor([[0.0], [1.0], [2.0], [90.0]]), real, neighbors=2)
    PrecisionRecall(precision=0.75, recall=1.0)
    """
    for name, features in (("samples", samples), ("reference", reference)):
        _check(name, features, neighbors)
    if samples.shape[1] != reference.shape[1]:
        msg = (
            f"samples have {samples.shape[1]} features, the reference has {reference.shape[1]}; "
            "take both from the same extractor"
        )
        raise ImageError(msg)
    return PrecisionRecall(
        precision=_covered(samples, reference, _radii(reference, neighbors)),
        recall=_covered(reference, samples, _radii(samples, neighbors)),
    )


def _check(name: str, features: Tensor, neighbors: int) -> None:
    if neighbors < 1:
        msg = f"neighbors: expected 1 or more, got {neighbors}"
        raise ImageError(msg)
    if features.ndim != 2 or len(features) <= neighbors:
        msg = (
            f"{name}: neighborhoods to the neighbor number {neighbors} need {neighbors + 1} "
            f"images or more, got features of shape {tuple(features.shape)}"
        )
        raise ImageError(msg)
    if not bool(features.isfinite().all()):
        msg = f"{name}: expected finite features, got NaN or infinity"
        raise ImageError(msg)


def _radii(features: Tensor, neighbors: int) -> Tensor:
    """Return the squared distance of each row to its neighbor, one value per row."""
    found = []
    for rows in features.split(_TILE):
        nearest = features.new_full((len(rows), neighbors + 1), torch.inf, dtype=torch.float32)
        for columns in features.split(_TILE):
            both = torch.cat([nearest, _distances(rows, columns)], dim=1)
            nearest = both.topk(neighbors + 1, dim=1, largest=False).values
        # The first is the row itself, or its copy.
        found.append(nearest[:, neighbors])
    return torch.cat(found)


def _covered(features: Tensor, centers: Tensor, radii: Tensor) -> float:
    """Return the share of rows that are within the radius of a center."""
    count = 0
    for rows in features.split(_TILE):
        is_in = torch.zeros(len(rows), dtype=torch.bool, device=rows.device)
        for columns, reach in zip(centers.split(_TILE), radii.split(_TILE), strict=True):
            is_in |= (_distances(rows, columns) <= reach).any(dim=1)
        count += int(is_in.sum())
    return count / len(features)


def _distances(rows: Tensor, columns: Tensor) -> Tensor:
    """Return squared distances of shape (row, column) in single precision."""
    left, right = rows.double(), columns.double()
    lengths = left.square().sum(dim=1)[:, None] + right.square().sum(dim=1)
    squared = torch.addmm(lengths, left, right.T, alpha=-2.0)
    return squared.masked_fill_(squared < _EQUAL * lengths, 0.0).float()
