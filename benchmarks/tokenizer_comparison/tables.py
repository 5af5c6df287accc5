"""Which numbers stand in which table?"""

from collections.abc import Callable, Sequence

import numpy as np

from tokenizer_comparison.estimates import (
    chain_scores,
    difference,
    median_interval,
    per_seed,
    spread,
)
from tokenizer_comparison.findings import SCORES, SETS, TEST_SETS, signed
from tokenizer_comparison.paper import DISTANCES, USAGE
from tokenizer_comparison.results import Comparison, Results
from tokenizer_comparison.scores import BATCHES
from tokenizer_comparison.variants import VARIANTS, baseline

Table = tuple[tuple[str, ...], list[list[str]]]
_CODES = (
    ("raw distance", "raw_distance", 2),
    ("with diagonal", "raw_distance_with_diagonal", 2),
    ("effective distance", "effective_distance", 2),
    ("with diagonal", "effective_distance_with_diagonal", 2),
    ("nearest cosine", "effective_nearest_cosine", 3),
    ("dimension", "effective_dimension", 0),
    ("participation ratio", "effective_participation_ratio", 1),
)


def set_table(comparison: Comparison, part: str) -> Table:
    """
    Return the table of one set of chains.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.
    part : str
        Name of the set.

    Returns
    -------
    tuple of (tuple of str, list of list of str)
        Header and rows, one per variant.
    """
    header = (
        "tokenizer",
        "seeds",
        "codes used (%)",
        "norm. perplexity",
        "code distance",
        "RMSD (Å)",
        "mirror RMSD (Å)",
        "TM-score",
        "lDDT-CA",
        "dim. of codes",
        "dim. of latents",
    )
    rows = []
    for key, runs in comparison.items():
        usage = [
            _seeds(comparison, key, lambda run: 100.0 * run["sets"][part]["usage"]["utilization"]),
            _seeds(
                comparison, key, lambda run: run["sets"][part]["usage"]["normalized_perplexity"], 3
            ),
            _seeds(comparison, key, lambda run: run["codes"]["effective_distance"], 2),
        ]
        digits = {"rmsd": 2, "mirror_rmsd": 2, "tm_score": 3, "lddt_ca": 3}
        scores = [_score(comparison, key, part, metric, count) for metric, count in digits.items()]
        filled = [
            _seeds(
                comparison, key, lambda run, where=where: run["sets"][part][where]["dimension"], 0
            )
            for where in ("codes_by_use", "latents")
        ]
        rows.append([VARIANTS[key].title, str(len(runs)), *usage, *scores, *filled])
    return header, rows


def difference_table(comparison: Comparison) -> Table:
    """
    Return the table of differences to the baseline of the same family.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    tuple of (tuple of str, list of list of str)
        Header and rows, one per variant that has a baseline with the same seed.
    """
    header = ["tokenizer"]
    for part in TEST_SETS:
        header += [
            f"{SETS[part]} {name}{f' ({unit.strip()})' if unit else ''}"
            for name, unit, _, _ in SCORES.values()
        ]
    rows = []
    for key in comparison:
        other = baseline(VARIANTS[key].family)
        if key == other or not comparison[key].keys() & comparison.get(other, {}).keys():
            continue
        cells = [
            _difference(comparison, key, other, part, metric)
            for part in TEST_SETS
            for metric in SCORES
        ]
        rows.append([VARIANTS[key].title, *cells])
    return tuple(header), rows


def usage_table(comparison: Comparison, part: str) -> Table:
    """
    Return the table of usage in batches of several sizes, beside the paper's.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.
    part : str
        Name of the set.

    Returns
    -------
    tuple of (tuple of str, list of list of str)
        Header and rows, one per variant.
    """
    shapes = [("pooled", _usage_of(part, None))]
    shapes += [
        ("chain by chain" if count == 1 else f"batches of {count} chains", _usage_of(part, count))
        for count in BATCHES
    ]
    header = ["tokenizer"]
    for quantity in ("codes used (%)", "norm. perplexity"):
        header += [f"{quantity}, {shape}" for shape, _ in shapes] + [f"{quantity}, paper"]
    rows = []
    for key in comparison:
        used = [
            _seeds(comparison, key, lambda run, of=of: 100.0 * of(run)["utilization"])
            for _, of in shapes
        ]
        even = [
            _seeds(comparison, key, lambda run, of=of: of(run)["normalized_perplexity"], 3)
            for _, of in shapes
        ]
        published = USAGE.get((key, part))
        paper = ["", ""] if published is None else [f"{published[0]:.1f}", f"{published[1]:.3f}"]
        rows.append([VARIANTS[key].title, *used, paper[0], *even, paper[1]])
    return tuple(header), rows


def code_table(comparison: Comparison) -> Table:
    """
    Return the table of the codes themselves.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    tuple of (tuple of str, list of list of str)
        Header and rows, one per variant.
    """
    header = ("tokenizer", *(title for title, _, _ in _CODES), "paper, raw with diagonal")
    rows = [
        [
            VARIANTS[key].title,
            *(
                _seeds(comparison, key, lambda run, name=name: run["codes"][name], digits)
                for _, name, digits in _CODES
            ),
            f"{DISTANCES[key]:.2f}" if key in DISTANCES else "",
        ]
        for key in comparison
    ]
    return header, rows


def _seeds(
    comparison: Comparison, key: str, pick: Callable[[Results], float], digits: int = 1
) -> str:
    return cell(list(per_seed(comparison, key, pick).values()), digits)


def cell(values: Sequence[float], digits: int) -> str:
    """
    Write the values of several seeds.

    Parameters
    ----------
    values : sequence of float
        One or more.
    digits : int
        After the point.

    Returns
    -------
    str
        Median, and range if there are several.

    Examples
    --------
    >>> cell([1.0], 1), cell([1.0, 2.0, 4.0], 1)
    ('1.0', '2.0 (1.0 to 4.0)')
    """
    found = spread(values)
    if len(values) == 1:
        return f"{found.median:.{digits}f}"
    return f"{found.median:.{digits}f} ({found.low:.{digits}f} to {found.high:.{digits}f})"


def _score(comparison: Comparison, key: str, part: str, metric: str, digits: int) -> str:
    medians = [
        float(np.nanmedian(chain_scores(run, part, metric))) for run in comparison[key].values()
    ]
    low, high = median_interval(comparison, key, part, metric)
    return f"{cell(medians, digits)} [{low:.{digits}f}, {high:.{digits}f}]"


def _usage_of(part: str, batch: int | None) -> Callable[[Results], dict[str, float]]:
    if batch is None:
        return lambda run: run["sets"][part]["usage"]
    return lambda run: run["sets"][part]["batch_usage"][str(batch)]


def _difference(comparison: Comparison, key: str, other: str, part: str, metric: str) -> str:
    found = difference(comparison, key, other, part, metric)
    if found is None:
        return ""
    digits = SCORES[metric][2]
    low, high = (signed(bound, digits) for bound in found.interval)
    return f"{signed(found.median, digits)} [{low}, {high}]"
