"""How does a model draw images of classes, the same ones however the work is divided?"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor

from provq_protein.errors import ConfigError
from provq_vision.generation.choosing import Sampling, choose, guided, probabilities
from provq_vision.generation.transformer import Gpt

WIDTH = 16
_SEEDS = 2**63


def sample(
    model: Gpt,
    labels: Sequence[int] | Tensor,
    *,
    seeds: Sequence[int] | Tensor,
    guidance: float = 1.0,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    width: int = WIDTH,
    on_done: Callable[[int], object] | None = None,
) -> Tensor:
    """
    Draw the tokens of images, each decided by its class and its seed.

    Parameters
    ----------
    model : Gpt
        A trained model; it is used in eval mode and left as it was.
    labels : sequence of int or Tensor, shape=(image,)
        Class ids.
    seeds : sequence of int or Tensor, shape=(image,)
        One per image, from 0 to below 2 ** 63.
    guidance : float
        Scale of classifier-free guidance; see `Sampling`.
    temperature : float
        Above 0; see `Sampling`.
    top_k : int
        0 for all tokens; see `Sampling`.
    top_p : float
        1 for all tokens; see `Sampling`.
    width : int
        Images that are computed together; part of what decides an image, see below.
    on_done : callable, optional
        Called with the number of images after each of these batches.

    Returns
    -------
    Tensor, shape=(image, row, column), dtype=int64
        Token ids, on the CPU.

    Raises
    ------
    ConfigError
        If a number is out of range, there is not one seed per class, or guidance is asked of a
        model that was trained without class dropout.

    Notes
    -----
    The random numbers of an image come from a generator of its own, and its probabilities do
    not depend on its companions: all batches have exactly `width` rows, and an image is always
    computed in row ``seed % width``, because both the size of a batch and the place in it can
    decide how a matrix product is rounded. Rows without an image are filled up and thrown away.
    So with the same width, device, number of threads and version of torch, an image is the same
    in whatever order and parts images are asked for. Consecutive seeds fill the rows; seeds that
    leave the same remainder when divided by `width` are computed one after another.

    Another width, or another device, changes an image if a random number falls between two
    roundings of the same probability, after which all its later tokens may differ.

    LlamaGen ignores scales below 1; here they lie between no class (0) and no guidance (1).

    Examples
    --------
    >>> from provq_vision.generation.config import GPTS
    >>> sample(Gpt.build(GPTS["mini"]), [7, 7, 9], seeds=[0, 1, 2], guidance=2.0).shape
    torch.Size([3, 8, 8])
    """
    settings = Sampling(guidance=guidance, temperature=temperature, top_k=top_k, top_p=top_p)
    if not isinstance(width, int) or isinstance(width, bool) or width < 1:
        msg = f"width: must be an integer of 1 or more, got {width!r}"
        raise ConfigError(msg)
    classes = _integers("labels", labels, model.config.num_classes, "classes of the model")
    keys = _integers("seeds", seeds, _SEEDS, "seeds")
    if len(classes) != len(keys):
        msg = f"seeds: expected one per image ({len(classes)}), got {len(keys)}"
        raise ConfigError(msg)
    if guidance != 1.0 and model.config.class_dropout == 0.0:
        msg = (
            f"guidance: {guidance} needs a model that was trained with class dropout, and this "
            "one has 0; use 1"
        )
        raise ConfigError(msg)
    was_training = model.training
    model.eval()
    try:
        return _sample(model, classes, keys, settings, width, on_done)
    finally:
        model.train(was_training)


# Not inference mode: its tensors could not be trained on.
@torch.no_grad()
def _sample(
    model: Gpt,
    classes: list[int],
    seeds: list[int],
    settings: Sampling,
    width: int,
    on_done: Callable[[int], object] | None,
) -> Tensor:
    """Return the tokens of images, all numbers of which are checked."""
    ids = torch.empty(len(classes), model.config.tokens, dtype=torch.int64)
    for batch in _rows(seeds, width):
        labels = torch.full((width,), model.config.null_class)
        uniforms = torch.zeros(width, model.config.tokens, dtype=torch.float64)
        for row, image in batch.items():
            labels[row] = classes[image]
            uniforms[row] = _uniforms(seeds[image], model.config.tokens)
        drawn = _draw(model, labels, uniforms, settings)
        for row, image in batch.items():
            ids[image] = drawn[row]
        if on_done is not None:
            on_done(len(batch))
    return ids.unflatten(1, (model.config.grid, model.config.grid))


def _rows(seeds: list[int], width: int) -> list[dict[int, int]]:
    """Return, for each batch, which image is computed in which row."""
    batches: list[dict[int, int]] = []
    taken = [0] * width
    for image, seed in enumerate(seeds):
        row = seed % width
        if taken[row] == len(batches):
            batches.append({})
        batches[taken[row]][row] = image
        taken[row] += 1
    return batches


def _draw(model: Gpt, labels: Tensor, uniforms: Tensor, settings: Sampling) -> Tensor:
    """Return the tokens of one batch, one random number each."""
    turns, cache = model.turns(), model.new_cache()
    none = torch.full_like(labels, model.config.null_class)
    if settings.is_guided:
        labels = torch.cat([labels, none])
    elif settings.guidance == 0.0:
        labels = none
    ids, uniforms = labels.to(model.device), uniforms.to(model.device)
    found = []
    for place in range(model.config.tokens):
        logits = model.next_logits(ids, cache, turns)
        if settings.is_guided:
            logits = guided(*logits.double().chunk(2), settings.guidance)
        ids = choose(probabilities(logits, settings), uniforms[:, place])
        found.append(ids)
        if settings.is_guided:
            ids = ids.repeat(2)
    return torch.stack(found, dim=1).cpu()


def _uniforms(seed: int, count: int) -> Tensor:
    """Return the random numbers of an image, the same ones for every device."""
    # Not a generator of torch: that of processors knows the lower 32 bits of a seed alone.
    return torch.from_numpy(np.random.default_rng(seed).random(count))


def _integers(name: str, values: Sequence[int] | Tensor, count: int, what: str) -> list[int]:
    found = values.tolist() if isinstance(values, Tensor) else list(values)
    for place, value in enumerate(found):
        # numpy's integers as well, by way of __index__; neither floats nor truth values.
        if isinstance(value, bool) or not hasattr(value, "__index__") or not 0 <= value < count:
            msg = f"{name}: number {place} is {value!r}, expected 0 to {count - 1} ({what})"
            raise ConfigError(msg)
    return [int(value) for value in found]
