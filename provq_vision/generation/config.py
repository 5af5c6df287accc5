"""How large is a class-conditional autoregressive model of image tokens?"""

import dataclasses
import math
from dataclasses import dataclass

from provq_protein.errors import ConfigError

# Rotary positions turn pairs of features, half of the pairs by row and half by column.
_FEATURES_PER_TURN = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class GptConfig:
    """
    Sizes of a transformer that predicts the tokens of an image one after another.

    Parameters
    ----------
    layers : int
        Transformer blocks.
    heads : int
        Attention heads of each block.
    dim : int
        Features per token; a multiple of 4 per head.
    hidden_multiple : int
        The features inside a feed-forward layer are 8 / 3 `dim`, rounded up to a multiple of
        this.
    vocabulary : int
        Codes of the image tokenizer.
    num_classes : int
        Classes of images; one more embedding stands for "no class".
    grid : int
        Tokens along one side of an image.
    class_dropout : float
        How often training replaces the class by "no class", from 0 to below 1. Classifier-free
        guidance needs it above 0.
    dropout : float
        Of the embeddings and of what each attention and feed-forward layer adds, from 0 to
        below 1.
    norm_epsilon : float
        Added to the mean square in normalizations.
    rope_base : float
        Ratio of the slowest to the fastest turn of the rotary positions, about; above 1.

    Raises
    ------
    ConfigError
        If a size is below 1, the heads do not divide the features, or a number is out of range.

    Examples
    --------
    >>> GPTS["L"].hidden, GPTS["L"].head_dim, GPTS["L"].tokens
    (2816, 64, 256)
    """

    layers: int
    heads: int
    dim: int
    hidden_multiple: int
    vocabulary: int
    num_classes: int
    grid: int
    class_dropout: float
    dropout: float
    norm_epsilon: float
    rope_base: float

    def __post_init__(self) -> None:
        """Refuse sizes that make no model."""
        for name in ("layers", "heads", "dim", "hidden_multiple", "num_classes", "grid"):
            _check_size(name, getattr(self, name), 1)
        _check_size("vocabulary", self.vocabulary, 2)
        step = self.heads * _FEATURES_PER_TURN
        if self.dim % step:
            msg = (
                f"dim: must be a multiple of {_FEATURES_PER_TURN} features for each of "
                f"{self.heads} heads ({step}), got {self.dim}"
            )
            raise ConfigError(msg)
        for name in ("class_dropout", "dropout"):
            value = _number(name, getattr(self, name))
            if not 0.0 <= value < 1.0:
                msg = f"{name}: must be a probability from 0 to below 1, got {value!r}"
                raise ConfigError(msg)
        if not _number("norm_epsilon", self.norm_epsilon) > 0.0:
            msg = f"norm_epsilon: must be above 0, got {self.norm_epsilon!r}"
            raise ConfigError(msg)
        if not _number("rope_base", self.rope_base) > 1.0:
            msg = f"rope_base: must be above 1, got {self.rope_base!r}"
            raise ConfigError(msg)

    @property
    def tokens(self) -> int:
        """Tokens of an image."""
        return self.grid**2

    @property
    def head_dim(self) -> int:
        """Features of one attention head."""
        return self.dim // self.heads

    @property
    def hidden(self) -> int:
        """Features inside a feed-forward layer."""
        return math.ceil(8 * self.dim // 3 / self.hidden_multiple) * self.hidden_multiple

    @property
    def null_class(self) -> int:
        """The id that stands for "no class"."""
        return self.num_classes


def _check_size(name: str, value: object, least: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        msg = f"{name}: must be an integer of {least} or more, got {value!r}"
        raise ConfigError(msg)


def _number(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        msg = f"{name}: must be a finite number, got {value!r}"
        raise ConfigError(msg)
    return value


_LLAMAGEN_B = GptConfig(
    layers=12,
    heads=12,
    dim=768,
    hidden_multiple=256,
    vocabulary=16_384,
    num_classes=1000,
    grid=16,
    class_dropout=0.1,
    dropout=0.1,
    norm_epsilon=1e-5,
    rope_base=10_000.0,
)
_MINI = dataclasses.replace(
    _LLAMAGEN_B,
    layers=4,
    heads=4,
    dim=128,
    hidden_multiple=64,
    vocabulary=512,
    num_classes=100,
    grid=8,
)

# "B" and "L" of LlamaGen (Sun et al., arXiv:2406.06525, and its public configuration), and two
# of about one and four million parameters for grids of 8 x 8 tokens, which two processor cores
# can train.
GPTS: dict[str, GptConfig] = {
    "B": _LLAMAGEN_B,
    "L": dataclasses.replace(_LLAMAGEN_B, layers=24, heads=16, dim=1024),
    "mini": _MINI,
    "small": dataclasses.replace(_MINI, layers=6, heads=7, dim=224),
}


def gpt_config(
    name: str,
    *,
    vocabulary: int | None = None,
    num_classes: int | None = None,
    grid: int | None = None,
) -> GptConfig:
    """
    Return one of the known models, fitted to a tokenizer and a set of images.

    Parameters
    ----------
    name : str
        One of `GPTS`.
    vocabulary : int, optional
        Codes of the tokenizer, instead of those of the known model.
    num_classes : int, optional
        Classes of the images, likewise.
    grid : int, optional
        Tokens along one side of an image, likewise.

    Returns
    -------
    GptConfig
        The configuration.

    Raises
    ------
    ConfigError
        If there is no such model, or a number is out of range.

    Examples
    --------
    >>> gpt_config("mini", vocabulary=1024).vocabulary
    1024
    """
    if name not in GPTS:
        known = ", ".join(map(repr, GPTS))
        msg = f"model: must be one of {known}; got {name!r}"
        raise ConfigError(msg)
    given = {"vocabulary": vocabulary, "num_classes": num_classes, "grid": grid}
    changes = {key: value for key, value in given.items() if value is not None}
    return dataclasses.replace(GPTS[name], **changes)
