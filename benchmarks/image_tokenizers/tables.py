"""Which cells do the tables have?"""

from collections.abc import Mapping, Sequence

from image_tokenizers.estimates import (
    METRICS,
    Metric,
    differences,
    mean_of,
    signed,
    values,
    verdict,
)
from image_tokenizers.findings import FULL, HARD, pairs, rows_of, whole_and_parts
from image_tokenizers.paper import TABLE_5, TABLE_6
from image_tokenizers.results import Comparison
from image_tokenizers.rows import ROWS
from provq_protein.quantize import Preset

# Header, then rows.
Table = tuple[tuple[str, ...], list[list[str]]]
# As the paper prints them, but for perplexity.
_PAPER_DIGITS = {"rfid": 2, "psnr": 2, "ssim": 3, "perplexity": 0}
# Above this many seeds a cell has their range.
_LISTED = 3


def score_table(comparison: Comparison) -> Table:
    """
    Return the rows of Table 5 and others beside the paper's numbers.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    tuple
        Header and cells: mean and values of the seeds.
    """
    rows = []
    for key, row in rows_of(comparison).items():
        cells = [row.title, str(len(comparison[key]))]
        for metric in METRICS.values():
            found = values(comparison, key, metric.key)
            cells += [_cell(list(found.values()), metric.digits), _paper(TABLE_5, key, metric)]
        used = [
            100.0 * run["evaluation"]["codes"][0]["utilization"] for run in comparison[key].values()
        ]
        rows.append([*cells, _cell(used, 1)])
    titles = [
        word for metric in METRICS.values() for word in (_heading(metric), f"{metric.title}, paper")
    ]
    return ("row", "seeds", *titles, "codes used (%)"), rows


def glance_table(comparison: Comparison) -> Table:
    """
    Return in one word each what the differences say.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    tuple
        Header and cells; the paper's word in parentheses where it is another one.
    """
    rows = []
    compared = [(row.key, other, TABLE_5) for row, other in pairs(comparison)]
    compared += [(row.key, other, TABLE_5) for row, other in whole_and_parts(comparison)]
    if comparison.get(FULL, {}).keys() & comparison.get(HARD, {}).keys():
        compared.append((FULL, HARD, TABLE_6))
    titles = rows_of(comparison)
    for key, other, paper in compared:
        cells = [_word(comparison, key, other, metric, paper) for metric in METRICS.values()]
        shared = comparison[key].keys() & comparison[other].keys()
        rows.append([titles[key].title, titles[other].title, str(len(shared)), *cells])
    return ("row", "against", "seeds", *(metric.title for metric in METRICS.values())), rows


def _word(
    comparison: Comparison,
    key: str,
    other: str,
    metric: Metric,
    paper: Mapping[str, Mapping[str, float]],
) -> str:
    gaps = differences(comparison, key, other, metric.key)
    if not gaps:
        return ""
    said = verdict(gaps, metric)
    if key not in paper or other not in paper:
        return said
    stated = verdict({0: paper[key][metric.key] - paper[other][metric.key]}, metric)
    return said if said == stated else f"{said} (paper: {stated})"


def difference_table(comparison: Comparison) -> Table:
    """
    Return differences of rows to their baselines, paired by seed.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    tuple
        Header and cells: mean and each seed's difference, beside the paper's.
    """
    rows = [
        _difference_row(comparison, row.key, other, TABLE_5) for row, other in pairs(comparison)
    ]
    return _difference_header(), rows


def scheduler_table(comparison: Comparison) -> tuple[Table, Table] | None:
    """
    Return the rows of Table 6, and their difference.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    tuple or None
        Both tables; None if no seed has both rows.
    """
    if not comparison.get(FULL, {}).keys() & comparison.get(HARD, {}).keys():
        return None
    rows = []
    for key in (FULL, HARD):
        cells = [ROWS[key].shape, str(len(comparison[key]))]
        for metric in METRICS.values():
            found = list(values(comparison, key, metric.key).values())
            cells += [_cell(found, metric.digits), _paper(TABLE_6, key, metric)]
        rows.append(cells)
    titles = [
        word for metric in METRICS.values() for word in (_heading(metric), f"{metric.title}, paper")
    ]
    gap = _difference_row(comparison, FULL, HARD, TABLE_6)
    gap[0], gap[1] = "cosine", "hard"
    return (("scheduler", "seeds", *titles), rows), (_difference_header(), [gap])


def code_table(comparison: Comparison) -> Table:
    """
    Return how codes are used, and how far apart they are.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    tuple
        Header and cells.
    """
    columns = {
        "perplexity, 64 images": ("group_perplexity", 1, 1.0),
        "perplexity, pooled": ("perplexity", 1, 1.0),
        "codes used, 64 images (%)": ("group_utilization", 1, 100.0),
        "codes used, pooled (%)": ("utilization", 1, 100.0),
        "distance": ("distance", 2, 1.0),
        "distance, raw": ("distance_raw", 2, 1.0),
        "with diagonal": ("distance_with_diagonal", 2, 1.0),
        "raw, with diagonal": ("distance_raw_with_diagonal", 2, 1.0),
    }
    rows = []
    for key, row in rows_of(comparison).items():
        levels = [run["evaluation"]["codes"][0] for run in comparison[key].values()]
        cells = [
            _cell([scale * one[name] for one in levels], digits)
            for name, digits, scale in columns.values()
        ]
        norms = [run["evaluation"]["latent_norm"] for run in comparison[key].values()]
        rows.append([row.title, *cells, _cell(norms, 2)])
    return ("row", *columns, "length of latents"), rows


def run_table(comparison: Comparison) -> Table:
    """
    Return how each row was trained.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    tuple
        Header and cells.
    """
    rows = []
    for key, row in rows_of(comparison).items():
        runs = list(comparison[key].values())
        full = runs[0]["training"]["recipe"]["curriculum"]
        parts = Preset(row.preset).curriculum
        warmup = full["warmup_steps"] if parts.warmup else 0
        transition = full["transition_steps"] if parts.transition else 0
        minutes = [run["training"]["trained_seconds"] / 60.0 for run in runs]
        seeds = ", ".join(str(seed) for seed in comparison[key])
        rows.append(
            [row.title, f"`{row.options}`", seeds, f"{warmup} + {transition}", _cell(minutes, 1)]
        )
    return ("row", "options", "seed", "warm-up + transition (steps)", "minutes"), rows


def _difference_header() -> tuple[str, ...]:
    titles = [
        word for metric in METRICS.values() for word in (metric.title, f"{metric.title}, paper")
    ]
    return ("row", "against", *titles)


def _difference_row(
    comparison: Comparison, key: str, other: str, paper: Mapping[str, Mapping[str, float]]
) -> list[str]:
    titles = rows_of(comparison)
    cells = [titles[key].title, titles[other].title]
    for metric in METRICS.values():
        gaps = differences(comparison, key, other, metric.key)
        cells.append(_signed_cell(gaps, metric.digits))
        stated = ""
        if key in paper and other in paper:
            gap = paper[key][metric.key] - paper[other][metric.key]
            stated = signed(gap, _PAPER_DIGITS[metric.key])
        cells.append(stated)
    return cells


def _heading(metric: Metric) -> str:
    arrow = "↓" if metric.smaller_is_better else "↑"
    unit = f" ({metric.unit.strip()})" if metric.unit else ""
    return f"{metric.title}{unit} {arrow}"


def _paper(paper: Mapping[str, Mapping[str, float]], key: str, metric: Metric) -> str:
    if key not in paper:
        return ""
    return f"{paper[key][metric.key]:,.{_PAPER_DIGITS[metric.key]}f}"


def _cell(found: Sequence[float], digits: int) -> str:
    if not found:
        return ""
    mean = f"{sum(found) / len(found):,.{digits}f}"
    if len(found) == 1:
        return mean
    if len(found) > _LISTED:
        return f"{mean} ({min(found):,.{digits}f} to {max(found):,.{digits}f})"
    return f"{mean} ({'; '.join(f'{one:,.{digits}f}' for one in found)})"


def _signed_cell(gaps: Mapping[int, float], digits: int) -> str:
    if not gaps:
        return ""
    mean = signed(mean_of(gaps), digits)
    if len(gaps) == 1:
        return mean
    listed = list(gaps.values())
    if len(gaps) > _LISTED:
        return f"{mean} ({signed(min(listed), digits)} to {signed(max(listed), digits)})"
    return f"{mean} ({'; '.join(signed(one, digits) for one in listed)})"
