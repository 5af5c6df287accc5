"""What do the counts of many chains add up to?"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from statistics import median
from typing import Any

from complexes.measure import DISTANCES, LAGS


def _labels(bounds: tuple[float, ...]) -> tuple[str, ...]:
    inner = pairwise(bounds)
    return (
        f"to {bounds[0]:g}",
        *(f"{low:g} to {high:g}" for low, high in inner),
        f"over {bounds[-1]:g}",
    )


DISTANCE_LABELS = _labels(DISTANCES)
LAG_LABELS = ("none before", *_labels(LAGS))


@dataclass(frozen=True)
class Share:
    """
    How many residues of a bin changed.

    Parameters
    ----------
    residues : int
        All of them.
    changed : tuple of float
        Shares of ids, and of codes nearest to the latents; 0 where there is no residue.
    """

    residues: int
    changed: tuple[float, float]


@dataclass(frozen=True)
class Scores:
    """
    What a round trip gives with ids of both kinds.

    Parameters
    ----------
    medians : tuple of float
        Over chains: with ids of the chains alone, and of the complex.
    largest_rise, largest_fall : float
        Of one chain, from the first to the second; 0 if none.
    unchanged : int
        Chains whose score is the same to four decimals.
    """

    medians: tuple[float, float]
    largest_rise: float
    largest_fall: float
    unchanged: int


def shares(results: Mapping[str, Any], key: str) -> list[Share]:
    """
    Add up the bins of all chains.

    Parameters
    ----------
    results : mapping
        From `complexes.measure.measure`.
    key : {"by_distance", "seeing", "by_lag"}
        Which bins.

    Returns
    -------
    list of Share
        One per bin.
    """
    bins = zip(*(chain[key] for chain in results["chains"]), strict=True)
    sums = [[sum(part) for part in zip(*one, strict=True)] for one in bins]
    return [
        Share(residues, (ids / max(1, residues), codes / max(1, residues)))
        for residues, ids, codes in sums
    ]


def intact(results: Mapping[str, Any]) -> int:
    """
    Count the chains that keep all ids.

    Parameters
    ----------
    results : mapping
        From `complexes.measure.measure`.

    Returns
    -------
    int
        Their number.
    """
    return sum(not any(one[1] for one in chain["seeing"]) for chain in results["chains"])


def scores(results: Mapping[str, Any], metric: str) -> Scores:
    """
    Compare round trips.

    Parameters
    ----------
    results : mapping
        From `complexes.measure.measure`.
    metric : {"rmsd", "lddt_ca"}
        Which score.

    Returns
    -------
    Scores
        Over the chains.
    """
    pairs = [chain[metric] for chain in results["chains"]]
    steps = [after - before for before, after in pairs]
    return Scores(
        medians=(median(one for one, _ in pairs), median(one for _, one in pairs)),
        largest_rise=max(0.0, *steps),
        largest_fall=-min(0.0, *steps),
        unchanged=sum(step == 0.0 for step in steps),
    )
