"""What is one training run of an autoregressive model of image tokens?"""

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from provq_protein.errors import ConfigError
from provq_protein.runs.config import from_mapping, override
from provq_protein.runs.recipes import recipe_values, shipped_recipes
from provq_vision.generation.config import GPTS, GptConfig, gpt_config

_PACKAGE = "provq_vision.gpt_training"


@dataclass(frozen=True, kw_only=True, slots=True)
class GptOptimizerConfig:
    """
    AdamW, with a constant learning rate after a linear rise.

    Parameters
    ----------
    learning_rate : float
        After the rise.
    warmup_steps : int
        Steps of the rise; 0 for none.
    betas : tuple of float
        Decay of the moments.
    weight_decay : float
        On weights of two axes, embeddings among them; never on those of normalizations.
    clip : float
        Largest norm of the gradient.
    """

    learning_rate: float
    warmup_steps: int
    betas: tuple[float, float]
    weight_decay: float
    clip: float


@dataclass(frozen=True, kw_only=True, slots=True)
class GptMonitorConfig:
    """
    How often a run looks at itself.

    Parameters
    ----------
    checkpoint_every : int
        Steps between checkpoints.
    validate_every : int
        Steps between validations.
    validation_images : int
        Images of the validation set to predict.
    """

    checkpoint_every: int
    validate_every: int
    validation_images: int


@dataclass(frozen=True, kw_only=True, slots=True)
class GptTrainingConfig:
    """
    A whole run; the recipe states every value that changes a result.

    Parameters
    ----------
    model : str
        One of `provq_vision.generation.config.GPTS`; codes, classes and the grid of tokens are
        those of the tokens that it is trained on.
    seed : int
        Decides weights, order, views, dropped classes and dropout.
    steps : int
        Optimizer steps in all.
    batch_size : int
        Images per step, of all processes together.
    precision : {"fp32", "bf16"}
        In which the network computes. Weights, their updates and the loss are single precision
        in both.
    accumulate : int
        Parts in which each process works off its share of a batch, one after the other.
    dropout : float
        See `GptConfig`.
    class_dropout : float
        See `GptConfig`.
    optimizer : GptOptimizerConfig
        AdamW.
    monitor : GptMonitorConfig
        Checkpoints and validation.

    Raises
    ------
    ConfigError
        If there is no such model or a number is out of range.
    """

    model: str
    seed: int
    steps: int
    batch_size: int
    precision: Literal["fp32", "bf16"]
    accumulate: int
    dropout: float
    class_dropout: float
    optimizer: GptOptimizerConfig
    monitor: GptMonitorConfig

    def __post_init__(self) -> None:
        """Refuse a run whose parts do not go together."""
        least = {
            "seed": (self.seed, 0),
            "steps": (self.steps, 1),
            "batch_size": (self.batch_size, 1),
            "accumulate": (self.accumulate, 1),
            "optimizer.warmup_steps": (self.optimizer.warmup_steps, 0),
            "monitor.checkpoint_every": (self.monitor.checkpoint_every, 1),
            "monitor.validate_every": (self.monitor.validate_every, 1),
            "monitor.validation_images": (self.monitor.validation_images, 0),
        }
        for name, (value, bound) in least.items():
            if value < bound:
                msg = f"{name}: must be {bound} or more, got {value}"
                raise ConfigError(msg)
        for name in ("learning_rate", "clip"):
            value = getattr(self.optimizer, name)
            if not value > 0.0:
                msg = f"optimizer.{name}: must be above 0, got {value}"
                raise ConfigError(msg)
        self.network(vocabulary=GPTS["mini"].vocabulary, num_classes=1, grid=1)

    def network(self, *, vocabulary: int, num_classes: int, grid: int) -> GptConfig:
        """
        Return the sizes of the model for given tokens.

        Parameters
        ----------
        vocabulary : int
            Codes of the tokenizer.
        num_classes : int
            Classes of the images.
        grid : int
            Tokens along one side of an image.

        Returns
        -------
        GptConfig
            With the dropout of the run.

        Raises
        ------
        ConfigError
            If there is no such model or a number is out of range.
        """
        sizes = gpt_config(self.model, vocabulary=vocabulary, num_classes=num_classes, grid=grid)
        return dataclasses.replace(sizes, dropout=self.dropout, class_dropout=self.class_dropout)


def recipe_names() -> list[str]:
    """
    Return the names of the recipes of autoregressive models in this package.

    Returns
    -------
    list of str
        Sorted.

    Examples
    --------
    >>> recipe_names()
    ['llamagen_b', 'llamagen_l', 'mini', 'smoke']
    """
    return shipped_recipes(_PACKAGE)


def load_recipe(recipe: str, assignments: list[str] | None = None) -> GptTrainingConfig:
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
    GptTrainingConfig
        The run.

    Raises
    ------
    ConfigError
        If there is no such recipe or it does not describe a run.

    Examples
    --------
    >>> load_recipe("llamagen_b", ["batch_size=512"]).batch_size
    512
    """
    return gpt_training_config(
        override(recipe_values(_PACKAGE, recipe), assignments or []), where=recipe
    )


def gpt_training_config(values: Mapping[str, Any], *, where: str) -> GptTrainingConfig:
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
    GptTrainingConfig
        The run.

    Raises
    ------
    ConfigError
        If they do not describe a run.
    """
    return from_mapping(GptTrainingConfig, values, where=where)
