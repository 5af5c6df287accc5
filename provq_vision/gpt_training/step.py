"""How does one batch of tokens change the weights, in one part or several, in any process?"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from provq_protein.quantize.distributed import summed, world_size
from provq_protein.runs.processes import add_gradients, rank
from provq_vision.codes.plan import CodeBatch
from provq_vision.generation.transformer import Gpt
from provq_vision.gpt_training.config import GptTrainingConfig


@dataclass(frozen=True, eq=False, slots=True)
class GptGradients:
    """
    What a batch says about the weights; the gradients themselves are where torch keeps them.

    Parameters
    ----------
    loss : float
        Mean over the tokens of the whole batch, in nats.
    norm : float
        Of all gradients together, before they were clipped.
    """

    loss: float
    norm: float


def compute_gradients(
    model: Gpt, batch: CodeBatch, config: GptTrainingConfig, *, step: int
) -> GptGradients:
    """
    Compute the gradients of a batch and clip them, the same in every process.

    Parameters
    ----------
    model : Gpt
        In training mode; old gradients are dropped.
    batch : CodeBatch
        This process's share of the batch.
    config : GptTrainingConfig
        The run.
    step : int
        Optimizer steps done so far.

    Returns
    -------
    GptGradients
        Loss and norm.

    Notes
    -----
    A batch is worked off in as many parts as there are processes times ``accumulate``, and
    what is drawn for a part follows from seed, step and the number of the part. So two processes
    compute what one computes in two parts, dropout included, to rounding.
    """
    model.zero_grad(set_to_none=True)
    parts = world_size() * config.accumulate
    images = len(batch.labels) // config.accumulate
    total = torch.zeros((), dtype=torch.float64)
    for number in range(config.accumulate):
        rows = slice(number * images, (number + 1) * images)
        loss = _loss(
            model,
            batch.labels[rows],
            batch.ids[rows],
            config,
            step=step,
            number=rank() * config.accumulate + number,
        )
        (loss / parts).backward()
        total += loss.detach().double().cpu() / parts
    parameters = list(model.parameters())
    add_gradients(parameters)
    norm = nn.utils.clip_grad_norm_(parameters, config.optimizer.clip)
    return GptGradients(loss=summed(total).item(), norm=norm.item())


def _loss(
    model: Gpt,
    labels: Tensor,
    ids: Tensor,
    config: GptTrainingConfig,
    *,
    step: int,
    number: int,
) -> Tensor:
    device = model.device
    # The class of an image is dropped by its place in the batch, in whatever part it is.
    classes = torch.Generator().manual_seed(_key(config.seed, step))
    torch.rand(number * len(labels), generator=classes)
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(_key(config.seed, step, number))
        with torch.autocast(device.type, torch.bfloat16, enabled=config.precision == "bf16"):
            return model.loss(labels.to(device), ids.to(device), generator=classes)


def _key(*numbers: int) -> int:
    """Return a seed that no other numbers share, for all that is known."""
    return int(np.random.SeedSequence(numbers).generate_state(1, np.uint64)[0])
