"""What are rate and distortion of each point of the curve?"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol, TypeVar

import numpy as np
import torch
from reconstruction.sources import ChainSet
from torch import Tensor

from provq_protein.errors import StructureError
from provq_protein.evaluation.chain_scores import chain_name
from provq_protein.geometry.similarity import lddt_ca, rmsd
from provq_protein.quantize import CodeUsage
from provq_protein.structure.backbone import Backbone
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.training.store import ChainStore
from rate_distortion.points import (
    Point,
    floor_point,
    kmeans_point,
    own_point,
    residual_point,
    step_point,
)
from rate_distortion.results import METRICS
from rate_distortion.steps import bonded_steps

_SCORE_DIGITS, _DIGITS = 4, 6
_Item = TypeVar("_Item")


class Watch(Protocol):
    """Wraps items while they are worked through, and shows how far that is."""

    def __call__(self, items: Sequence[_Item], label: str, /) -> Iterable[_Item]:
        """
        Yield the items.

        Parameters
        ----------
        items : sequence
            What is worked through.
        label : str
            What to call it.

        Returns
        -------
        iterable
            The same items.
        """
        ...


@dataclass(frozen=True)
class Settings:
    """
    How codes are fitted.

    Parameters
    ----------
    sizes : tuple of int
        Codes of each k-means point.
    residual_sizes : tuple of int
        Codes of the second level of each residual point.
    step_sizes : tuple of int
        Codes of each point of the baseline.
    latents : int
        Training latents to fit to, at most; as many steps for the baseline.
    iterations : int
        Of k-means, at most.
    seed : int
        Decides the sample and the centroids.
    """

    sizes: tuple[int, ...]
    residual_sizes: tuple[int, ...]
    step_sizes: tuple[int, ...]
    latents: int
    iterations: int
    seed: int


def training_chains(store: ChainStore, settings: Settings) -> list[Backbone]:
    """
    Draw training chains until they have enough residues.

    Parameters
    ----------
    store : ChainStore
        The chains.
    settings : Settings
        Number of latents, and seed.

    Returns
    -------
    list of Backbone
        In random order; all of them if they have fewer residues.

    Raises
    ------
    StructureError
        If there is no training chain with a resolved residue.
    """
    chains = store.select("train")
    order = np.random.default_rng(settings.seed).permutation(chains)
    drawn: list[Backbone] = []
    residues = 0
    for number in order:
        chain = store.backbone(int(number))
        if residues >= settings.latents:
            break
        if chain.resolved.any():
            drawn.append(chain)
            residues += int(chain.resolved.sum())
    if not drawn:
        msg = "the store has no training chain with a resolved residue; codes are fitted to those"
        raise StructureError(msg)
    return drawn


def build_points(
    tokenizer: StructureTokenizer, chains: Sequence[Backbone], settings: Settings, watch: Watch
) -> tuple[list[Point], dict[str, int]]:
    """
    Fit all codes.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.
    chains : sequence of Backbone
        Training chains.
    settings : Settings
        What to fit.
    watch : Watch
        Shows the progress.

    Returns
    -------
    points : list of Point
        All points of the curve.
    counts : dict of str to int
        Training chains, latents and steps that codes were fitted to.
    """
    embedded = [latents_of(tokenizer, chain) for chain in watch(chains, "training latents")]
    sample = _drawn(torch.cat(embedded), settings)
    steps = _drawn(bonded_steps(chains), settings)
    fit = {"iterations": settings.iterations, "seed": settings.seed}
    jobs: list[Callable[[], Point]] = [
        partial(floor_point, tokenizer, sample),
        partial(own_point, tokenizer, sample),
        *(partial(kmeans_point, tokenizer, sample, one, **fit) for one in settings.sizes),
        *(
            partial(residual_point, tokenizer, sample, one, **fit)
            for one in settings.residual_sizes
        ),
        *(
            partial(step_point, steps, one, follow=follow, **fit)
            for follow in (False, True)
            for one in settings.step_sizes
        ),
    ]
    counts = {"chains": len(chains), "latents": len(sample), "steps": len(steps)}
    return [job() for job in watch(jobs, "codes")], counts


def latents_of(tokenizer: StructureTokenizer, chain: Backbone) -> Tensor:
    """
    Return the latents of the resolved residues of a chain.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.
    chain : Backbone
        A chain with at least one resolved residue.

    Returns
    -------
    Tensor, shape=(resolved, dim), dtype=float32
        Before quantization.
    """
    return torch.from_numpy(tokenizer.embed([chain])[0][chain.resolved])


def describe_set(chains: ChainSet) -> dict[str, Any]:
    """
    Return what identifies a set.

    Parameters
    ----------
    chains : ChainSet
        The set.

    Returns
    -------
    dict
        JSON values.
    """
    return {
        "origin": chains.origin,
        "content_hash": chains.content_hash(),
        "chain_count": len(chains.backbones),
        "residues": sum(int(chain.resolved.sum()) for chain in chains.backbones),
        "left_out": chains.left_out,
    }


def measure_set(
    tokenizer: StructureTokenizer, chains: ChainSet, points: Sequence[Point], watch: Watch
) -> dict[str, Any]:
    """
    Measure all points on one set.

    Parameters
    ----------
    tokenizer : StructureTokenizer
        The model.
    chains : ChainSet
        The set.
    points : sequence of Point
        From `build_points`.
    watch : Watch
        Shows the progress.

    Returns
    -------
    dict
        By key of the point: entropy and utilization of its codes, relative distortion of the
        latents, and the scores of each chain; JSON values.
    """
    tallies = {point.key: _Tally(point) for point in points}
    embedded: list[Tensor] = []
    for chain in watch(chains.backbones, chains.name):
        embedded.append(latents_of(tokenizer, chain))
        for point in points:
            tallies[point.key].add(chain, embedded[-1])
    latents = torch.cat(embedded).double()
    variance = float((latents - latents.mean(dim=0)).square().sum())
    return {key: tally.to_json(variance) for key, tally in tallies.items()}


class _Tally:
    """What is known of one point after some chains."""

    def __init__(self, point: Point) -> None:
        self.point = point
        self.usages = [CodeUsage(size) for size in point.sizes]
        self.rows: list[list[Any]] = []
        self.errors: list[float | None] = []

    def add(self, chain: Backbone, latents: Tensor) -> None:
        rebuilt = self.point.rebuild(chain, latents)
        true = chain.coords[chain.resolved, 1]
        scores = {
            "rmsd_ca": rmsd(rebuilt.alpha, true),
            "lddt_ca": lddt_ca(rebuilt.alpha, true),
        }
        self.rows.append([chain_name(chain), *(_score(scores[name]) for name in METRICS)])
        self.errors.append(rebuilt.squared_error)
        for usage, indices in zip(self.usages, rebuilt.indices.T, strict=True):
            usage.add(indices)

    def to_json(self, variance: float) -> dict[str, Any]:
        known = [one for one in self.errors if one is not None]
        return {
            # Levels coded one by one: the sum of their entropies, not that of the pairs.
            "entropy": _rounded(sum(one.entropy for one in self.usages) / math.log(2.0))
            if self.usages
            else None,
            "utilization": [_rounded(one.utilization) for one in self.usages],
            "distortion": _rounded(sum(known) / variance) if known and variance else None,
            "chains": {"columns": ["name", *METRICS], "rows": self.rows},
        }


def to_json(points: Sequence[Point], measured: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """
    Arrange what was measured by point.

    Parameters
    ----------
    points : sequence of Point
        All points.
    measured : dict
        From `measure_set`, by name of the set.

    Returns
    -------
    dict
        JSON values, by key of the point.
    """
    return {
        point.key: {
            "kind": point.kind,
            "sizes": list(point.sizes),
            "bits": None if point.bits is None else _rounded(point.bits),
            "sample_distortion": None
            if point.sample_distortion is None
            else _rounded(point.sample_distortion),
            "sets": {name: found[point.key] for name, found in measured.items()},
        }
        for point in points
    }


def _drawn(values: Tensor, settings: Settings) -> Tensor:
    generator = torch.Generator().manual_seed(settings.seed)
    return values[torch.randperm(len(values), generator=generator)[: settings.latents]]


def _score(value: float) -> float | None:
    # JSON has no NaN.
    return None if math.isnan(value) else round(value, _SCORE_DIGITS)


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
