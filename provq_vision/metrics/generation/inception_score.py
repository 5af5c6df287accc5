"""How sure is a classifier of each image, and how varied are the classes that it sees?"""

import math

import numpy as np
import torch
from torch import Tensor

from provq_protein.errors import ImageError

SPLIT = 5000
"""Images of one split in published evaluations."""

_SEED = 0


def inception_score(logits: Tensor) -> float:
    """
    Return the Inception score of a set of images.

    Parameters
    ----------
    logits : Tensor, shape=(image, class), dtype=float
        Of a classifier, one row per image, in any order.

    Returns
    -------
    float
        From 1 to the number of classes.

    Raises
    ------
    ImageError
        If there is no image, or a value is not finite.

    Notes
    -----
    ``exp(mean KL(p(class | image) || p(class)))``, where p(class) is the mean over the images of
    a split of 5,000, averaged over the splits. The score depends on which images share a split,
    and samples may be sorted by class: they are shuffled first, always in the same way. An
    incomplete last split, whose score would be another size's, is left out; fewer images than
    5,000 are one split, and their score is too low to be set beside those of more.

    It is the score of papers for Inception's logits without bias (`InceptionFeatures.perceive`).

    References
    ----------
    .. [1] Salimans et al., "Improved techniques for training GANs", arXiv:1606.03498.

    Examples
    --------
    Sure of every image, and each of another class; then one class for all of them.

    >>> round(inception_score(torch.eye(4) * 100), 6)
    4.0
    >>> inception_score(torch.zeros(4, 4))
    1.0
    """
    if not len(logits):
        msg = "an Inception score needs one image or more, got 0"
        raise ImageError(msg)
    if not bool(logits.isfinite().all()):
        msg = "Inception score: expected finite logits, got NaN or infinity"
        raise ImageError(msg)
    order = torch.from_numpy(np.random.default_rng(_SEED).permutation(len(logits)))
    scores = [_split_score(logits[part.to(logits.device)]) for part in _splits(order)]
    return math.fsum(scores) / len(scores)


def _splits(order: Tensor) -> list[Tensor]:
    complete = [part for part in order.split(SPLIT) if len(part) == SPLIT]
    return complete or [order]


def _split_score(logits: Tensor) -> float:
    logs = logits.double().log_softmax(dim=1)
    # Of logarithms, so that classes of probability zero are no trouble.
    mean = torch.logsumexp(logs, dim=0) - math.log(len(logs))
    divergences = (logs.exp() * (logs - mean)).sum(dim=1)
    return math.exp(float(divergences.mean()))
