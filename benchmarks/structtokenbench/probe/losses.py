"""What does a probe minimise, and how are rows of a batch weighted?"""

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional

Target = Literal["binary", "regression", "classes"]


def row_weights(labels: Tensor, target: Target) -> Tensor:
    """
    Weight each row of a batch so that the loss is the weighted sum.

    Parameters
    ----------
    labels : Tensor, shape=(row,)
        Labels of the batch, none of them *NaN*.
    target : {"binary", "regression", "classes"}
        What a label is.

    Returns
    -------
    Tensor, shape=(row,)
        1 / M for M rows; for binary labels times M / (2 P) for the P positives and M / (2 N) for
        the N negatives. Where one class is missing, every row weighs half of 1 / M.

    Examples
    --------
    >>> row_weights(torch.tensor([1.0, 0.0, 0.0, 0.0]), "binary").tolist()[:2]
    [0.5, 0.1666666716337204]
    """
    rows = max(len(labels), 1)
    if target != "binary":
        return torch.full_like(labels, 1 / rows)
    positives = labels.sum()
    counts = torch.where(labels > 0.5, positives, len(labels) - positives)
    return 0.5 / counts.clamp(min=1)


def replica_losses(outputs: Tensor, labels: Tensor, target: Target) -> Tensor:
    """
    Compute the loss of each replica.

    Parameters
    ----------
    outputs : Tensor, shape=(replica, row, output)
        Logits or predicted values.
    labels : Tensor, shape=(row,)
        Labels, none of them *NaN*.
    target : {"binary", "regression", "classes"}
        Class-weighted cross-entropy of logits, squared error, or cross-entropy over classes.

    Returns
    -------
    Tensor, shape=(replica,)
        Losses. Each depends on the outputs of its replica alone.
    """
    if target == "classes":
        classes = labels.long().expand(outputs.shape[0], -1)
        return functional.cross_entropy(outputs.transpose(1, 2), classes, reduction="none").mean(1)
    values = outputs[..., 0]
    wanted = labels.expand_as(values)
    if target == "binary":
        each = functional.binary_cross_entropy_with_logits(values, wanted, reduction="none")
    else:
        each = (values - wanted).square()
    return each @ row_weights(labels, target)
