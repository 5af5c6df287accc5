"""How do replicas with different learning rates take one optimizer step together?"""

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from structtokenbench.probe.head import DECAYED

BETAS = (0.9, 0.98)
EPSILON = 1e-8


def rate_factor(
    step: int, *, steps: int, warmup: int, plateau: float = 0.1, floor: float = 0.1
) -> float:
    """
    Return the learning rate at a step, relative to the full rate.

    Parameters
    ----------
    step : int
        From 1.
    steps : int
        Steps in all.
    warmup : int
        Steps of the linear rise.
    plateau : float, optional
        Fraction of `steps` at the full rate after the rise.
    floor : float, optional
        Where the cosine ends.

    Returns
    -------
    float
        From 0 to 1.

    Examples
    --------
    >>> [rate_factor(s, steps=100, warmup=10) for s in (5, 10, 20, 100)]
    [0.5, 1.0, 1.0, 0.1]
    """
    if step < warmup:
        return step / warmup
    begin = warmup + plateau * steps
    if step <= begin or begin >= steps:
        return 1.0
    done = (step - begin) / (steps - begin)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0)))


class ReplicaAdamW:
    """
    AdamW with one learning rate and one gradient norm per replica.

    Parameters
    ----------
    parameters : mapping of str to Tensor
        Shape=(replica, any, any) each; changed in place.
    rates : Tensor, shape=(replica,)
        Full learning rate of each replica.
    weight_decay : float
        Of parameters named in `head.DECAYED`.
    clip : float
        Largest norm of the gradient of a replica.
    """

    def __init__(
        self,
        parameters: Mapping[str, Tensor],
        rates: Tensor,
        *,
        weight_decay: float,
        clip: float,
    ) -> None:
        self._parameters = dict(parameters)
        self._rates = rates[:, None, None]
        self._decay = weight_decay
        self._clip = clip
        self._first = {name: torch.zeros_like(p) for name, p in self._parameters.items()}
        self._second = {name: torch.zeros_like(p) for name, p in self._parameters.items()}
        self._steps = 0

    @torch.no_grad()
    def step(self, gradients: Mapping[str, Tensor], factor: float) -> None:
        """
        Change the parameters by one step.

        Parameters
        ----------
        gradients : mapping of str to Tensor
            Gradient of every parameter; changed in place.
        factor : float
            Of the learning rates, at this step.
        """
        self._steps += 1
        squares = torch.stack([g.flatten(1).square().sum(1) for g in gradients.values()])
        # The added constant is that of torch.nn.utils.clip_grad_norm_.
        shrink = (self._clip / (squares.sum(0).sqrt() + 1e-6)).clamp(max=1.0)[:, None, None]
        rates = self._rates * factor
        correction = math.sqrt(1 - BETAS[1] ** self._steps)
        for name, parameter in self._parameters.items():
            gradient = gradients[name].mul_(shrink)
            first, second = self._first[name], self._second[name]
            first.lerp_(gradient, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(gradient, gradient, value=1 - BETAS[1])
            if name in DECAYED:
                parameter.mul_(1 - rates * self._decay)
            change = first / (second.sqrt().div_(correction).add_(EPSILON))
            parameter.sub_(change.mul_(rates / (1 - BETAS[0] ** self._steps)))
