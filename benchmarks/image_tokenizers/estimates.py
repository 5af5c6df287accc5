"""Which statistics follow from the results of several seeds?"""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from image_tokenizers.results import Comparison, Results


@dataclass(frozen=True)
class Metric:
    """
    One number of an evaluation.

    Attributes
    ----------
    key : str
        Name in the modules.
    title : str
        Name on the page.
    digits : int
        Shown after the point.
    smaller_is_better : bool
        True for distances.
    unit : str
        After a number in sentences.
    words : tuple of str
        What a row is that is better, or worse, than another.
    """

    key: str
    title: str
    digits: int
    smaller_is_better: bool = False
    unit: str = ""
    words: tuple[str, str] = ("better", "worse")


# Those of the paper's tables; its SSIM is the one with a data range of 2.
METRICS = {
    one.key: one
    for one in (
        Metric("rfid", "rFID", 1, smaller_is_better=True),
        Metric("psnr", "PSNR", 2, unit=" dB"),
        Metric("ssim", "SSIM", 3),
        # How evenly codes are used is not by itself good or bad.
        Metric("perplexity", "perplexity", 1, words=("higher", "lower")),
    )
}


def value(results: Results, metric: str) -> float | None:
    """
    Return one number of one run.

    Parameters
    ----------
    results : mapping
        From `results.load`.
    metric : str
        A key of `METRICS`.

    Returns
    -------
    float or None
        None where it was not measured.
    """
    evaluation = results["evaluation"]
    if metric == "rfid":
        return (evaluation["frechet"] or {}).get("rfid")
    if metric == "psnr":
        return evaluation["fidelity"]["psnr"]
    if metric == "ssim":
        return evaluation["fidelity"]["ssim_llamagen"]
    return evaluation["codes"][0]["group_perplexity"]


def values(comparison: Comparison, row: str, metric: str) -> dict[int, float]:
    """
    Return one number of each run of a row.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.
    row : str
        Key of the row.
    metric : str
        A key of `METRICS`.

    Returns
    -------
    dict of int to float
        By seed; without runs for which it was not measured.
    """
    found = {seed: value(run, metric) for seed, run in comparison.get(row, {}).items()}
    return {seed: one for seed, one in found.items() if one is not None}


def differences(comparison: Comparison, row: str, other: str, metric: str) -> dict[int, float]:
    """
    Return by how much a row differs from another with the same seed.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.
    row : str
        Key of the row.
    other : str
        Key of the row that is subtracted.
    metric : str
        A key of `METRICS`.

    Returns
    -------
    dict of int to float
        By seed; for seeds that both rows have.
    """
    first, second = values(comparison, row, metric), values(comparison, other, metric)
    return {seed: first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())}


def noise(comparison: Comparison, rows: Sequence[str], metric: str) -> float:
    """
    Return how far apart the seeds of one row are.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.
    rows : sequence of str
        Keys of rows.
    metric : str
        A key of `METRICS`.

    Returns
    -------
    float
        Largest range over the seeds of one of the rows; 0 with one seed.
    """
    found = [list(values(comparison, row, metric).values()) for row in rows]
    return max((max(one) - min(one) for one in found if one), default=0.0)


def verdict(found: Mapping[int, float], metric: Metric) -> str:
    """
    Say what differences by seed mean.

    Parameters
    ----------
    found : mapping of int to float
        From `differences`; one or more.
    metric : Metric
        What differs.

    Returns
    -------
    str
        One of the metric's words if all seeds agree, "no difference" if it rounds to zero with
        every seed, else "undecided".

    Examples
    --------
    >>> verdict({0: -2.0, 1: -1.0}, METRICS["rfid"])
    'better'
    >>> verdict({0: -2.0, 1: -1.0}, METRICS["perplexity"])
    'lower'
    >>> verdict({0: -2.0, 1: 1.0}, METRICS["psnr"])
    'undecided'
    """
    better, worse = counts(found, metric)
    if better == len(found):
        return metric.words[0]
    if worse == len(found):
        return metric.words[1]
    return "undecided" if better or worse else "no difference"


def counts(found: Mapping[int, float], metric: Metric) -> tuple[int, int]:
    """
    Count the seeds with which a row is better, and worse.

    Parameters
    ----------
    found : mapping of int to float
        From `differences`.
    metric : Metric
        What differs.

    Returns
    -------
    tuple of int
        Differences that round to zero as they are shown are neither.

    Examples
    --------
    >>> counts({0: -2.0, 1: -1.0, 2: 0.04}, METRICS["rfid"])
    (2, 0)
    """
    sign = -1.0 if metric.smaller_is_better else 1.0
    gains = [sign * round(one, metric.digits) for one in found.values()]
    return sum(one > 0.0 for one in gains), sum(one < 0.0 for one in gains)


def signed(number: float, digits: int) -> str:
    """
    Write a difference.

    Parameters
    ----------
    number : float
        The difference.
    digits : int
        After the point.

    Returns
    -------
    str
        With a sign, unless it is zero when rounded.

    Examples
    --------
    >>> signed(1.26, 1), signed(-0.001, 2), signed(1234.5, 1)
    ('+1.3', '0.00', '+1,234.5')
    """
    text = f"{number:+,.{digits}f}"
    return text[1:] if float(text.replace(",", "")) == 0.0 else text


def mean_of(found: Mapping[int, float]) -> float:
    """
    Return the mean over seeds.

    Parameters
    ----------
    found : mapping of int to float
        By seed; one or more.

    Returns
    -------
    float
        The mean.
    """
    return statistics.fmean(found.values())
