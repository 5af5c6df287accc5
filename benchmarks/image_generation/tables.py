"""Which numbers stand in which column?"""

import statistics
from collections.abc import Callable, Iterator, Sequence

from image_tokenizers.rows import ROWS

from image_generation.paper import TABLE_2
from image_generation.results import Comparison, Results, scores_of
from provq_vision.metrics.generation.record import SampleScores

Table = tuple[list[str], list[list[str]]]
BASELINE, FULL = "vanilla", "vanilla_provq"
# Column, digits, and how it is read from scores.
SCORES: tuple[tuple[str, int, Callable[[SampleScores], float]], ...] = (
    ("gFID", 1, lambda scores: scores.fid),
    ("sFID", 1, lambda scores: scores.sfid),
    ("IS", 2, lambda scores: scores.inception_score),
    ("precision", 3, lambda scores: scores.precision or 0.0),
    ("recall", 3, lambda scores: scores.recall or 0.0),
)


def title_of(row: str) -> str:
    """
    Return the name of a row.

    Parameters
    ----------
    row : str
        Its key.

    Returns
    -------
    str
        As it stands on the page.
    """
    return ROWS[row].title if row in ROWS else row


def scales(comparison: Comparison) -> list[float]:
    """
    Return the scales of guidance, which are the same for all runs.

    Parameters
    ----------
    comparison : Comparison
        From `results.load_all`.

    Returns
    -------
    list of float
        Ascending.
    """
    run = next(iter(next(iter(comparison.runs.values())).values()))
    return sorted({entry["guidance"] for entry in run["samples"]})


def main_scale(comparison: Comparison) -> float:
    """
    Return the scale at which samples were drawn with several seeds.

    Parameters
    ----------
    comparison : Comparison
        From `results.load_all`.

    Returns
    -------
    float
        That of most samples.
    """
    run = next(iter(next(iter(comparison.runs.values())).values()))
    return statistics.mode(entry["guidance"] for entry in run["samples"])


def values(run: Results, read: Callable[[SampleScores], float], scale: float) -> list[float]:
    """
    Return one score of a run at one scale.

    Parameters
    ----------
    run : mapping
        Its results.
    read : callable
        Takes the score from all.
    scale : float
        Of guidance.

    Returns
    -------
    list of float
        One per seed of the samples.
    """
    return [read(scores_of(one)) for one in run["samples"] if one["guidance"] == scale]


def codes_used(run: Results, scale: float) -> int:
    """
    Return how many codes the samples of one scale have, of the first seed.

    Parameters
    ----------
    run : mapping
        Its results.
    scale : float
        Of guidance.

    Returns
    -------
    int
        Different codes.
    """
    return next(one["codes_used"] for one in run["samples"] if one["guidance"] == scale)


def score_table(comparison: Comparison) -> Table:
    """
    Return all scores at the scale that has several seeds.

    Parameters
    ----------
    comparison : Comparison
        From `results.load_all`.

    Returns
    -------
    Table
        Header and rows.
    """
    scale = main_scale(comparison)
    names = [name for name, _, _ in SCORES]
    header = ["images", *names, "validation loss", "codes used"]
    rows = [["real images", *_plain(comparison.real), "", ""]]
    for key, runs in comparison.runs.items():
        reconstructed = [scores_of(run) for run in runs.values()]
        cells = [
            _several([read(one) for one in reconstructed], digits) for _, digits, read in SCORES
        ]
        rows.append([f"reconstructions, {title_of(key)}", *cells, "", ""])
    for key, runs in comparison.runs.items():
        cells = [
            _several([statistics.fmean(values(run, read, scale)) for run in runs.values()], digits)
            for _, digits, read in SCORES
        ]
        losses = [run["curves"]["validation"]["loss"][-1] for run in runs.values()]
        used = [codes_used(run, scale) for run in runs.values()]
        rows.append([f"samples, {title_of(key)}", *cells, _several(losses, 3), _several(used, 0)])
    return header, rows


def seed_table(comparison: Comparison) -> Table:
    """
    Return gFID by training and by seed of the samples.

    Parameters
    ----------
    comparison : Comparison
        From `results.load_all`.

    Returns
    -------
    Table
        Header and rows.
    """
    scale = main_scale(comparison)
    first = next(iter(next(iter(comparison.runs.values())).values()))
    seeds = [one["seed"] for one in first["samples"] if one["guidance"] == scale]
    header = ["tokenizer", "trainings' seed", *(f"samples {seed}" for seed in seeds), "mean"]
    rows = []
    for key, seed, run in _each(comparison):
        found = values(run, SCORES[0][2], scale)
        cells = [f"{value:.1f}" for value in (*found, statistics.fmean(found))]
        rows.append([title_of(key), str(seed), *cells])
    return header, rows


def scale_table(comparison: Comparison) -> Table:
    """
    Return gFID and inception score by scale of guidance, of the samples of one seed.

    Parameters
    ----------
    comparison : Comparison
        From `results.load_all`.

    Returns
    -------
    Table
        Header and rows.
    """
    found = scales(comparison)
    header = ["tokenizer", "score", *(f"scale {scale:g}" for scale in found)]
    rows = []
    for key, runs in comparison.runs.items():
        for name, digits, read in SCORES[:1] + SCORES[2:]:
            cells = [
                _several([values(run, read, scale)[0] for run in runs.values()], digits)
                for scale in found
            ]
            rows.append([title_of(key), name, *cells])
    return header, rows


def paper_table() -> Table:
    """
    Return the paper's Table 2.

    Returns
    -------
    Table
        Header and rows.
    """
    header = ["model", "tokenizer", "parameters", "gFID", "IS", "precision", "recall"]
    rows = [
        [model, tokenizer, f"{size}M", f"{fid:.2f}", f"{score:.2f}", f"{one:.2f}", f"{two:.2f}"]
        for model, tokenizer, size, fid, score, one, two in TABLE_2
    ]
    return header, rows


def _each(comparison: Comparison) -> Iterator[tuple[str, int, Results]]:
    for key, runs in comparison.runs.items():
        for seed, run in runs.items():
            yield key, seed, run


def _plain(scores: SampleScores) -> list[str]:
    return [f"{read(scores):.{digits}f}" for _, digits, read in SCORES]


def _several(found: Sequence[float], digits: int) -> str:
    mean = f"{statistics.fmean(found):.{digits}f}"
    if len(found) == 1:
        return mean
    return f"{mean} ({', '.join(f'{value:.{digits}f}' for value in found)})"
