"""Where are latents and codes of a model in training, at which stages of the curriculum?"""

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from provq_protein.errors import ConfigError
from provq_protein.model.autoencoder import StructureAutoencoder
from provq_protein.quantize import CodeUsage
from provq_protein.structure.backbone import Backbone
from provq_protein.tokenizer import StructureTokenizer
from provq_protein.training.config import TrainingConfig
from provq_protein.training.store import ChainStore
from tokenizer_comparison.scores import principal_axes

# Stages of the whole curriculum, in their order, and their headings.
STAGES = {
    "start": "start",
    "warmup": "end of warm-up",
    "seeded": "codes seeded",
    "middle": "middle of transition",
    "transition": "end of transition",
    "end": "end",
}
_SPLIT = "validation"
_POINT_DIGITS, _DIGITS = 3, 6


@dataclass(frozen=True, eq=False)
class Sample:
    """
    The residues whose latents are shown, the same at all stages of all runs.

    Parameters
    ----------
    chains : tuple of Backbone
        All validation chains of the store.
    rows : Tensor, shape=(sampled,), dtype=int64
        Places of the sample among the resolved residues of `chains`, rising.
    total : int
        How many resolved residues there are.
    seed : int
        What the sample was drawn with.
    """

    chains: tuple[Backbone, ...]
    rows: Tensor
    total: int
    seed: int

    def describe(self) -> dict[str, Any]:
        """
        Return what tells this sample from others of the same store.

        Returns
        -------
        dict
            JSON values.
        """
        return {
            "set": _SPLIT,
            "seed": self.seed,
            "residues": len(self.rows),
            "of": self.total,
            "chains": len(self.chains),
        }


def whole_curriculum(config: TrainingConfig) -> bool:
    """
    Tell whether a run has all stages.

    Parameters
    ----------
    config : TrainingConfig
        The run.

    Returns
    -------
    bool
        True if there are warm-up and transition.
    """
    return config.schedule.warmup_steps > 0 and config.schedule.transition_steps > 0


def stage_steps(config: TrainingConfig, curriculum: TrainingConfig) -> dict[str, int]:
    """
    Return how many steps have been done at each stage.

    Parameters
    ----------
    config : TrainingConfig
        The run; decides the end.
    curriculum : TrainingConfig
        The run that the other stages are taken from.

    Returns
    -------
    dict of str to int
        Steps of each of `STAGES`, rising.

    Raises
    ------
    ConfigError
        If two stages are at the same step, or the run ends before the last of them.

    Notes
    -----
    Codes are seeded just before the first step of the transition; that step moves them once.
    The stage after the seeding is after this step, which is where a run can stop.
    """
    warmup, length = curriculum.schedule.warmup_steps, curriculum.schedule.transition_steps
    places = (0, warmup, warmup + 1, warmup + length // 2, warmup + length, config.steps)
    if any(after <= before for before, after in itertools.pairwise(places)):
        msg = (
            f"stages: warm-up of {warmup} steps and transition of {length} give stages at steps "
            f"{', '.join(map(str, places[:-1]))} of a run of {config.steps}, expected each later "
            "than the one before; name a recipe whose curriculum fits the run (--stages-of), with "
            "4 steps of transition or more"
        )
        raise ConfigError(msg)
    return dict(zip(STAGES, places, strict=True))


def draw_sample(store: ChainStore, *, residues: int, seed: int) -> Sample:
    """
    Draw resolved residues of validation chains.

    Parameters
    ----------
    store : ChainStore
        Chains.
    residues : int
        How many; all if there are fewer.
    seed : int
        Decides which; nothing else does, so that all runs on a store have the same.

    Returns
    -------
    Sample
        Without repetition.

    Raises
    ------
    ConfigError
        If there are fewer than two, which have no directions.
    """
    chains = tuple(store.backbone(int(chain)) for chain in store.select(_SPLIT))
    total = int(sum(chain.resolved.sum() for chain in chains))
    count = min(residues, total)
    if count < 2:
        msg = (
            f"sample: {residues} of {total} resolved residues of validation chains, expected 2 or "
            "more; ask for more (--residues), or prepare a store with validation chains"
        )
        raise ConfigError(msg)
    rows = np.sort(np.random.default_rng(seed).choice(total, size=count, replace=False))
    return Sample(chains, torch.from_numpy(rows), total, seed)


def measure_stage(model: StructureAutoencoder, sample: Sample) -> dict[str, Any]:
    """
    Measure a model as it is.

    Parameters
    ----------
    model : StructureAutoencoder
        In training; left in eval mode.
    sample : Sample
        Residues.

    Returns
    -------
    dict
        ``explained``, the share of the variance of the sample's latents along each of two
        directions; coordinates there of its ``latents`` and of all ``codes``; ``used``, 1 for
        each code that one of them has; ``utilization``, the share of such codes;
        ``distortion``, the mean squared distance of its latents to their codes over their
        variance; ``set_utilization``, that of all residues of the chains.
    """
    # Chain by chain, so that no chain's latents depend on padding.
    tokenizer = StructureTokenizer(model)
    pooled = torch.cat(
        [
            torch.from_numpy(tokenizer.embed([chain])[0][chain.resolved])
            for chain in sample.chains
            if chain.resolved.any()
        ]
    )
    latents = pooled[sample.rows]
    mean, axes, shares = principal_axes(latents)
    with torch.inference_mode():
        indices = model.quantizer.encode(pooled)
        nearest = model.quantizer.decode(indices[sample.rows]).double()
        codes = model.quantizer.codebook.codes().double()
    used, used_of_set = CodeUsage(len(codes)), CodeUsage(len(codes))
    used.add(indices[sample.rows])
    used_of_set.add(indices)
    values = latents.double()
    variance = (values - mean).square().sum(dim=1).mean()
    gap = (values - nearest).square().sum(dim=1).mean()
    return {
        "utilization": float(f"{used.utilization:.{_DIGITS}g}"),
        "set_utilization": float(f"{used_of_set.utilization:.{_DIGITS}g}"),
        "distortion": float(f"{(gap / variance.clamp_min(1e-300)).item():.{_DIGITS}g}"),
        "explained": [round(share, _DIGITS) for share in shares],
        "latents": _points((values - mean) @ axes),
        "codes": _points((codes - mean) @ axes),
        "used": (used.counts > 0).int().tolist(),
    }


def _points(values: Tensor) -> dict[str, list[float]]:
    x, y = values.T.tolist()
    return {
        "x": [round(one, _POINT_DIGITS) for one in x],
        "y": [round(one, _POINT_DIGITS) for one in y],
    }
