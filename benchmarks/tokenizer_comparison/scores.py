"""How well does a tokenizer reconstruct a set of chains, and how does it use its codes?"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from reconstruction.sources import ChainSet
from torch import Tensor

from provq_protein.evaluation.chain_scores import METRICS, score_chain
from provq_protein.quantize import CodeUsage
from provq_protein.quantize.batch_usage import BatchUsage
from provq_protein.quantize.spread import (
    effective_dimension,
    mean_code_distance,
    nearest_neighbor_cosine,
    participation_ratio,
)
from provq_protein.structure.backbone import Backbone
from provq_protein.tokenizer import StructureTokenizer

# Chains in a batch where usage is averaged over batches: one, and what the published code takes.
BATCHES = (1, 8)
_SCORE_DIGITS, _DIGITS = 4, 6
# Latents shown in a picture of principal components.
_SHOWN = 600
_PICTURE_DIGITS = 3

Watch = Callable[[Sequence[Backbone]], Iterable[Backbone]]


def measure_codes(tokenizer: StructureTokenizer) -> dict[str, float]:
    """
    Measure the codes by themselves.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.

    Returns
    -------
    dict
        Mean distances of pairs, of the effective codes and of the raw table they are made of,
        without and with the zero diagonal; cosines of nearest neighbours; dimensions filled.
    """
    book = tokenizer.model.quantizer.codebook
    found: dict[str, float] = {}
    for name, codes in (("effective", book.codes().detach()), ("raw", book.raw_codes())):
        found[f"{name}_distance"] = mean_code_distance(codes)
        found[f"{name}_distance_with_diagonal"] = mean_code_distance(codes, include_diagonal=True)
        found[f"{name}_nearest_cosine"] = nearest_neighbor_cosine(codes)
        found[f"{name}_dimension"] = effective_dimension(codes)
        found[f"{name}_participation_ratio"] = participation_ratio(codes)
    return _rounded(found)


def measure_set(
    tokenizer: StructureTokenizer, chains: ChainSet, *, watch: Watch
) -> tuple[dict[str, Any], Tensor]:
    """
    Measure a set.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.
    chains : ChainSet
        Chains.
    watch : callable
        Wraps the chains while they are worked through.

    Returns
    -------
    dict
        JSON values.
    Tensor, shape=(residue, dim), dtype=float32
        Latents of all resolved residues.
    """
    rows: list[list[Any]] = []
    ids: list[Tensor] = []
    latents: list[Tensor] = []
    for chain in watch(chains.backbones):
        tokens = tokenizer.encode([chain])[0]
        scores = score_chain(chain, tokenizer.decode([tokens])[0])
        rows.append(
            [scores.name, scores.residues, *(_score(getattr(scores, one.name)) for one in METRICS)]
        )
        ids.append(torch.tensor(tokens.ids[tokens.resolved], dtype=torch.int64))
        latents.append(torch.from_numpy(tokenizer.embed([chain])[0][chain.resolved]))
    pooled = torch.cat(latents)
    return {
        "origin": chains.origin,
        "content_hash": chains.content_hash(),
        "chain_count": len(rows),
        "left_out": chains.left_out,
        **_usage(ids, tokenizer, pooled),
        "chains": {"columns": ["name", "residues", *(one.name for one in METRICS)], "rows": rows},
    }, pooled


def picture(tokenizer: StructureTokenizer, latents: Tensor) -> dict[str, Any]:
    """
    Project latents and codes onto the two directions in which latents vary most.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.
    latents : Tensor, shape=(residue, dim), dtype=float32
        Of a set; evenly spaced ones are kept.

    Returns
    -------
    dict
        ``explained``, the share of the variance along each direction; coordinates of
        ``latents`` and ``codes``; ``used``, 1 for each code that one of the latents has.
    """
    values = latents.double()
    mean, axes, shares = principal_axes(latents)
    every = max(1, -(-len(values) // _SHOWN))
    codes = torch.from_numpy(np.array(tokenizer.codebook)).double()
    usage = CodeUsage(len(codes))
    with torch.inference_mode():
        usage.add(tokenizer.model.quantizer.encode(latents))
    return {
        "explained": [round(share, _SCORE_DIGITS) for share in shares],
        "latents": _points((values[::every] - mean) @ axes),
        "codes": _points((codes - mean) @ axes),
        "used": (usage.counts > 0).int().tolist(),
    }


def principal_axes(latents: Tensor) -> tuple[Tensor, Tensor, list[float]]:
    """
    Return the two directions in which latents vary most.

    Parameters
    ----------
    latents : Tensor, shape=(residue, dim), dtype=float32
        Two dimensions or more.

    Returns
    -------
    Tensor, shape=(dim,), dtype=float64
        Mean of the latents.
    Tensor, shape=(dim, 2), dtype=float64
        The directions, of length 1.
    list of float
        The share of the variance along each.
    """
    values = latents.double()
    mean = values.mean(dim=0)
    variances, axes = torch.linalg.eigh((values - mean).T @ (values - mean))
    axes = axes[:, -2:].flip(1)
    # The sign of an axis is arbitrary; this makes it a function of the data.
    axes = axes * axes.gather(0, axes.abs().argmax(dim=0, keepdim=True)).sign()
    shares = variances[-2:].flip(0) / variances.clamp_min(0.0).sum().clamp_min(1e-300)
    return mean, axes, shares.tolist()


def _usage(ids: Sequence[Tensor], tokenizer: StructureTokenizer, latents: Tensor) -> dict[str, Any]:
    size = tokenizer.codebook_size
    usage = CodeUsage(size)
    for one in ids:
        usage.add(one)
    codes = tokenizer.model.quantizer.codebook.codes().detach()
    weights = usage.counts.to(codes.device)
    return {
        "usage": _rounded(
            {
                "tokens": usage.total,
                "utilization": usage.utilization,
                "perplexity": usage.perplexity,
                "normalized_perplexity": usage.normalized_perplexity,
            }
        ),
        "batch_usage": {str(count): _batch_usage(ids, size, count) for count in BATCHES},
        "codes_by_use": _rounded(
            {
                "dimension": effective_dimension(codes, weights=weights),
                "participation_ratio": participation_ratio(codes, weights=weights),
            }
        ),
        "latents": _rounded(
            {
                "dimension": effective_dimension(latents),
                "participation_ratio": participation_ratio(latents),
            }
        ),
    }


def _batch_usage(ids: Sequence[Tensor], size: int, count: int) -> dict[str, float]:
    usage = BatchUsage(size)
    for start in range(0, len(ids), count):
        usage.add(torch.cat(list(ids[start : start + count])))
    return _rounded(
        {
            "batches": usage.batches,
            "tokens_per_batch": usage.latents_per_batch,
            "utilization": usage.batch_utilization,
            "perplexity": usage.batch_perplexity,
            "normalized_perplexity": usage.batch_perplexity / size,
        }
    )


def _score(value: float) -> float | None:
    # JSON has no NaN.
    return None if np.isnan(value) else round(value, _SCORE_DIGITS)


def _rounded(values: Mapping[str, float]) -> dict[str, float]:
    return {
        name: value if isinstance(value, int) else float(f"{value:.{_DIGITS}g}")
        for name, value in values.items()
    }


def _points(values: Tensor) -> dict[str, list[float]]:
    x, y = values.T.tolist()
    return {
        "x": [float(f"{one:.{_PICTURE_DIGITS}g}") for one in x],
        "y": [float(f"{one:.{_PICTURE_DIGITS}g}") for one in y],
    }
