"""Which parts does the experiment on ImageNet-1k have, and what is an image's share of each?"""

from collections.abc import Callable
from dataclasses import dataclass

import torch

from provq_vision.codes.plan import CodeBatch
from provq_vision.generation import GPTS, Gpt, sample
from provq_vision.gpt_training.config import load_recipe as load_gpt_recipe
from provq_vision.gpt_training.optimizer import make_optimizer as make_gpt_optimizer
from provq_vision.gpt_training.step import compute_gradients as gpt_gradients
from provq_vision.images.batches import ImageBatch
from provq_vision.images.crops import to_floats
from provq_vision.model import ImageAutoencoder
from provq_vision.model.discriminator import PatchDiscriminator
from provq_vision.model.perceptual import LpipsLoss
from provq_vision.model.vgg import VGG16_WIDTHS, VggFeatures
from provq_vision.training.config import load_recipe
from provq_vision.training.optimizer import make_discriminator_optimizer, make_optimizer
from provq_vision.training.step import compute_gradients

IMAGES, VIEWS, SAMPLES, SCALES = 1_281_167, 20, 50_000, 4
TOKENIZER, SIZE = "imagenet1k_256", 256
MODELS = {"B": "llamagen_b", "L": "llamagen_l"}
Work = Callable[[], object]


@dataclass(frozen=True)
class Stage:
    """
    One part of the experiment.

    Attributes
    ----------
    key : str
        Name in files.
    title : str
        Name on the page.
    images : int
        How many images go through it, again and again where they do.
    times : int
        How often the experiment has it: for each tokenizer, for instance.
    """

    key: str
    title: str
    images: int
    times: int


def stages() -> list[Stage]:
    """
    Return all parts, with the numbers of images that recipes and page say.

    Returns
    -------
    list of Stage
        In order.
    """
    tokenizer = load_recipe(TOKENIZER)
    found = [
        Stage(
            "tokenizer",
            "train a tokenizer",
            tokenizer.steps * tokenizer.data.batch_size,
            2,
        ),
        Stage("codes", "extract codes", IMAGES * VIEWS, 2),
    ]
    for name, recipe in MODELS.items():
        config = load_gpt_recipe(recipe)
        found.append(
            Stage(f"train_{name}", f"train model {name}", config.steps * config.batch_size, 2)
        )
    for name in MODELS:
        title = f"draw with {name}, guided"
        found.append(Stage(f"sample_{name}", title, SAMPLES, 2 * SCALES))
    return found


def work_of(key: str, *, device: torch.device, batch: int) -> Work:
    """
    Return what does one batch of a stage, at full size and with random weights.

    Parameters
    ----------
    key : str
        Of the stage.
    device : torch.device
        Where to compute.
    batch : int
        Images.

    Returns
    -------
    callable
        Does it.
    """
    kind, _, name = key.partition("_")
    if kind == "train":
        return _gpt_step(name, device, batch)
    if kind == "sample":
        return _drawing(name, device, batch)
    return _tokenizer_step(device, batch) if kind == "tokenizer" else _encoding(device, batch)


def precision_on(device: torch.device) -> str:
    """
    Return the precision that stages are measured in.

    Parameters
    ----------
    device : torch.device
        Where.

    Returns
    -------
    str
        That of the recipes on GPUs; single precision on processors, most of which emulate others.
    """
    return "bf16" if device.type == "cuda" else "fp32"


def _tokenizer_step(device: torch.device, batch: int) -> Work:
    # Late in a training: with discriminator, and with codes.
    config = load_recipe(
        TOKENIZER,
        [
            f"data.batch_size={batch}",
            f'precision="{precision_on(device)}"',
            "loss.discriminator_start=0",
        ],
        preset="vanilla",
    )
    model = ImageAutoencoder.build(config.model, schedule=config.schedule).to(device).train()
    judge = PatchDiscriminator.build(config.discriminator).to(device)
    perceptual = _random_lpips().to(device)
    pixels = torch.randint(256, (batch, 3, SIZE, SIZE)).to(torch.uint8)
    labels = torch.zeros(batch, dtype=torch.int64)
    images = ImageBatch(pixels, labels, labels)
    optimizers = (
        make_optimizer(model, config.optimizer),
        make_discriminator_optimizer(judge, config.optimizer),
    )

    def work() -> None:
        compute_gradients(model, judge, perceptual, images, config, step=config.steps - 1)
        for optimizer in optimizers:
            optimizer.step()

    return work


def _random_lpips() -> LpipsLoss:
    """Return the loss with other weights: the published ones cannot be shipped."""
    weights, inputs = [], 3
    for width in (width for block in VGG16_WIDTHS for width in block):
        weights.append((torch.randn(width, inputs, 3, 3) / (9 * inputs) ** 0.5, torch.zeros(width)))
        inputs = width
    heads = [torch.rand(block[-1]) for block in VGG16_WIDTHS]
    return LpipsLoss(VggFeatures(weights, source="random weights"), heads)


def _encoding(device: torch.device, batch: int) -> Work:
    config = load_recipe(TOKENIZER)
    model = ImageAutoencoder.build(config.model, schedule=config.schedule).to(device)
    pixels = torch.randint(256, (batch, 3, SIZE, SIZE)).to(torch.uint8)

    @torch.inference_mode()
    def work() -> None:
        model.encode(to_floats(pixels.to(device))).cpu()

    return work


def _gpt_step(name: str, device: torch.device, batch: int) -> Work:
    settings = [f"batch_size={batch}", f'precision="{precision_on(device)}"']
    config = load_gpt_recipe(MODELS[name], settings)
    sizes = GPTS[name]
    model = Gpt.build(sizes).to(device).train()
    ids = torch.randint(sizes.vocabulary, (batch, sizes.grid, sizes.grid))
    codes = CodeBatch(ids, torch.randint(sizes.num_classes, (batch,)))
    optimizer = make_gpt_optimizer(model, config.optimizer)

    def work() -> None:
        gpt_gradients(model, codes, config, step=0)
        optimizer.step()

    return work


def _drawing(name: str, device: torch.device, batch: int) -> Work:
    model = Gpt.build(GPTS[name]).to(device)
    return lambda: sample(model, [0] * batch, seeds=list(range(batch)), guidance=2.0, width=batch)
