"""How well does a model predict the tokens of images that it does not learn?"""

from typing import Literal

import numpy as np
import torch

from provq_vision.codes.code_set import CodeSet
from provq_vision.generation.transformer import Gpt


@torch.no_grad()
def mean_loss(
    model: Gpt,
    codes: CodeSet,
    *,
    images: int,
    batch_size: int,
    precision: Literal["fp32", "bf16"] = "fp32",
) -> float:
    """
    Return the mean negative log likelihood of tokens, each given the class and those before it.

    Parameters
    ----------
    model : Gpt
        Any; it is used in eval mode and left as it was.
    codes : CodeSet
        Tokens of images; of those with several views the first is taken.
    images : int
        How many of them at most, spread evenly over the set.
    batch_size : int
        Images at once.
    precision : {"fp32", "bf16"}
        In which the network computes.

    Returns
    -------
    float
        In nats per token. Tokens of two tokenizers cannot be compared by it: the fewer codes are
        in use, the easier they are to predict.
    """
    count = min(images, len(codes))
    chosen = np.arange(count) * len(codes) // count
    was_training = model.training
    model.eval()
    total = 0.0
    for rows in np.array_split(chosen, -(-count // batch_size)):
        ids = torch.from_numpy(codes.take(rows, np.zeros_like(rows))).to(model.device)
        labels = torch.from_numpy(codes.labels[rows]).to(model.device)
        with torch.autocast(model.device.type, torch.bfloat16, enabled=precision == "bf16"):
            total += model.loss(labels, ids).item() * len(rows)
    model.train(was_training)
    return total / count
