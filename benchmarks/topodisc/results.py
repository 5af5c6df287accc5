"""What is in a results file, and which statistics follow from it?"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reporting import files

from topodisc.settings import BASELINE, PROVQ

FORMAT = "provq-topodisc"
FORMAT_VERSION = 1
# Parts of the data, as the keys of the results name them.
PARTS = ("disk", "triangle", "total")


@dataclass(frozen=True)
class Spread:
    """
    Where the values of several seeds lie.

    Attributes
    ----------
    median : float
        Of all values.
    low : float
        First quartile.
    high : float
        Third quartile.
    """

    median: float
    low: float
    high: float


def load_results(path: Path) -> dict[str, Any]:
    """
    Read results.

    Parameters
    ----------
    path : Path
        A file that ``run.py`` has written.

    Returns
    -------
    dict
        JSON values: ``settings``, ``versions``, ``seeds``, ``rows`` with lists of one number per
        seed, and ``snapshots`` of the median seed by row and epoch.

    Raises
    ------
    ConfigError
        If there is no such file, or it holds something else.
    """
    advice = "make it with: make topodisc"
    return files.load_results(path, kind=FORMAT, version=FORMAT_VERSION, advice=advice)


def errors(results: Mapping[str, Any], row: str, part: str) -> list[float]:
    """
    Return the mean squared error of each seed.

    Parameters
    ----------
    results : mapping
        From `load_results`.
    row : str
        Name of the row.
    part : {"disk", "triangle", "total"}
        Part of the data.

    Returns
    -------
    list of float
        In the order of the seeds.
    """
    return list(results["rows"][row][f"{part}_mse"])


def improvements(results: Mapping[str, Any], row: str, part: str) -> list[float]:
    """
    Return by how much a row is better than the vanilla row with the same seed.

    Parameters
    ----------
    results : mapping
        From `load_results`.
    row : str
        Name of the row.
    part : {"disk", "triangle", "total"}
        Part of the data.

    Returns
    -------
    list of float
        In percent of the vanilla error, in the order of the seeds; negative where it is worse.
    """
    before, after = errors(results, BASELINE, part), errors(results, row, part)
    return [100.0 * (1.0 - b / a) for a, b in zip(before, after, strict=True)]


def spread(values: Sequence[float]) -> Spread:
    """
    Return median and quartiles.

    Parameters
    ----------
    values : sequence of float
        One or more.

    Returns
    -------
    Spread
        With the quartiles interpolated between values.

    Examples
    --------
    >>> spread([1.0, 2.0, 3.0, 4.0, 5.0])
    Spread(median=3.0, low=2.0, high=4.0)
    """
    if len(values) == 1:
        return Spread(values[0], values[0], values[0])
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, low, high)


def median_seed(results: Mapping[str, Any]) -> int:
    """
    Return the seed with the median improvement of the triangle by ProVQ.

    Parameters
    ----------
    results : mapping
        From `load_results`; snapshots may still be missing.

    Returns
    -------
    int
        Of an even number of seeds, the lower one of the middle two.
    """
    pairs = zip(improvements(results, PROVQ, "triangle"), results["seeds"], strict=True)
    ordered = sorted(pairs)
    return ordered[(len(ordered) - 1) // 2][1]
