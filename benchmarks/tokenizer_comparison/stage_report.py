"""How do the stages of the curriculum read on the page?"""

import statistics
import textwrap

from tokenizer_comparison import stage_figures
from tokenizer_comparison.results import Comparison, Results
from tokenizer_comparison.stage_measures import STAGES
from tokenizer_comparison.tables import Table, cell
from tokenizer_comparison.variants import VARIANTS

_WIDTH = 100
# Column of the table, number of a stage, factor, digits.
_COLUMNS = (
    ("codes of the sample (%)", "utilization", 100.0, 1),
    ("codes of the set (%)", "set_utilization", 100.0, 1),
    ("distortion", "distortion", 1.0, 3),
)
TABLE_NOTE = """\
Codes of the set are those of any resolved residue of the validation chains. Distortion is the mean
squared distance of the sample's latents to their nearest codes over the variance of those latents:
0 for codes at the latents, 1 for a single code at their mean. With several seeds the values are
the median and, in parentheses, the smallest and largest."""


def picture(pictures: str) -> str:
    """
    Return the line that shows the figure.

    Parameters
    ----------
    pictures : str
        Folder of the figures as seen from the page, with a slash at its end; empty for the same.

    Returns
    -------
    str
        Markdown.
    """
    alternative = "Latents and codes at the stages of the curriculum"
    return f"![{alternative}]({pictures}{stage_figures.NAME}.png)"


def caption(stages: Comparison) -> str:
    """
    Say what the figure shows, from its numbers.

    Parameters
    ----------
    stages : dict
        From `stage_results.load_all`; not empty.

    Returns
    -------
    str
        Markdown.
    """
    run = next(iter(next(iter(stages.values())).values()))
    sample = run["sample"]
    seeds = sorted({seed for runs in stages.values() for seed in runs})
    shares = [
        sum(stage["explained"])
        for runs in stages.values()
        for stage in next(iter(runs.values()))["stages"]
    ]
    text = (
        f"Latents of {sample['residues']:,} of {sample['of']:,} resolved residues of the "
        f"{sample['chains']:,} validation chains, the same at all stages, and all codes, along "
        "the two directions in which those latents vary most at that stage "
        f"({min(shares):.0%} to {max(shares):.0%} of their variance). Codes in use are those of "
        "one of these residues. Columns are the stages of ProVQ. Its codes are seeded just before "
        "the first step of the transition, and shown after this step; until then nothing has "
        "trained them. A tokenizer without these stages is shown after as many steps. Each panel "
        "has its own directions and scale. The figure is of the smallest seed; measured: "
        f"{'seed' if len(seeds) == 1 else 'seeds'} {', '.join(map(str, seeds))}."
    )
    sentences = "\n".join(f"* {_sentence(stages, key)}" for key in stages)
    return f"{textwrap.fill(text, _WIDTH)}\n\n{sentences}"


def table(stages: Comparison) -> Table:
    """
    Return the table of use and distortion.

    Parameters
    ----------
    stages : dict
        From `stage_results.load_all`.

    Returns
    -------
    tuple of (tuple of str, list of list of str)
        Header and rows, one per variant and stage.
    """
    header = ("tokenizer", "stage", "step", *(title for title, *_ in _COLUMNS))
    rows = []
    for key, runs in stages.items():
        for name, heading in STAGES.items():
            found = [_stage(run, name) for run in runs.values()]
            numbers = [
                cell([factor * one[column] for one in found], digits)
                for _, column, factor, digits in _COLUMNS
            ]
            rows.append([VARIANTS[key].title, heading, f"{found[0]['step']:,}", *numbers])
    return header, rows


def _sentence(stages: Comparison, key: str) -> str:
    def at(name: str, column: str) -> float:
        return statistics.median(_stage(run, name)[column] for run in stages[key].values())

    steps = {name: _stage(next(iter(stages[key].values())), name)["step"] for name in STAGES}
    used = [f"{100.0 * at(name, 'utilization'):.1f} %" for name in ("warmup", "seeded", "end")]
    gaps = [f"{at(name, 'distortion'):.3f}" for name in ("warmup", "seeded", "end")]
    return (
        f"{VARIANTS[key].title}: the sample uses {used[0]} of the codes after step "
        f"{steps['warmup']:,}, {used[1]} after step {steps['seeded']:,} and {used[2]} at the end; "
        f"the distortion is {gaps[0]}, {gaps[1]} and {gaps[2]}."
    )


def _stage(run: Results, name: str) -> Results:
    return next(one for one in run["stages"] if one["name"] == name)
