"""What is one training run of an image tokenizer?"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from provq_protein.errors import ConfigError
from provq_protein.quantize import Preset, ProgressiveSchedule
from provq_protein.runs.config import from_mapping, override
from provq_protein.runs.recipes import recipe_values, shipped_recipes
from provq_vision.model.config import CodebookConfig, ImageModelConfig, Method, NetworkConfig
from provq_vision.model.discriminator import DiscriminatorConfig
from provq_vision.model.objective import LossConfig
from provq_vision.model.perceptual import PerceptualKind


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageDataConfig:
    """
    How images become batches.

    Parameters
    ----------
    image_size : int
        Height and width of a crop, in pixels.
    batch_size : int
        Images per step, of all processes together.
    crop : {"adm_random", "center"}
        A random window of the resized image, as ADM and LlamaGen cut it, or the central one.
    flip : bool
        Mirror every second image, at random.
    hold_out_per_class : int
        So many training images of each class are left out, to be tested on; 0 for none.
    hold_out_seed : int
        Decides which.
    """

    image_size: int
    batch_size: int
    crop: Literal["adm_random", "center"]
    flip: bool
    hold_out_per_class: int
    hold_out_seed: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CodebookSizes:
    """
    Sizes of the codebook, whose kind the preset of the run decides.

    Parameters
    ----------
    size : int
        Number of codes.
    dim : int
        Dimension of the latents that are quantized.
    commitment_weight : float
        Weight of the commitment loss relative to the codebook loss (beta).
    """

    size: int
    dim: int
    commitment_weight: float


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageSeedingConfig:
    """
    K-means of latents, where the preset seeds its codes.

    Parameters
    ----------
    latents : int
        How many latents of the training images to cluster.
    iterations : int
        Lloyd iterations.
    """

    latents: int
    iterations: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageOptimizerConfig:
    """
    Adam, with a constant learning rate after a linear rise.

    Parameters
    ----------
    learning_rate : float
        Of the autoencoder.
    discriminator_factor : float
        That of the discriminator as a multiple of it.
    codebook_factor : float
        That of the codes.
    warmup_steps : int
        Steps of the rise; 0 for none.
    betas : tuple of float
        Decay of the moments.
    weight_decay : float
        On weight matrices and kernels, as in AdamW; never on biases, norms or codes.
    clip : float
        Largest norm of the gradient, of the autoencoder and of the discriminator by itself.
    restart_after_warmup : bool
        Forget all moments at the end of the curriculum's warm-up, and start the discriminator
        and the count of its start over, as where the two were separate trainings.
    """

    learning_rate: float
    discriminator_factor: float
    codebook_factor: float
    warmup_steps: int
    betas: tuple[float, float]
    weight_decay: float
    clip: float
    restart_after_warmup: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageMonitorConfig:
    """
    How often a run looks at itself.

    Parameters
    ----------
    checkpoint_every : int
        Steps between checkpoints.
    validate_every : int
        Steps between validations, each with a picture of reconstructions.
    validation_images : int
        Images of the validation set to reconstruct.
    pictured_images : int
        How many of them the picture shows.
    """

    checkpoint_every: int
    validate_every: int
    validation_images: int
    pictured_images: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ImageTrainingConfig:
    """
    A whole run; the recipe states every value that changes a result.

    Parameters
    ----------
    preset : str
        Codebook and parts of the curriculum, a row of the paper's tables: a method of
        `provq_protein.quantize.METHODS`, alone or with ``+soft``, ``+warmup`` or ``+provq``.
    seed : int
        Decides weights, order, crops and seeding.
    steps : int
        Optimizer steps in all.
    precision : {"fp32", "bf16"}
        In which the networks compute. Weights, their updates, quantization and losses are single
        precision in both.
    accumulate : int
        Parts in which each process works off its share of a batch, one after the other.
    ema_decay : float
        Decay of the moving average of the weights that is validated and shipped, in [0, 1);
        0 ships the weights themselves.
    perceptual : {"lpips", "hed", "none"}
        The network of the perceptual loss.
    warmup_loss : {"full", "pixels"}
        What the warm-up minimizes: all losses but those of the quantizer, or only that of the
        pixels (Eq. 1 of the paper).
    data : ImageDataConfig
        Batches.
    network : NetworkConfig
        Encoder and decoder.
    codebook : CodebookSizes
        The codes.
    curriculum : ProgressiveSchedule
        The curriculum with all its parts, of which the preset takes its own.
    seeding : ImageSeedingConfig
        K-means at the stage boundary.
    optimizer : ImageOptimizerConfig
        Adam.
    loss : LossConfig
        Weights of the losses.
    discriminator : DiscriminatorConfig
        Sizes of the discriminator.
    monitor : ImageMonitorConfig
        Checkpoints and validation.

    Raises
    ------
    ConfigError
        If parts of the run do not go together.
    """

    preset: str
    seed: int
    steps: int
    precision: Literal["fp32", "bf16"]
    accumulate: int
    ema_decay: float
    perceptual: PerceptualKind
    warmup_loss: Literal["full", "pixels"]
    data: ImageDataConfig
    network: NetworkConfig
    codebook: CodebookSizes
    curriculum: ProgressiveSchedule
    seeding: ImageSeedingConfig
    optimizer: ImageOptimizerConfig
    loss: LossConfig
    discriminator: DiscriminatorConfig
    monitor: ImageMonitorConfig

    def __post_init__(self) -> None:
        """Refuse a run whose parts do not go together."""
        self._check_numbers()
        soft = self.schedule.warmup_steps + self.schedule.transition_steps
        if soft > self.steps:
            msg = f"steps: warm-up and transition ({soft}) do not fit into {self.steps} steps"
            raise ConfigError(msg)
        if self.data.image_size % self.network.downsampling:
            msg = (
                f"data.image_size: must be a multiple of {self.network.downsampling}, which the "
                f"network divides sizes by; got {self.data.image_size}"
            )
            raise ConfigError(msg)
        if self.is_seeded and self.seeding.latents < self.codebook.size:
            msg = (
                f"seeding.latents: k-means of {self.codebook.size} codes needs as many latents or "
                f"more, got {self.seeding.latents}"
            )
            raise ConfigError(msg)
        if (self.perceptual == "none") != (self.loss.perceptual_weight == 0.0):
            msg = (
                f"loss.perceptual_weight: is {self.loss.perceptual_weight:g} and perceptual is "
                f"{self.perceptual!r}; a weight of 0 and 'none' belong together"
            )
            raise ConfigError(msg)

    def _check_numbers(self) -> None:
        least = {
            "steps": (self.steps, 1),
            "accumulate": (self.accumulate, 1),
            "data.image_size": (self.data.image_size, 1),
            "data.batch_size": (self.data.batch_size, 1),
            "data.hold_out_per_class": (self.data.hold_out_per_class, 0),
            "seeding.latents": (self.seeding.latents, 1),
            "seeding.iterations": (self.seeding.iterations, 1),
            "optimizer.warmup_steps": (self.optimizer.warmup_steps, 0),
            "monitor.checkpoint_every": (self.monitor.checkpoint_every, 1),
            "monitor.validate_every": (self.monitor.validate_every, 1),
            "monitor.validation_images": (self.monitor.validation_images, 0),
            "monitor.pictured_images": (self.monitor.pictured_images, 0),
        }
        for name, (value, bound) in least.items():
            if value < bound:
                msg = f"{name}: must be {bound} or more, got {value}"
                raise ConfigError(msg)
        if not 0.0 <= self.ema_decay < 1.0:
            msg = f"ema_decay: must be in [0, 1), got {self.ema_decay}"
            raise ConfigError(msg)

    @property
    def schedule(self) -> ProgressiveSchedule:
        """Those parts of the curriculum that the preset has."""
        return Preset(self.preset).schedule(self.curriculum)

    @property
    def is_seeded(self) -> bool:
        """Whether the codes are seeded by k-means."""
        return Preset(self.preset).curriculum.seeded

    @property
    def model(self) -> ImageModelConfig:
        """The autoencoder."""
        # The preset was checked when the schedule was asked for.
        method = cast("Method", self.preset.partition("+")[0])
        sizes = self.codebook
        codebook = CodebookConfig(
            method=method,
            size=sizes.size,
            dim=sizes.dim,
            commitment_weight=sizes.commitment_weight,
        )
        return ImageModelConfig(network=self.network, codebook=codebook)

    def loss_at(self, step: int) -> tuple[LossConfig, int]:
        """
        Return the losses of a step, and the step by which the discriminator's start is counted.

        Parameters
        ----------
        step : int
            Optimizer steps done so far.

        Returns
        -------
        config : LossConfig
            The losses.
        step : int
            Counted anew after the warm-up where the optimizer starts over.
        """
        warmup = self.schedule.warmup_steps
        if step < warmup and self.warmup_loss == "pixels":
            return self.loss.pixels_only(), step
        restarts = self.optimizer.restart_after_warmup and step >= warmup
        return self.loss, step - warmup if restarts else step


def recipe_names() -> list[str]:
    """
    Return the names of the recipes in this package.

    Returns
    -------
    list of str
        Sorted.
    """
    return shipped_recipes("provq_vision")


def load_recipe(
    recipe: str, assignments: list[str] | None = None, *, preset: str | None = None
) -> ImageTrainingConfig:
    """
    Load a recipe by name or path.

    Parameters
    ----------
    recipe : str
        A shipped recipe's name, or the path of a TOML file.
    assignments : list of str, optional
        ``section.key=value`` changes.
    preset : str, optional
        Another row of the paper's tables than the recipe's own.

    Returns
    -------
    ImageTrainingConfig
        The run.

    Raises
    ------
    ConfigError
        If there is no such recipe or it does not describe a run.

    Examples
    --------
    >>> load_recipe("imagenet1k_256", preset="vanilla_l2").schedule.warmup_steps
    0
    """
    values = override(recipe_values("provq_vision", recipe), assignments or [])
    if preset is not None:
        values = {**values, "preset": preset}
    return training_config(values, where=recipe)


def training_config(values: Mapping[str, Any], *, where: str) -> ImageTrainingConfig:
    """
    Build a run from nested tables.

    Parameters
    ----------
    values : mapping
        As in a recipe.
    where : str
        Where they come from, for error messages.

    Returns
    -------
    ImageTrainingConfig
        The run.

    Raises
    ------
    ConfigError
        If they do not describe a run.
    """
    return from_mapping(ImageTrainingConfig, values, where=where)
