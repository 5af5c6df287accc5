"""What do the numbers say about progressive quantization, also where it does not help?"""

from collections.abc import Iterator, Mapping
from itertools import combinations

from image_tokenizers.estimates import (
    METRICS,
    Metric,
    counts,
    differences,
    mean_of,
    noise,
    signed,
    values,
    verdict,
)
from image_tokenizers.paper import CODES, DISTANCES, TABLE_5, TABLE_6
from image_tokenizers.results import Comparison, row_in
from image_tokenizers.rows import ROWS, Row

FULL, HARD = "vanilla_provq", "vanilla_provq_hard"
PARTS = ("vanilla_soft", "vanilla_warmup")
LLAMAGEN = "vanilla_l2"
# Share of codes in use below which a codebook is called collapsed.
_COLLAPSED = 0.1


def rows_of(comparison: Comparison) -> dict[str, Row]:
    """
    Return the rows that were measured.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    dict of str to Row
        By key, in the order of the tables.
    """
    return {key: row_in(next(iter(runs.values()))) for key, runs in comparison.items()}


def missing(comparison: Comparison) -> list[str]:
    """
    Say which rows and seeds there are no results of.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    list of str
        Sentences; none if nothing is missing.
    """
    found = []
    absent = [row.title for key, row in ROWS.items() if key not in comparison]
    if absent:
        found.append(f"Not measured: {'; '.join(absent)}.")
    seeds = {seed for runs in comparison.values() for seed in runs}
    for key, row in rows_of(comparison).items():
        lacking = sorted(seeds - comparison[key].keys())
        if lacking:
            found.append(
                f"{row.title}: measured with {_seeds(sorted(comparison[key]))} only, not with "
                f"{_seeds(lacking)}."
            )
    return found


def pairs(comparison: Comparison) -> Iterator[tuple[Row, str]]:
    """
    Yield what is compared with what.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Yields
    ------
    row : Row
        One with a baseline.
    baseline : str
        Key of that, which was measured with one of the row's seeds.
    """
    for key, row in rows_of(comparison).items():
        if row.baseline is not None and _shared(comparison, key, row.baseline):
            yield row, row.baseline


def whole_and_parts(comparison: Comparison) -> Iterator[tuple[Row, str]]:
    """
    Yield ProVQ and each of its parts alone.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Yields
    ------
    row : Row
        ProVQ.
    part : str
        Key of a row with one part of it, which was measured with one of its seeds.
    """
    for part in PARTS:
        if _shared(comparison, FULL, part):
            yield ROWS[FULL], part


def sentences(comparison: Comparison) -> list[str]:
    """
    Compare each row with its baseline, and ProVQ with its parts.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    list of str
        Sentences; what they claim follows from the numbers.
    """
    compared = [*pairs(comparison), *whole_and_parts(comparison)]
    found = [_against(comparison, row, other, TABLE_5) for row, other in compared]
    if _shared(comparison, FULL, HARD):
        words = _against(comparison, ROWS[FULL], HARD, TABLE_6)
        found.append(f"Scheduler, cosine against hard (Table 6). {words}")
    return [*_collapse(comparison), *found, *_order(comparison), *_distances(comparison)]


def negatives(comparison: Comparison) -> list[str]:
    """
    Name what curriculum or any part of it makes worse.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    list of str
        One sentence for each row and metric that is worse than the baseline with every seed, or
        better than it with some seeds only.
    """
    found = []
    candidates = [(row, other) for row, other in pairs(comparison) if "+" in row.preset]
    for row, other in [*candidates, *whole_and_parts(comparison)]:
        for metric in METRICS.values():
            gaps = differences(comparison, row.key, other, metric.key)
            better, worse = metric.words
            said = verdict(gaps, metric) if gaps else better
            if said == better:
                continue
            what = f"is {said} than" if said == worse else f"is not {better} with every seed than"
            found.append(
                f"{metric.title}: {row.title} {what} {_title(comparison, other)} "
                f"({_listed(gaps, metric.digits)})."
            )
    return found


def caution(comparison: Comparison) -> str:
    """
    Say how little the seeds are.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    str
        A sentence.
    """
    most = max(len(runs) for runs in comparison.values())
    if most < 2:
        return "There is one seed, which is no test: nothing here says how much chance decides."
    return (
        f"{most} seeds are no test: two rows that do not differ at all still agree in the sign of "
        f"their difference with all {most} seeds in one of {2 ** (most - 1)} cases."
    )


def _against(
    comparison: Comparison, row: Row, other: str, paper: Mapping[str, Mapping[str, float]]
) -> str:
    clauses = []
    for metric in METRICS.values():
        gaps = differences(comparison, row.key, other, metric.key)
        if not gaps:
            continue
        said = verdict(gaps, metric)
        clause = f"{metric.title} {_in_words(said, gaps, metric)}"
        clause += f" ({_listed(gaps, metric.digits)}{metric.unit}"
        spread = noise(comparison, (row.key, other), metric.key)
        if len(gaps) > 1 and said in metric.words and min(map(abs, gaps.values())) < spread:
            clause += ", less than seeds of one row differ by"
        if row.key in paper and other in paper:
            stated = paper[row.key][metric.key] - paper[other][metric.key]
            clause += f"; paper {signed(stated, 3 if metric.key == 'ssim' else 2)}"
        clauses.append(f"{clause})")
    return f"{row.title} against {_title(comparison, other)}: {', '.join(clauses)}."


def _in_words(said: str, gaps: Mapping[int, float], metric: Metric) -> str:
    if said in metric.words:
        return f"{said} with {'every seed' if len(gaps) > 1 else 'the one seed'}"
    better, worse = counts(gaps, metric)
    if not better and not worse:
        return said
    first, second = metric.words
    return f"{first} with {better} and {second} with {worse} of {len(gaps)} seeds"


def _collapse(comparison: Comparison) -> Iterator[str]:
    """Name rows whose codes are mostly unused: what is better than these may be so for that."""
    for key, row in rows_of(comparison).items():
        runs = list(comparison[key].values())
        used = [run["evaluation"]["codes"][0]["utilization"] for run in runs]
        if max(used) >= _COLLAPSED:
            continue
        listed = " and ".join(f"{100.0 * one:.1f}" for one in used)
        text = f"{row.title} has collapsed: it uses {listed} % of its codes."
        if key in TABLE_5:
            size = runs[0]["evaluation"]["setting"]["codebook_size"]
            here = mean_of(values(comparison, key, "perplexity")) / size
            there = TABLE_5[key]["perplexity"] / CODES
            text += (
                f" The paper's has not: its perplexity is {there:.0%} of the number of codes, here "
                f"{here:.0%}. What is better than this row may be so for avoiding the collapse "
                "alone."
            )
        yield text


def _order(comparison: Comparison) -> Iterator[str]:
    """Compare the order of rows with that of the paper's Table 5."""
    found = []
    for metric in METRICS.values():
        by_seed = {key: values(comparison, key, metric.key) for key in TABLE_5 if key in comparison}
        means = {key: mean_of(one) for key, one in by_seed.items() if one}
        gaps = [
            (TABLE_5[a][metric.key] - TABLE_5[b][metric.key]) * (means[a] - means[b])
            for a, b in combinations(means, 2)
        ]
        if gaps:
            found.append(f"{sum(gap > 0.0 for gap in gaps)} of {len(gaps)} by {metric.title}")
    if found:
        yield f"Pairs of rows of Table 5 whose means are in the paper's order: {', '.join(found)}."


def _distances(comparison: Comparison) -> Iterator[str]:
    if LLAMAGEN in comparison:
        runs = comparison[LLAMAGEN].values()
        effective, raw = (
            ", ".join(f"{run['evaluation']['codes'][0][name]:.2f}" for run in runs)
            for name in ("distance", "distance_raw")
        )
        yield (
            f"Mean distance of two codes of {ROWS[LLAMAGEN].title}: {effective} on the sphere, "
            f"{raw} in the table before it is normalized; the paper prints "
            f"{DISTANCES[LLAMAGEN]:.2f} for LlamaGen."
        )
    if FULL in comparison and "vanilla" in comparison:
        full, plain = (
            ", ".join(f"{run['evaluation']['codes'][0]['distance']:.2f}" for run in runs.values())
            for runs in (comparison[FULL], comparison["vanilla"])
        )
        yield (
            f"Mean distance of two codes of {ROWS[FULL].title}: {full}, of Vanilla: {plain}. The "
            f"paper's {DISTANCES[FULL]:.2f} is of another data set, and of a codebook whose "
            "baseline is LlamaGen's. A distance says nothing by itself: it has the scale of the "
            "latents."
        )


def _shared(comparison: Comparison, first: str, second: str) -> bool:
    return bool(comparison.get(first, {}).keys() & comparison.get(second, {}).keys())


def _listed(gaps: Mapping[int, float], digits: int) -> str:
    return " and ".join(signed(one, digits) for one in gaps.values())


def _seeds(seeds: list[int]) -> str:
    return ("seed " if len(seeds) == 1 else "seeds ") + ", ".join(str(seed) for seed in seeds)


def _title(comparison: Comparison, key: str) -> str:
    return rows_of(comparison)[key].title
