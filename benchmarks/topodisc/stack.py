"""How do several independent trainings run as one?"""

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from provq_protein.quantize import Codebook, ProgressiveQuantizer, ProgressiveSchedule
from provq_protein.quantize.quantized import NO_CODE

# Dimension of points and latents.
DIM = 2
# Distance between the codes of two runs along an additional axis. It must exceed the distance of a
# latent from the nearest code of its own run; `StackedQuantizer` makes sure of that.
_SPACING = 16.0


class StackedMLP(nn.Module):
    """
    One multilayer perceptron per run, with ReLU between layers.

    Parameters
    ----------
    widths : tuple of int
        Of input, hidden layers and output.
    generators : list of torch.Generator
        One per run; decides its weights. They are drawn as `torch.nn.Linear` draws them:
        uniformly within one over the square root of the number of inputs.

    Examples
    --------
    >>> generators = [torch.Generator().manual_seed(seed) for seed in range(3)]
    >>> StackedMLP((2, 8, 1), generators)(torch.zeros(3, 5, 2)).shape
    torch.Size([3, 5, 1])
    """

    def __init__(self, widths: tuple[int, ...], generators: list[torch.Generator]) -> None:
        super().__init__()
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        for inputs, outputs in pairwise(widths):
            bound = 1.0 / math.sqrt(inputs)
            # One draw per run, so that a run does not depend on its neighbors.
            drawn = torch.stack([torch.rand(inputs + 1, outputs, generator=g) for g in generators])
            drawn = bound * (2.0 * drawn - 1.0)
            self.weights.append(nn.Parameter(drawn[:, :-1].contiguous()))
            self.biases.append(nn.Parameter(drawn[:, -1:].contiguous()))

    def forward(self, values: Tensor) -> Tensor:
        """
        Map the values of each run by its own weights.

        Parameters
        ----------
        values : Tensor, shape=(run, batch, widths[0]), dtype=float32
            Input.

        Returns
        -------
        Tensor, shape=(run, batch, widths[-1]), dtype=float32
            Output.
        """
        for layer, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            values = torch.baddbmm(bias, torch.relu(values) if layer else values, weight)
        return values


class StackedQuantizer(nn.Module):
    """
    One `ProgressiveQuantizer` that serves several runs, each with codes of its own.

    Parameters
    ----------
    codes : Tensor, shape=(run, code, 2), dtype=float32
        Where the codes start.
    schedule : ProgressiveSchedule
        The curriculum.
    commitment_weight : float
        Weight of the commitment loss (beta).

    Notes
    -----
    The codes of all runs are one `Codebook`. Latents and codes get a third coordinate, the same
    for all of one run and far from that of the next, so that the nearest code is always one of
    the own run. That coordinate never differs between a latent and its code: it adds exactly
    nothing to a distance, and its gradient is exactly zero.
    """

    heights: Tensor

    def __init__(
        self, codes: Tensor, schedule: ProgressiveSchedule, *, commitment_weight: float
    ) -> None:
        super().__init__()
        self.runs, self.size = codes.shape[:2]
        self.quantizer = ProgressiveQuantizer(
            Codebook(self.runs * self.size, DIM + 1),
            schedule,
            commitment_weight=commitment_weight,
        )
        heights = _SPACING * (torch.arange(self.runs) - self.runs // 2)
        self.register_buffer("heights", heights[:, None, None].float())
        self.place(codes)

    def place(self, codes: Tensor) -> None:
        """
        Set all codes.

        Parameters
        ----------
        codes : Tensor, shape=(run, code, 2), dtype=float32
            The new codes.
        """
        self.quantizer.codebook.seed(self._lifted(codes).flatten(0, 1))

    def codes(self) -> Tensor:
        """
        Return the codes of each run.

        Returns
        -------
        Tensor, shape=(run, code, 2), dtype=float32
            Detached.
        """
        table = self.quantizer.codebook.codes().detach()
        return table.unflatten(0, (self.runs, self.size))[..., :DIM]

    def forward(self, latents: Tensor, *, step: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """
        Quantize as softly as the step asks for.

        Parameters
        ----------
        latents : Tensor, shape=(run, batch, 2), dtype=float32
            Encoder output.
        step : int, optional
            Optimizer steps done so far; as for `ProgressiveQuantizer`.

        Returns
        -------
        latents : Tensor, shape=(run, batch, 2), dtype=float32
            What the decoder gets.
        loss : Tensor, shape=(), dtype=float32
            Quantization loss, summed over runs.
        indices : Tensor, shape=(run, batch), dtype=int64
            In [0, code) of the own run; -1 where nothing was quantized.

        Raises
        ------
        RuntimeError
            If the latents of a run are so far from its codes that it would get those of another.
        """
        quantized = self.quantizer(self._lifted(latents), step=step)
        # The mean over three coordinates, of which one is 0, and over the latents of all runs.
        loss = self.runs * (DIM + 1) / DIM * self.quantizer.vq_loss(quantized)
        return quantized.latents[..., :DIM], loss, self._own(quantized.indices)

    def _lifted(self, values: Tensor) -> Tensor:
        heights = self.heights.expand(self.runs, values.shape[1], 1)
        return torch.cat([values, heights], dim=-1)

    def _own(self, indices: Tensor) -> Tensor:
        own = indices - self.size * torch.arange(self.runs)[:, None]
        if bool((indices == NO_CODE).all()):
            return indices
        if bool(((own < 0) | (own >= self.size)).any()):
            msg = f"topodisc: latents are more than {_SPACING} away from the codes of their run"
            raise RuntimeError(msg)
        return own
