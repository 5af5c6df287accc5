"""How does one batch change the weights, in one part or several, in one process or several?"""

from dataclasses import dataclass, replace

import torch
from torch import nn

from provq_protein.model.autoencoder import AutoencoderOutput, StructureAutoencoder
from provq_protein.quantize import Quantized
from provq_protein.quantize.distributed import summed, world_size
from provq_protein.runs.processes import add_gradients, rank
from provq_protein.training.batches import Batch
from provq_protein.training.config import TrainingConfig
from provq_protein.training.objective import (
    loss_terms,
    loss_weights,
    term_shares,
    weighted_total,
)


@dataclass(frozen=True, eq=False)
class Gradients:
    """
    What a batch says about the weights; the gradients themselves are where torch keeps them.

    Parameters
    ----------
    loss : float
        Of the whole batch, quantization included.
    terms : dict of str to float
        Its reconstruction terms, without their weights.
    codebook_loss, commitment_loss : float
        Of the whole batch.
    norm : float
        Of the gradients of all weights together, before it was clipped.
    quantized : Quantized
        The valid latents of this process, one after the other.
    """

    loss: float
    terms: dict[str, float]
    codebook_loss: float
    commitment_loss: float
    norm: float
    quantized: Quantized


def compute_gradients(
    model: StructureAutoencoder,
    batch: Batch,
    config: TrainingConfig,
    *,
    step: int,
    settling: bool,
) -> Gradients:
    """
    Compute the gradient of the loss of a batch and clip it, the same in every process.

    Parameters
    ----------
    model : StructureAutoencoder
        In training mode; old gradients are dropped.
    batch : Batch
        The whole batch, the same in every process. Each works on its part of the chains.
    config : TrainingConfig
        The run.
    step : int
        From 0.
    settling : bool
        Whether encoder and codebook are frozen.

    Returns
    -------
    Gradients
        Losses and latents.

    Notes
    -----
    Each loss is a mean over the entries of the whole batch. Every part therefore counts by its
    share of those entries and the gradients of all parts are added, so that neither the number
    of parts nor that of processes changes the result beyond rounding.
    """
    model.zero_grad(set_to_none=True)
    shares = _Shares(batch, config)
    device = next(model.parameters()).device
    sums = torch.zeros(len(loss_weights(config.loss)) + 3, dtype=torch.float64)
    latents = []
    for number in range(config.accumulate):
        part = shares.part(number)
        here = part.to(device)
        output = _forward(model, here, config, step=step, settling=settling)
        terms = loss_terms(output.decoded, here, config.loss)
        of_terms = term_shares(batch, part, config.loss)
        of_latents = shares.of_latents(number, together=not settling)
        total = weighted_total(terms, of_terms, config.loss)
        quantized = output.quantized
        if not settling:
            total = total + of_latents * model.quantizer.vq_loss(quantized)
        total.backward()
        found = [of_terms[name] * term for name, term in terms.items()]
        found += [of_latents * quantized.codebook_loss, of_latents * quantized.commitment_loss]
        sums += torch.stack([*found, total]).detach().double().cpu()
        latents.append(_valid(quantized, here))
    add_gradients(model.parameters())
    moving = [parameter for parameter in model.parameters() if parameter.grad is not None]
    norm = nn.utils.clip_grad_norm_(moving, config.optimizer.clip).item()
    *values, codebook_loss, commitment_loss, loss = summed(sums).tolist()
    return Gradients(
        loss=loss,
        terms=dict(zip(loss_weights(config.loss), values, strict=True)),
        codebook_loss=codebook_loss,
        commitment_loss=commitment_loss,
        norm=norm,
        quantized=_joined(latents),
    )


class _Shares:
    """The parts of a batch that are this process's, and what they weigh in it."""

    def __init__(self, batch: Batch, config: TrainingConfig) -> None:
        self._batch = batch
        self._accumulate = config.accumulate
        self._processes = world_size()
        self._first = rank() * config.accumulate

    def part(self, number: int) -> Batch:
        return self._part(self._first + number)

    def of_latents(self, number: int, *, together: bool) -> float:
        """
        Return the weight of the quantization losses of a part.

        Where they have a gradient the quantizer counts the valid latents that all processes see
        at the same time (`together`), and scales its losses for an average over processes; here
        they are added.
        """
        if not together:
            return self.part(number).num_residues / max(1, self._batch.num_residues)
        if self._accumulate == 1:
            return 1.0 / self._processes
        at_once = sum(
            self._part(process * self._accumulate + number).num_residues
            for process in range(self._processes)
        )
        return at_once / max(1, self._batch.num_residues) / self._processes

    def _part(self, number: int) -> Batch:
        return self._batch.part(number, self._processes * self._accumulate)


def _forward(
    model: StructureAutoencoder, batch: Batch, config: TrainingConfig, *, step: int, settling: bool
) -> AutoencoderOutput:
    low = config.precision == "bf16"
    with torch.autocast(batch.coords.device.type, dtype=torch.bfloat16, enabled=low):
        return model(
            *batch.inputs,
            step=step,
            freeze_encoder=settling,
            latent_noise=batch.latent_noise,
        )


def _valid(quantized: Quantized, batch: Batch) -> Quantized:
    """Keep the valid latents, as rows, without gradient."""
    mask = batch.resolved & batch.present
    return replace(
        quantized,
        indices=quantized.indices[mask],
        projected=quantized.projected[mask],
        codes=quantized.codes.detach()[mask],
        latents=quantized.latents.detach()[mask],
    )


def _joined(parts: list[Quantized]) -> Quantized:
    if len(parts) == 1:
        return parts[0]
    names = ("indices", "projected", "codes", "latents")
    rows = {name: torch.cat([getattr(part, name) for part in parts]) for name in names}
    return replace(parts[0], **rows)


def compile_blocks(model: StructureAutoencoder) -> int:
    """
    Let torch compile the blocks of encoder and decoder, in place.

    Parameters
    ----------
    model : StructureAutoencoder
        Names and values of its weights stay as they are.

    Returns
    -------
    int
        How many blocks. What is between them, and depends on which residues are resolved, is
        left as it is: it would be compiled anew for most batches.
    """
    blocks = [
        block
        for part in (model.encoder, model.decoder)
        for child in part.children()
        for block in (child if isinstance(child, nn.ModuleList) else [child])
        if any(True for _ in block.children())
    ]
    for block in blocks:
        block.compile(dynamic=True)
    return len(blocks)
