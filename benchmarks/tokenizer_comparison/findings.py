"""What do the numbers say about progressive quantization?"""

from collections.abc import Callable, Iterator

from tokenizer_comparison.estimates import difference, per_seed, spread
from tokenizer_comparison.results import Comparison, Results
from tokenizer_comparison.variants import FAMILIES, PARTS_OF_PROVQ, VARIANTS, baseline, provq

SETS = {"casp14": "CASP14", "cameo2022": "CAMEO2022", "validation": "validation"}
TEST_SETS = ("casp14", "cameo2022")
# Score: name in sentences, unit, digits, whether smaller is better.
SCORES = {
    "rmsd": ("RMSD", " Å", 2, True),
    "tm_score": ("TM-score", "", 3, False),
    "lddt_ca": ("lDDT-CA", "", 3, False),
}
_Use = Callable[[str], Callable[[Results], float]]
# Without a good or bad direction, apart from the first two.
_USE: dict[str, _Use] = {
    "utilization": lambda part: lambda run: run["sets"][part]["usage"]["utilization"],
    "normalized perplexity": lambda part: (
        lambda run: run["sets"][part]["usage"]["normalized_perplexity"]
    ),
    "effective dimension of the codes in use": lambda part: (
        lambda run: run["sets"][part]["codes_by_use"]["dimension"]
    ),
}


def signed(value: float, digits: int) -> str:
    """
    Write a difference.

    Parameters
    ----------
    value : float
        The difference.
    digits : int
        After the point.

    Returns
    -------
    str
        With a sign, unless it is zero when rounded.

    Examples
    --------
    >>> signed(1.25, 1), signed(-0.001, 2)
    ('+1.2', '0.00')
    """
    text = f"{value:+.{digits}f}"
    return text[1:] if float(text) == 0.0 else text


def verdict(interval: tuple[float, float], *, smaller_is_better: bool) -> str:
    """
    Say what an interval of differences means.

    Parameters
    ----------
    interval : tuple of float
        Lower and upper bound.
    smaller_is_better : bool
        True for deviations.

    Returns
    -------
    str
        "better", "worse" or "not clearly different".

    Examples
    --------
    >>> verdict((-2.0, -1.0), smaller_is_better=True)
    'better'
    >>> verdict((-2.0, -1.0), smaller_is_better=False)
    'worse'
    >>> verdict((-1.0, 1.0), smaller_is_better=True)
    'not clearly different'
    """
    low, high = interval
    if low <= 0.0 <= high:
        return "not clearly different"
    return "better" if (high < 0.0) == smaller_is_better else "worse"


def sentences(comparison: Comparison) -> list[str]:
    """
    Compare ProVQ with its baselines.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    list of str
        Sentences; what they claim follows from the numbers.
    """
    found: list[str] = []
    for family in FAMILIES:
        full = provq(family)
        for other in (baseline(family), f"{family}.kmeans"):
            if not comparison.get(full, {}).keys() & comparison.get(other, {}).keys():
                continue
            for part in TEST_SETS:
                found += _scores(comparison, full, other, part)
            found += _usage(comparison, full, other)
        for piece in PARTS_OF_PROVQ:
            other = f"{full}.{piece}"
            found += [_in_short(comparison, full, other, part) for part in TEST_SETS]
    found = [one for one in found if one]
    return found or ["No variant with ProVQ has been measured with the same seed as its baseline."]


def missing(comparison: Comparison) -> list[str]:
    """
    Say what a full comparison would need besides.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    list of str
        Sentences; none if every variant was measured with the same seeds.
    """
    seeds = sorted({seed for runs in comparison.values() for seed in runs})
    found = []
    absent = [VARIANTS[key].title for key in VARIANTS if key not in comparison]
    if absent:
        found.append(f"Not measured: {', '.join(absent)}.")
    found += [
        f"{VARIANTS[key].title} was measured with {_seeds(sorted(runs))} only, not with "
        f"{_seeds([one for one in seeds if one not in runs])}."
        for key, runs in comparison.items()
        if len(runs) < len(seeds)
    ]
    if len(seeds) == 1:
        found.append("One seed says nothing about the spread over seeds.")
    return found


def _scores(comparison: Comparison, full: str, other: str, part: str) -> Iterator[str]:
    for metric, (name, unit, digits, smaller) in SCORES.items():
        found = difference(comparison, full, other, part, metric)
        if found is None:
            continue
        low, high = (signed(bound, digits) for bound in found.interval)
        claim = verdict(found.interval, smaller_is_better=smaller)
        ending = "from" if claim.endswith("different") else "than"
        yield (
            f"{SETS[part]}, {name}: {VARIANTS[full].title} is {claim} {ending} "
            f"{VARIANTS[other].title} (median difference {signed(found.median, digits)}{unit} "
            f"[{low}, {high}], {found.chains} chains, {_count(found.seeds)})."
        )


def _in_short(comparison: Comparison, full: str, other: str, part: str) -> str:
    """Compare ProVQ with a part of it in one sentence; nothing if no seed is shared."""
    clauses, seeds = [], 0
    for metric, (name, unit, digits, smaller) in SCORES.items():
        found = difference(comparison, full, other, part, metric)
        if found is None:
            return ""
        seeds = found.seeds
        low, high = (signed(bound, digits) for bound in found.interval)
        claim = verdict(found.interval, smaller_is_better=smaller)
        clauses.append(f"{name} {claim} ({signed(found.median, digits)}{unit} [{low}, {high}])")
    return (
        f"{SETS[part]}, {VARIANTS[full].title} against {VARIANTS[other].title}, "
        f"{_count(seeds)}: {', '.join(clauses)}."
    )


def _usage(comparison: Comparison, full: str, other: str) -> Iterator[str]:
    for name, of_set in _USE.items():
        clauses = []
        for part in TEST_SETS:
            mine = per_seed(comparison, full, of_set(part))
            theirs = per_seed(comparison, other, of_set(part))
            both = sorted(mine.keys() & theirs.keys())
            higher = sum(mine[seed] > theirs[seed] for seed in both)
            lower = sum(mine[seed] < theirs[seed] for seed in both)
            values = [spread([values[seed] for seed in both]).median for values in (mine, theirs)]
            clauses.append(
                f"{_number(values[0])} against {_number(values[1])} on {SETS[part]} "
                f"({_direction(higher, lower, len(both))})"
            )
        yield (
            f"{_capital(name)} of {VARIANTS[full].title} and {VARIANTS[other].title}: "
            f"{', '.join(clauses)}."
        )


def _direction(higher: int, lower: int, count: int) -> str:
    if count in (higher, lower):
        word = "higher" if higher else "lower"
        return f"{word} with every seed" if count > 1 else f"{word} with the one seed"
    return f"higher with {higher} and lower with {lower} of {count} seeds"


def _number(value: float) -> str:
    return f"{value:.0f}" if isinstance(value, int) or value >= 2.0 else f"{value:.3f}"


def _count(seeds: int) -> str:
    return "1 seed" if seeds == 1 else f"{seeds} seeds"


def _seeds(seeds: list[int]) -> str:
    word = "seed" if len(seeds) == 1 else "seeds"
    return f"{word} {', '.join(str(seed) for seed in seeds)}"


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]
