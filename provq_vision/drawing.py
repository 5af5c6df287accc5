"""How does a trained model draw images of classes?"""

from collections.abc import Callable, Sequence

import numpy as np
import torch

from provq_protein.errors import ConfigError
from provq_vision import __version__
from provq_vision.generation.choosing import Sampling
from provq_vision.generation.folder import TrainedGpt
from provq_vision.generation.sampling import WIDTH, sample
from provq_vision.samples import DrawPlan, SampleSet, SampleSettings
from provq_vision.tokenizer import ImageTokenizer

# In the record of the training in a folder of an autoregressive model: names, sorted as ids are.
CLASSES = "classes"
_PLAIN = Sampling()


def class_ids(gpt: TrainedGpt, classes: Sequence[str | int] | None = None) -> tuple[int, ...]:
    """
    Return the ids of classes.

    Parameters
    ----------
    gpt : TrainedGpt
        Whose classes.
    classes : sequence of str or int, optional
        Names, where the model records those of its training, or ids. A text of digits is an id
        unless a class is called so. By default all classes.

    Returns
    -------
    tuple of int
        In the order given.

    Raises
    ------
    ConfigError
        If the model has no such class.
    """
    number = gpt.model.config.num_classes
    if classes is None:
        return tuple(range(number))
    names = gpt.training.get(CLASSES, ())
    ids = {str(label): label for label in range(number)}
    ids |= {name: label for label, name in enumerate(names)}
    found = []
    for given in classes:
        label = given if isinstance(given, int) else ids.get(given, -1)
        if isinstance(given, bool) or not 0 <= label < number:
            known = f"names as {names[0]!r}, or " if names else "no names, but "
            msg = (
                f"class {given!r}: the model knows no such class; it has {number} of them: {known}"
                f"ids from 0 to {number - 1}"
            )
            raise ConfigError(msg)
        found.append(label)
    return tuple(found)


def draw(
    gpt: TrainedGpt,
    tokenizer: ImageTokenizer,
    plan: DrawPlan,
    *,
    sampling: Sampling = _PLAIN,
    width: int = WIDTH,
    on_done: Callable[[int], object] | None = None,
) -> SampleSet:
    """
    Draw the images of a plan.

    Parameters
    ----------
    gpt : TrainedGpt
        Draws the tokens. Move its model to its device before.
    tokenizer : ImageTokenizer
        Decodes them: that of the training of `gpt`.
    plan : DrawPlan
        Classes and seeds.
    sampling : Sampling
        How tokens are chosen.
    width : int
        Images that are computed together; part of what decides an image, see
        `provq_vision.generation.sample`.
    on_done : callable, optional
        Called with the number of images after each of these batches.

    Returns
    -------
    SampleSet
        In the order of their numbers. All of them are held in memory; a plan in parts needs less.

    Raises
    ------
    TokenFormatError
        If `gpt` was trained on tokens of another tokenizer.
    ConfigError
        If the model has no class of the plan, a number is out of range, or guidance is asked of
        a model that was trained without class dropout.

    Notes
    -----
    The parts of a plan joined are the images of the whole plan, bit for bit.
    """
    gpt.check_tokenizer(tokenizer.fingerprint)
    class_ids(gpt, plan.classes)
    settings = _settings(gpt, plan, sampling, width)
    number, grid = len(plan.numbers), gpt.model.config.grid
    side = grid * tokenizer.downsampling
    ids = np.empty((number, grid, grid), dtype=np.int32)
    images = np.empty((number, side, side, 3), dtype=np.uint8)
    labels, seeds = plan.labels(), plan.seeds()
    # Consecutive seeds fill one batch, so that calls of one batch each are not slower than one
    # call for all.
    for start in range(0, number, width):
        rows = slice(start, start + width)
        ids[rows] = sample(
            gpt.model,
            labels[rows].tolist(),
            seeds=seeds[rows].tolist(),
            guidance=sampling.guidance,
            temperature=sampling.temperature,
            top_k=sampling.top_k,
            top_p=sampling.top_p,
            width=width,
        ).numpy()
        for row in range(number)[rows]:
            images[row] = tokenizer.decode_ids(ids[row])
        if on_done is not None:
            on_done(len(range(number)[rows]))
    return SampleSet(images=images, labels=labels, seeds=seeds, ids=ids, settings=settings)


def _settings(gpt: TrainedGpt, plan: DrawPlan, sampling: Sampling, width: int) -> SampleSettings:
    return SampleSettings(
        gpt=gpt.fingerprint(),
        tokenizer=gpt.tokenizer,
        plan=plan,
        guidance=float(sampling.guidance),
        temperature=float(sampling.temperature),
        top_k=sampling.top_k,
        top_p=float(sampling.top_p),
        width=width,
        device=gpt.model.device.type,
        provq=__version__,
        torch=torch.__version__,
    )
