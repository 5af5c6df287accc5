"""How soft is quantization, and how strong is its loss, at a given training step?"""

import math
from dataclasses import dataclass
from typing import Literal, get_args

from provq_protein.errors import ConfigError

Shape = Literal["cosine", "linear", "exponential", "hard"]
Stage = Literal["warmup", "transition", "hard"]

# exp(-5) = 0.0067 is what is left of alpha when the exponential shape drops to zero.
_EXPONENTIAL_RATE = 5.0


@dataclass(frozen=True, kw_only=True)
class ProgressiveSchedule:
    """
    The ProVQ curriculum: continuous warm-up, soft transition, hard quantization.

    Parameters
    ----------
    warmup_steps : int
        Steps without quantization (manifold warm-up); 0 for none.
    transition_steps : int
        Steps from the end of the warm-up until quantization is hard (``T_trans``); 0 for a
        sudden change.
    shape : {"cosine", "linear", "exponential", "hard"}
        How alpha falls in the transition. ``"hard"`` keeps it at 1 until the end.
    initial_coupling : float
        Weight of the quantization losses at the start of the transition (lambda), in [0, 1].

    Raises
    ------
    ConfigError
        If a value is outside its range.

    Notes
    -----
    With ``t = step - warmup_steps``, which starts at 0 with the transition, and
    ``T = transition_steps``, the paper [1]_ has, in its Eqs. 3 and 4,

    .. math::

        \\alpha(t) &= \\tfrac12 [1 + \\cos(\\pi t / T)] \\text{ for } 0 \\le t < T,
        \\quad 0 \\text{ for } t \\ge T

        \\omega(t) &= \\lambda + (1 - \\lambda)(1 - \\alpha(t))

    The linear shape is ``1 - t / T`` and the exponential ``exp(-5 t / T)``, also 0 from T on.
    Without warm-up and transition alpha is 0 and omega is 1 at every step: plain vector
    quantization.

    References
    ----------
    .. [1] Zhao et al., "Mitigating Premature Discretization with Progressive Quantization for
       Robust Vector Tokenization" (ProVQ), arXiv:2603.22304, section 4.2.

    Examples
    --------
    >>> schedule = ProgressiveSchedule(
    ...     warmup_steps=20_000, transition_steps=10_000, shape="cosine", initial_coupling=0.5
    ... )
    >>> schedule.stage(0), schedule.stage(20_000), schedule.stage(30_000)
    ('warmup', 'transition', 'hard')
    >>> [round(schedule.alpha(20_000 + t), 4) for t in (0, 2_500, 5_000, 10_000)]
    [1.0, 0.8536, 0.5, 0.0]
    >>> [round(schedule.omega(20_000 + t), 4) for t in (0, 2_500, 5_000, 10_000)]
    [0.5, 0.5732, 0.75, 1.0]
    """

    warmup_steps: int
    transition_steps: int
    shape: Shape
    initial_coupling: float

    def __post_init__(self) -> None:
        for name in ("warmup_steps", "transition_steps"):
            value = getattr(self, name)
            if value < 0:
                msg = f"schedule: {name} must be 0 or more, got {value}"
                raise ConfigError(msg)
        if self.shape not in get_args(Shape):
            known = ", ".join(repr(shape) for shape in get_args(Shape))
            msg = f"schedule: shape must be one of {known}; got {self.shape!r}"
            raise ConfigError(msg)
        # Written so that NaN is refused as well.
        if not 0.0 <= self.initial_coupling <= 1.0:
            msg = f"schedule: initial_coupling must be in [0, 1], got {self.initial_coupling}"
            raise ConfigError(msg)

    def stage(self, step: int) -> Stage:
        """
        Return the stage that a training step belongs to.

        Parameters
        ----------
        step : int
            Optimizer steps done so far, counted from the start of training.

        Returns
        -------
        {"warmup", "transition", "hard"}
            The first transition step is ``warmup_steps``; the first hard one is
            ``warmup_steps + transition_steps``.
        """
        _check_step(step)
        if step < self.warmup_steps:
            return "warmup"
        if step < self.warmup_steps + self.transition_steps:
            return "transition"
        return "hard"

    def alpha(self, step: int) -> float:
        """
        Return the share of the continuous latent in what the decoder gets (Eq. 3).

        Parameters
        ----------
        step : int
            Optimizer steps done so far, counted from the start of training.

        Returns
        -------
        float
            1 throughout the warm-up and at the first transition step, exactly 0 in the hard
            stage, never rising in between.
        """
        stage = self.stage(step)
        if stage != "transition":
            return 1.0 if stage == "warmup" else 0.0
        progress = (step - self.warmup_steps) / self.transition_steps
        if self.shape == "cosine":
            return 0.5 * (1.0 + math.cos(math.pi * progress))
        if self.shape == "linear":
            return 1.0 - progress
        if self.shape == "exponential":
            return math.exp(-_EXPONENTIAL_RATE * progress)
        return 1.0

    def omega(self, step: int) -> float:
        """
        Return the weight of the quantization losses (below Eq. 4).

        Parameters
        ----------
        step : int
            Optimizer steps done so far, counted from the start of training.

        Returns
        -------
        float
            `initial_coupling` where alpha is 1, rising to exactly 1 in the hard stage.
        """
        alpha = self.alpha(step)
        # In this order of terms both end points are exact in floating point.
        return (1.0 - alpha) + self.initial_coupling * alpha


def _check_step(step: int) -> None:
    if step < 0:
        msg = f"step must be 0 or more, got {step}"
        raise ValueError(msg)
