"""Which token does a uniform random number pick from logits?"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from provq_protein.errors import ConfigError


@dataclass(frozen=True, kw_only=True, slots=True)
class Sampling:
    """
    How a distribution is changed before a token is drawn from it.

    Parameters
    ----------
    guidance : float
        Scale s of classifier-free guidance, 0 or more: logits ``u + s (c - u)`` of those with
        the class (c) and without (u). 1 is plain sampling with the class, 0 without it, which
        both take one pass and not two.
    temperature : float
        Divides the logits, after guidance; above 0.
    top_k : int
        How many of the likeliest tokens remain; 0 for all. Tokens that are as likely as the
        last of them remain as well.
    top_p : float
        The fewest likeliest tokens remain that reach this probability together, after `top_k`;
        above 0 and at most 1, for all.

    Raises
    ------
    ConfigError
        If a number is out of range.
    """

    guidance: float = 1.0
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0

    def __post_init__(self) -> None:
        """Refuse numbers that mean nothing."""
        if not (_is_number(self.guidance) and 0.0 <= self.guidance < math.inf):
            msg = (
                f"guidance: must be 0 (no class), 1 (no guidance) or another number of 0 or more, "
                f"got {self.guidance!r}"
            )
            raise ConfigError(msg)
        if not (_is_number(self.temperature) and 0.0 < self.temperature < math.inf):
            msg = (
                f"temperature: must be a number above 0, got {self.temperature!r}; for the "
                "likeliest token at every step use top_k 1"
            )
            raise ConfigError(msg)
        if not isinstance(self.top_k, int) or isinstance(self.top_k, bool) or self.top_k < 0:
            msg = f"top_k: must be an integer, 0 for all tokens or more, got {self.top_k!r}"
            raise ConfigError(msg)
        if not (_is_number(self.top_p) and 0.0 < self.top_p <= 1.0):
            msg = f"top_p: must be above 0 and at most 1 (all tokens), got {self.top_p!r}"
            raise ConfigError(msg)

    @property
    def is_guided(self) -> bool:
        """Whether both sides of the guidance are needed."""
        return self.guidance not in (0.0, 1.0)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def guided(with_class: Tensor, without: Tensor, scale: float) -> Tensor:
    """
    Return logits of classifier-free guidance.

    Parameters
    ----------
    with_class : Tensor, shape=(batch, vocabulary), dtype=float
        Logits given the class.
    without : Tensor, shape=(batch, vocabulary), dtype=float
        Logits given none.
    scale : float
        How far to go from the second to the first, and beyond above 1.

    Returns
    -------
    Tensor, shape=(batch, vocabulary), dtype=float
        ``without + scale * (with_class - without)``.
    """
    return without + scale * (with_class - without)


def probabilities(logits: Tensor, sampling: Sampling) -> Tensor:
    """
    Return the distribution that tokens are drawn from.

    Parameters
    ----------
    logits : Tensor, shape=(batch, vocabulary), dtype=float
        After guidance.
    sampling : Sampling
        Temperature, `top_k` and `top_p`, which act in this order.

    Returns
    -------
    Tensor, shape=(batch, vocabulary), dtype=float64
        Sums to 1; excluded tokens have exactly 0.
    """
    scores = logits.double()
    # The largest becomes 0 first: at a tiny temperature it would overflow.
    scores = (scores - scores.amax(dim=-1, keepdim=True)) / sampling.temperature
    if 0 < sampling.top_k < scores.shape[-1]:
        least = scores.topk(sampling.top_k, dim=-1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -math.inf)
    chances = scores.softmax(dim=-1)
    if sampling.top_p < 1.0:
        chances = _nucleus(chances, sampling.top_p)
    return chances


def _nucleus(chances: Tensor, top_p: float) -> Tensor:
    """Keep the fewest likeliest tokens that reach a probability together."""
    # Stable, so that of equally likely tokens the lower id counts first on every device.
    ordered, order = chances.sort(dim=-1, descending=True, stable=True)
    before = ordered.cumsum(dim=-1) - ordered
    # The likeliest always stays: nothing comes before it.
    kept = ordered.masked_fill(before >= top_p, 0.0)
    found = torch.zeros_like(chances).scatter(-1, order, kept)
    return found / found.sum(dim=-1, keepdim=True)


def choose(chances: Tensor, uniforms: Tensor) -> Tensor:
    """
    Return the token at which the cumulative distribution passes a number.

    Parameters
    ----------
    chances : Tensor, shape=(batch, vocabulary), dtype=float64
        What `probabilities` returns.
    uniforms : Tensor, shape=(batch,), dtype=float64
        From 0 to below 1.

    Returns
    -------
    Tensor, shape=(batch,), dtype=int64
        Tokens; never one of probability 0.

    Examples
    --------
    >>> chances = torch.tensor([[0.25, 0.0, 0.75]], dtype=torch.float64)
    >>> [int(choose(chances, torch.tensor([u]).double())) for u in (0.0, 0.24, 0.25, 0.99)]
    [0, 0, 2, 2]
    """
    passed = chances.cumsum(dim=-1)
    # Scaled by the sum as it was rounded: a number below 1 stays below it.
    points = uniforms.unsqueeze(-1) * passed[:, -1:]
    return torch.searchsorted(passed, points, right=True).squeeze(-1)
