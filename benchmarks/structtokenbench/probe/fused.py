"""How does a layer of 512 units over thousands of residues stay in the processor's cache?

For a task per residue, nearly all time goes into the hidden layer, and automatic differentiation
writes each of its intermediate arrays to memory. A single output needs none of them twice: loss
and gradients are computed here for some hundred rows at a time, about six times faster.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from structtokenbench.probe.head import HeadParameters

CHUNK = 512
"""Rows at a time on a processor: a chunk of the hidden layer is 1 MiB."""

_POOL_ROWS = 8192


class DropoutPool:
    """
    Hidden dropout, drawn once and read at random places.

    Drawing a number per hidden unit costs as much as the layer itself. Masks of 8192 rows are drawn
    once, and every chunk of rows takes a random run of them, so that a residue meets another mask
    at each step.

    Parameters
    ----------
    rate : float
        Probability that a unit is dropped.
    hidden : int
        Units.
    seeds : sequence of int
        One stream of places for each seed.
    pool_seed : int
        Seed of the masks.
    device : str
        Where the masks lie.
    """

    def __init__(
        self, rate: float, hidden: int, seeds: Sequence[int], *, pool_seed: int, device: str
    ) -> None:
        generator = torch.Generator().manual_seed(pool_seed)
        kept = torch.rand(_POOL_ROWS + CHUNK, hidden, generator=generator) >= rate
        self.scale = 1 / (1 - rate)
        self._masks = kept.to(torch.float32).to(device)
        self._streams = [random.Random(seed) for seed in seeds]

    def starts(self, chunks: int) -> list[list[int]]:
        """
        Draw where each seed reads its masks in this step.

        Parameters
        ----------
        chunks : int
            Number of chunks.

        Returns
        -------
        list of list of int
            First row of the masks for each seed and chunk.
        """
        return [[stream.randrange(_POOL_ROWS) for _ in range(chunks)] for stream in self._streams]

    def rows(self, start: int, count: int) -> Tensor:
        """
        Return a run of masks.

        Parameters
        ----------
        start : int
            First row.
        count : int
            Number of rows, at most `CHUNK`.

        Returns
        -------
        Tensor, shape=(count, hidden)
            1 for units that stay and 0 for others; multiply by `scale` as well.
        """
        return self._masks[start : start + count]


@dataclass(slots=True, kw_only=True, eq=False)
class FusedGradients:
    """
    Loss and gradients of a batch.

    Parameters
    ----------
    losses : Tensor, shape=(replica,)
        Weighted sum of the losses of the rows.
    inputs : Tensor, shape=(replica, row, dim)
        Gradient with respect to the embedded rows.
    parameters : dict of str to Tensor
        Gradients of the weights of both layers.
    """

    losses: Tensor
    inputs: Tensor
    parameters: dict[str, Tensor]


def fused_gradients(
    parameters: HeadParameters,
    inputs: Tensor,
    labels: Tensor,
    weights: Tensor,
    *,
    binary: bool,
    dropout: DropoutPool | None = None,
) -> FusedGradients:
    """
    Compute loss and gradients of a head with one output per row.

    Parameters
    ----------
    parameters : HeadParameters
        Weights; the output has one column.
    inputs : Tensor, shape=(replica, row, dim)
        Embedded rows.
    labels : Tensor, shape=(row,)
        0 or 1, or the value.
    weights : Tensor, shape=(row,)
        Weight of each row in the loss.
    binary : bool
        Cross-entropy of logits, or squared error.
    dropout : DropoutPool, optional
        Masks of the hidden units. Replicas are ordered by learning rate, then by seed.

    Returns
    -------
    FusedGradients
        What automatic differentiation of the same loss would give.
    """
    names = ("hidden_weight", "hidden_bias", "out_weight", "out_bias")
    values = {name: getattr(parameters, name).detach() for name in names}
    result = FusedGradients(
        losses=inputs.new_zeros(inputs.shape[0]),
        inputs=torch.empty_like(inputs),
        parameters={name: torch.zeros_like(value) for name, value in values.items()},
    )
    rows = inputs.shape[1]
    chunks = range(0, rows, CHUNK)
    starts = dropout.starts(len(chunks)) if dropout else []
    scale = dropout.scale if dropout else 1.0
    buffer = inputs.new_empty(min(CHUNK, rows), values["hidden_weight"].shape[2])
    for replica in range(inputs.shape[0]):
        first, bias = values["hidden_weight"][replica], values["hidden_bias"][replica]
        second = values["out_weight"][replica][:, 0] * scale
        # The gradient through the hidden layer, but for the units that are off.
        back = (first * second).T.contiguous()
        grads = {name: value[replica] for name, value in result.parameters.items()}
        for number, start in enumerate(chunks):
            part = slice(start, min(start + CHUNK, rows))
            x, y, weight = inputs[replica, part], labels[part], weights[part]
            hidden = torch.addmm(bias, x, first, out=buffer[: len(x)]).clamp_(min=0)
            if dropout:
                seed = replica % len(starts)
                hidden.mul_(dropout.rows(starts[seed][number], len(x)))
            output = hidden @ second + values["out_bias"][replica, 0]
            loss, slope = _loss_and_slope(output, y, binary=binary)
            slope = slope * weight
            result.losses[replica] += loss @ weight
            grads["out_weight"][:, 0].addmv_(hidden.T, slope, alpha=scale)
            grads["out_bias"] += slope.sum()
            active = hidden.sign_()
            grads["hidden_bias"][0].addmv_(active.T, slope)
            grads["hidden_weight"].addmm_((x * slope[:, None]).T, active)
            torch.mm(active, back, out=result.inputs[replica, part])
            result.inputs[replica, part] *= slope[:, None]
        grads["hidden_weight"] *= second
        grads["hidden_bias"] *= second
    return result


def _loss_and_slope(output: Tensor, labels: Tensor, *, binary: bool) -> tuple[Tensor, Tensor]:
    if binary:
        # log(1 + exp(x)) - x y, with its derivative.
        return torch.nn.functional.softplus(output) - output * labels, output.sigmoid() - labels
    difference = output - labels
    return difference * difference, 2 * difference


@torch.no_grad()
def fused_outputs(parameters: HeadParameters, inputs: Tensor) -> Tensor:
    """
    Apply a head with one output, without dropout.

    Parameters
    ----------
    parameters : HeadParameters
        Weights; the output has one column.
    inputs : Tensor, shape=(replica, row, dim)
        Embedded rows.

    Returns
    -------
    Tensor, shape=(replica, row)
        Logits or predicted values.
    """
    outputs = inputs.new_empty(inputs.shape[:2])
    rows = inputs.shape[1]
    first, second = parameters.hidden_weight, parameters.out_weight
    buffer = inputs.new_empty(min(CHUNK, rows), first.shape[2])
    for replica in range(inputs.shape[0]):
        for start in range(0, rows, CHUNK):
            x = inputs[replica, start : start + CHUNK]
            hidden = torch.addmm(
                parameters.hidden_bias[replica], x, first[replica], out=buffer[: len(x)]
            ).clamp_(min=0)
            outputs[replica, start : start + CHUNK] = hidden @ second[replica][:, 0]
    return outputs + parameters.out_bias[:, :, 0]
