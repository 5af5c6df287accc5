"""What is one training run?"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from provq_protein.errors import ConfigError
from provq_protein.model.config import ModelConfig
from provq_protein.model.growth_decoder import GrowthDecoderConfig
from provq_protein.model.growth_losses import GrowthLossConfig
from provq_protein.model.id_decoder import IdDecoderConfig
from provq_protein.quantize import ProgressiveSchedule
from provq_protein.runs.config import KINDS, from_mapping, override
from provq_protein.runs.recipes import recipe_values, shipped_recipes
from provq_protein.training.batches import NUM_RESIDUE_CLASSES


@dataclass(frozen=True, kw_only=True, slots=True)
class DataConfig:
    """
    How chains become batches.

    Parameters
    ----------
    residues_per_step : int
        Padded size of a batch, at most.
    crop : int
        Longer chains are cut to a random window of this length.
    settle_crop : int
        The same in the settling phase.
    noise : float
        Standard deviation of the noise on coordinates, in Angstrom.
    latent_noise : float
        Standard deviation of the noise on what the decoder gets before quantization is hard.
        Latents have mean square 1; it keeps the warm-up from hiding detail in differences
        that no code can tell apart.
    latent_noise_ramp : int
        Steps over which this noise grows from 0.
    chains_per_step : int
        Most chains of a batch; 0 for as many as fit into `residues_per_step`.
    """

    residues_per_step: int
    crop: int
    settle_crop: int
    noise: float
    latent_noise: float
    latent_noise_ramp: int
    chains_per_step: int


@dataclass(frozen=True, kw_only=True, slots=True)
class OptimizerConfig:
    """
    AdamW and its learning rate: linear warm-up, then a cosine to the end of the run.

    Parameters
    ----------
    learning_rate : float
        At its peak.
    final_fraction : float
        Learning rate at the last step, as a fraction of the peak.
    warmup_steps : int
        Steps until the peak.
    betas : tuple of float
        Decay of the moments.
    weight_decay : float
        On matrices only: never on biases, norms, embeddings or codes.
    clip : float
        Largest norm of the gradient.
    codebook_factor : float
        Learning rate of the codes as a multiple of the others': gradient-trained codes lag
        behind a moving encoder otherwise.
    encoder_factor : float
        The same for the encoder. One that moves fast under hard codes runs away from them.
    restart_after_warmup : bool
        Start over at the end of the curriculum's warm-up, as where the two were separate
        trainings: forget all moments, warm the learning rate up again and let its cosine end
        with the run. Before, the rate follows the cosine of the whole run.
    """

    learning_rate: float
    final_fraction: float
    warmup_steps: int
    betas: tuple[float, float]
    weight_decay: float
    clip: float
    codebook_factor: float
    encoder_factor: float
    restart_after_warmup: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class SeedingConfig:
    """
    Seeding of the codebook at the end of the warm-up.

    Parameters
    ----------
    method : {"kmeans", "none"}
        Cluster latents of the training chains, or keep the random codes.
    latents : int
        How many latents of the training chains to cluster.
    iterations : int
        Lloyd iterations.
    """

    method: Literal["kmeans", "none"]
    latents: int
    iterations: int


@dataclass(frozen=True, kw_only=True, slots=True)
class MonitorConfig:
    """
    How often a run looks at itself.

    Parameters
    ----------
    checkpoint_every : int
        Steps between checkpoints.
    validate_every : int
        Steps between validations.
    validation_chains : int
        Chains of the validation split to reconstruct, hard-quantized.
    """

    checkpoint_every: int
    validate_every: int
    validation_chains: int


@dataclass(frozen=True, kw_only=True, slots=True)
class ReconstructionLossConfig:
    """
    Weights of the terms of `reconstruction_loss`, the losses of the transformer decoder.

    Parameters
    ----------
    distance : float
        Squared error of distances between backbone atoms.
    direction : float
        Squared error of dot products between backbone vectors.
    binned_distance : float
        Cross-entropy of binned C-beta distances.
    binned_direction : float
        Cross-entropy of binned cosines between residue axes.
    residue : float
        Cross-entropy of residue types.
    """

    distance: float
    direction: float
    binned_distance: float
    binned_direction: float
    residue: float


# Settings that came after the first release of the recipe format: what a recipe or checkpoint
# from before them means. Shipped recipes state them all.
_LATER = {
    "precision": "fp32",
    "accumulate": 1,
    "ema_decay": 0.0,
    "data": {"latent_noise": 0.0, "latent_noise_ramp": 0, "chains_per_step": 0},
    "optimizer": {"restart_after_warmup": False, "encoder_factor": 1.0},
    "loss": {"kind": "growth"},
}

_LATER_IN_GROWTH_LOSS = {"loss": {"span": 0.0}}
_LATER_IN_CHAIN_ENCODER = {"model": {"encoder": {"break_codes": 0}}}

LOSS_KINDS = {"growth": GrowthLossConfig, "reconstruction": ReconstructionLossConfig}


@dataclass(frozen=True, kw_only=True, slots=True)
class TrainingConfig:
    """
    A whole run; the recipe states every value that changes a result.

    Parameters
    ----------
    seed : int
        Decides weights, order, crops, noise and seeding.
    steps : int
        Optimizer steps in all.
    settle_steps : int
        In the last this-many steps encoder and codebook are frozen: the ids no longer
        change and the decoder adapts to them.
    data : DataConfig
        Batches.
    model : ModelConfig
        Architecture.
    schedule : ProgressiveSchedule
        The curriculum.
    seeding : SeedingConfig
        K-means at the stage boundary.
    optimizer : OptimizerConfig
        AdamW.
    loss : GrowthLossConfig or ReconstructionLossConfig
        Weights of the reconstruction terms, by ``kind``: "growth" or "reconstruction",
        whichever the decoder has.
    monitor : MonitorConfig
        Checkpoints and validation.
    precision : {"fp32", "bf16"}
        In which encoder and decoder compute. Weights, their updates, quantization and losses
        are single precision in both.
    accumulate : int
        Parts in which each process works off its share of a batch, one after the other. It
        saves memory and changes results by rounding only.
    ema_decay : float
        Decay of the moving average of the weights that is validated and shipped, in [0, 1);
        0 ships the weights themselves.
    """

    seed: int
    steps: int
    settle_steps: int
    data: DataConfig
    model: ModelConfig
    schedule: ProgressiveSchedule
    seeding: SeedingConfig
    optimizer: OptimizerConfig
    loss: GrowthLossConfig | ReconstructionLossConfig = field(metadata={KINDS: LOSS_KINDS})
    monitor: MonitorConfig
    precision: Literal["fp32", "bf16"]
    accumulate: int
    ema_decay: float

    def __post_init__(self) -> None:
        """Refuse a run whose parts do not go together."""
        self._check_numbers()
        self._check_loss()
        soft = self.schedule.warmup_steps + self.schedule.transition_steps
        if soft + self.settle_steps > self.steps:
            msg = (
                f"steps: warm-up and transition ({soft}) and settling ({self.settle_steps}) "
                f"do not fit into {self.steps} steps"
            )
            raise ConfigError(msg)
        if getattr(self.model.encoder, "break_codes", 0) and not self.settle_steps:
            msg = (
                "settle_steps: must be 1 or more where model.encoder.break_codes is, because the "
                "codes for breaks are placed when encoder and codebook are frozen"
            )
            raise ConfigError(msg)

    def _check_numbers(self) -> None:
        least = {
            "steps": (self.steps, 1),
            "settle_steps": (self.settle_steps, 0),
            "accumulate": (self.accumulate, 1),
            "data.residues_per_step": (self.data.residues_per_step, 1),
            "data.crop": (self.data.crop, 1),
            "data.settle_crop": (self.data.settle_crop, 1),
            "data.chains_per_step": (self.data.chains_per_step, 0),
            "optimizer.warmup_steps": (self.optimizer.warmup_steps, 0),
            "monitor.checkpoint_every": (self.monitor.checkpoint_every, 1),
            "monitor.validate_every": (self.monitor.validate_every, 1),
        }
        for name, (value, bound) in least.items():
            if value < bound:
                msg = f"{name}: must be {bound} or more, got {value}"
                raise ConfigError(msg)
        if not 0.0 <= self.ema_decay < 1.0:
            msg = f"ema_decay: must be in [0, 1), got {self.ema_decay}"
            raise ConfigError(msg)

    def _check_loss(self) -> None:
        decoder = self.model.decoder
        if isinstance(decoder, IdDecoderConfig):
            msg = (
                "model.decoder: kind 'ids' cannot be trained: it embeds ids, so it gives the "
                "encoder no gradient; take 'growth', 'chain' or 'transformer'"
            )
            raise ConfigError(msg)
        grows = isinstance(decoder, GrowthDecoderConfig)
        wanted = "growth" if grows else "reconstruction"
        if not isinstance(self.loss, LOSS_KINDS[wanted]):
            msg = f"loss: kind: this decoder needs {wanted!r}"
            raise ConfigError(msg)
        if not isinstance(decoder, GrowthDecoderConfig) and (
            decoder.num_classes < NUM_RESIDUE_CLASSES
        ):
            msg = (
                f"model.decoder.num_classes: must be {NUM_RESIDUE_CLASSES} or more for the "
                f"residue types of the data, got {decoder.num_classes}"
            )
            raise ConfigError(msg)


def recipe_names() -> list[str]:
    """
    Return the names of the recipes in this package.

    Returns
    -------
    list of str
        Sorted.
    """
    return shipped_recipes("provq_protein")


def load_recipe(recipe: str, assignments: list[str] | None = None) -> TrainingConfig:
    """
    Load a recipe by name or path.

    Parameters
    ----------
    recipe : str
        A shipped recipe's name, or the path of a TOML file.
    assignments : list of str, optional
        ``section.key=value`` changes.

    Returns
    -------
    TrainingConfig
        The run.

    Raises
    ------
    ConfigError
        If there is no such recipe or it does not describe a run.
    """
    values = override(recipe_values("provq_protein", recipe), assignments or [])
    return training_config(values, where=recipe)


def training_config(values: Mapping[str, Any], *, where: str) -> TrainingConfig:
    """
    Build a run from nested tables.

    Parameters
    ----------
    values : mapping
        As in a recipe, or as an earlier release recorded them.
    where : str
        Where they come from, for error messages.

    Returns
    -------
    TrainingConfig
        The run.

    Raises
    ------
    ConfigError
        If they do not describe a run.
    """
    return from_mapping(TrainingConfig, complete_recipe(values), where=where)


def complete_recipe(values: Mapping[str, Any]) -> dict[str, Any]:
    """
    Add to the tables of a recipe the settings that came after it was written.

    Parameters
    ----------
    values : mapping
        As in a recipe, or as an earlier release recorded them.

    Returns
    -------
    dict
        With the values that mean what the recipe meant; tables that are absent stay so.

    Examples
    --------
    >>> complete_recipe({"optimizer": {"clip": 1.0}})["optimizer"]
    {'clip': 1.0, 'restart_after_warmup': False, 'encoder_factor': 1.0}
    """
    complete = _completed(values, _LATER)
    loss = complete.get("loss")
    if isinstance(loss, Mapping) and loss["kind"] == "growth":
        complete = _completed(complete, _LATER_IN_GROWTH_LOSS)
    model = complete.get("model")
    encoder = model.get("encoder") if isinstance(model, Mapping) else None
    if isinstance(encoder, Mapping) and encoder.get("kind") == "chain":
        complete = _completed(complete, _LATER_IN_CHAIN_ENCODER)
    return complete


def _completed(values: Mapping[str, Any], absent: Mapping[str, Any]) -> dict[str, Any]:
    """Add settings where a recipe has none; a table that is not there stays away."""
    complete = dict(values)
    for key, setting in absent.items():
        if not isinstance(setting, Mapping):
            complete.setdefault(key, setting)
        elif isinstance(complete.get(key), Mapping):
            complete[key] = _completed(complete[key], setting)
    return complete
