"""How well does one reconstructed chain match its original, and how well do many on the whole?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from provq_protein.errors import StructureError
from provq_protein.geometry.similarity import lddt_ca, mirror_rmsd, rmsd, tm_score
from provq_protein.structure.backbone import Backbone

_RESAMPLES = 1000
_INTERVAL = (2.5, 97.5)


@dataclass(frozen=True)
class Metric:
    """
    What a score measures and which direction is good.

    Parameters
    ----------
    name : str
        Its field in `ChainScores`.
    label : str
        Its name in tables, with the unit if there is one.
    smaller_is_better : bool
        True for deviations, False for similarities.
    """

    name: str
    label: str
    smaller_is_better: bool


METRICS = (
    Metric("rmsd", "RMSD (Å)", smaller_is_better=True),
    # Of the mirror image: a good reconstruction of the right hand has a large one.
    Metric("mirror_rmsd", "mirror RMSD (Å)", smaller_is_better=False),
    Metric("tm_score", "TM-score", smaller_is_better=False),
    Metric("lddt_ca", "lDDT-CA", smaller_is_better=False),
)


@dataclass(frozen=True)
class ChainScores:
    """
    Similarity of a reconstructed chain to its original.

    Parameters
    ----------
    name : str
        File and chain.
    residues : int
        Number of resolved residues; the others are not compared.
    rmsd : float
        Of N, CA and C after superposition without reflection, in Angstrom.
    mirror_rmsd : float
        The same of the mirror image; below `rmsd`, the reconstruction has the wrong hand.
    tm_score : float
        TM-score of CA, normalized by `residues`.
    lddt_ca : float
        Local distance difference test of CA; blind to mirror images.
    """

    name: str
    residues: int
    rmsd: float
    mirror_rmsd: float
    tm_score: float
    lddt_ca: float


@dataclass(frozen=True)
class Estimate:
    """
    Median and mean over chains, each with a 95 % bootstrap interval.

    Parameters
    ----------
    median : float
        Middle value.
    median_interval : tuple of float
        Lower and upper bound of the median over resampled sets of chains.
    mean : float
        Average.
    mean_interval : tuple of float
        Lower and upper bound of the mean.
    """

    median: float
    median_interval: tuple[float, float]
    mean: float
    mean_interval: tuple[float, float]


def score_chain(original: Backbone, reconstructed: Backbone) -> ChainScores:
    """
    Compare a reconstructed chain with its original.

    Parameters
    ----------
    original : Backbone
        The reference. Only its resolved residues are compared.
    reconstructed : Backbone
        The same residues.

    Returns
    -------
    ChainScores
        All similarities.

    Raises
    ------
    StructureError
        If the chains have different numbers of residues, or a position to compare is
        absent from the reconstruction.
    """
    name = chain_name(original)
    known = original.resolved
    if len(reconstructed) != len(original) or not reconstructed.resolved[known].all():
        msg = (
            f"{name}: {int(known.sum())} of {len(original)} residues should have been "
            f"reconstructed, got {int(reconstructed.resolved.sum())} of {len(reconstructed)}"
        )
        raise StructureError(msg)
    fixed, moved = original.coords[known], reconstructed.coords[known]
    return ChainScores(
        name=name,
        residues=int(known.sum()),
        rmsd=rmsd(moved, fixed),
        mirror_rmsd=mirror_rmsd(moved, fixed),
        tm_score=tm_score(moved[:, 1], fixed[:, 1]),
        lddt_ca=lddt_ca(moved[:, 1], fixed[:, 1]),
    )


def chain_name(backbone: Backbone) -> str:
    """
    Return file and chain in one word.

    Parameters
    ----------
    backbone : Backbone
        A chain.

    Returns
    -------
    str
        ``source:chain``; for arrays that know no source, the chain id alone.
    """
    source = backbone.source.replace("\\", "/").rpartition("/")[2]
    ending = f":{backbone.chain_id}"
    # The source of a chain from a chain store names the chain already.
    return source if source.endswith(ending) else f"{source}{ending}".removeprefix(":")


def summarize(scores: Sequence[ChainScores], *, seed: int = 0) -> Mapping[str, Estimate]:
    """
    Summarize every metric over chains.

    Parameters
    ----------
    scores : sequence of ChainScores
        At least one. Values that are *NaN* are left out.
    seed : int
        Decides the bootstrap samples.

    Returns
    -------
    mapping of str to Estimate
        By metric name, in the order of `METRICS`.
    """
    return {
        metric.name: _estimate(np.array([getattr(one, metric.name) for one in scores]), seed)
        for metric in METRICS
    }


def _estimate(values: np.ndarray, seed: int) -> Estimate:
    values = values[~np.isnan(values)]
    if len(values) == 0:
        nothing = (float("nan"), float("nan"))
        return Estimate(nothing[0], nothing, nothing[0], nothing)
    draws = np.random.default_rng(seed).integers(len(values), size=(_RESAMPLES, len(values)))
    samples = values[draws]
    return Estimate(
        median=float(np.median(values)),
        median_interval=_interval(np.median(samples, axis=1)),
        mean=float(np.mean(values)),
        mean_interval=_interval(np.mean(samples, axis=1)),
    )


def _interval(samples: np.ndarray) -> tuple[float, float]:
    low, high = np.percentile(samples, _INTERVAL)
    return float(low), float(high)
