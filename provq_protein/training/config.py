"""What is one training run?"""

from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from provq_protein.errors import ConfigError
from provq_protein.model.config import ModelConfig
from provq_protein.model.growth_losses import GrowthLossConfig
from provq_protein.quantize import ProgressiveSchedule
from provq_protein.runs.config import from_mapping, override, read_toml


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
    """

    residues_per_step: int
    crop: int
    settle_crop: int
    noise: float
    latent_noise: float
    latent_noise_ramp: int


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
    """

    learning_rate: float
    final_fraction: float
    warmup_steps: int
    betas: tuple[float, float]
    weight_decay: float
    clip: float
    codebook_factor: float


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
    loss : GrowthLossConfig
        Weights of the reconstruction terms.
    monitor : MonitorConfig
        Checkpoints and validation.
    """

    seed: int
    steps: int
    settle_steps: int
    data: DataConfig
    model: ModelConfig
    schedule: ProgressiveSchedule
    seeding: SeedingConfig
    optimizer: OptimizerConfig
    loss: GrowthLossConfig
    monitor: MonitorConfig

    def __post_init__(self) -> None:
        """Refuse a curriculum that does not fit into the run."""
        soft = self.schedule.warmup_steps + self.schedule.transition_steps
        if soft + self.settle_steps > self.steps:
            msg = (
                f"steps: warm-up and transition ({soft}) and settling ({self.settle_steps}) "
                f"do not fit into {self.steps} steps"
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
    folder = resources.files("provq_protein") / "recipes"
    return sorted(entry.name[:-5] for entry in folder.iterdir() if entry.name.endswith(".toml"))


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
    values = override(_recipe_values(recipe), assignments or [])
    return from_mapping(TrainingConfig, values, where=recipe)


def _recipe_values(recipe: str) -> dict[str, Any]:
    if recipe.endswith(".toml"):
        return read_toml(Path(recipe))
    if recipe not in recipe_names():
        known = ", ".join(recipe_names())
        msg = f"{recipe}: no such recipe; shipped are {known}; or give the path of a .toml file"
        raise ConfigError(msg)
    with resources.as_file(resources.files("provq_protein") / "recipes" / f"{recipe}.toml") as path:
        return read_toml(path)
