"""What is in a results file, and which numbers follow from it?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from reporting import files
from tokenizer_comparison.estimates import Difference, chain_scores, difference, median_interval

FORMAT = "provq-rate-distortion"
FORMAT_VERSION = 1
METRICS = {"rmsd_ca": ("RMSD of CA (Å)", 2), "lddt_ca": ("lDDT-CA", 3)}

Results = Mapping[str, Any]


def load_results(path: Path) -> dict[str, Any]:
    """
    Read results.

    Parameters
    ----------
    path : Path
        As ``run.py`` wrote it.

    Returns
    -------
    dict
        JSON values.

    Raises
    ------
    ConfigError
        If there is no such file, or it holds something else.
    """
    advice = "make it with benchmarks/rate_distortion/run.py --store CHAINS.h5"
    return files.load_results(path, kind=FORMAT, version=FORMAT_VERSION, advice=advice)


def of_kind(results: Results, kind: str) -> dict[str, Results]:
    """
    Return the points of one kind.

    Parameters
    ----------
    results : mapping
        From `load_results`.
    kind : str
        As in `points.Point`.

    Returns
    -------
    dict of str to mapping
        By key, in the order of their rates.
    """
    found = {key: one for key, one in results["points"].items() if one["kind"] == kind}
    return dict(sorted(found.items(), key=lambda item: item[1]["bits"] or 0.0))


def median(results: Results, point: str, part: str, metric: str) -> float:
    """
    Return the median of a score over chains.

    Parameters
    ----------
    results : mapping
        From `load_results`.
    point : str
        Key of a point.
    part : str
        Name of a set.
    metric : {"rmsd_ca", "lddt_ca"}
        The score.

    Returns
    -------
    float
        Chains without such a score are left out.
    """
    return float(np.nanmedian(chain_scores(results["points"][point], part, metric)))


def interval(results: Results, point: str, part: str, metric: str) -> tuple[float, float]:
    """
    Return the bootstrap interval of a median.

    Parameters
    ----------
    results : mapping
        From `load_results`.
    point : str
        Key of a point.
    part : str
        Name of a set.
    metric : {"rmsd_ca", "lddt_ca"}
        The score.

    Returns
    -------
    tuple of float
        95 % interval, over chains.
    """
    seed = results["settings"]["seed"]
    run = {point: {seed: results["points"][point]}}
    return median_interval(run, point, part, metric)


def paired(results: Results, point: str, other: str, part: str, metric: str) -> Difference:
    """
    Compare two points chain by chain.

    Parameters
    ----------
    results : mapping
        From `load_results`.
    point : str
        From whose score the other's is subtracted.
    other : str
        Another point.
    part : str
        Name of a set.
    metric : {"rmsd_ca", "lddt_ca"}
        The score.

    Returns
    -------
    Difference
        Median over chains, and its 95 % bootstrap interval.
    """
    seed = results["settings"]["seed"]
    runs = {key: {seed: results["points"][key]} for key in (point, other)}
    found = difference(runs, point, other, part, metric)
    assert found is not None  # Both have the seed.
    return found
