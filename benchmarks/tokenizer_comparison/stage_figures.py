"""How do latents and codes look at the stages of the curriculum?"""

from pathlib import Path
from typing import Any

from reporting.figures import SUFFIXES, common_style, digest_of, save_figure, shows

from provq_protein.extras import require_extra
from tokenizer_comparison.figures import draw_points
from tokenizer_comparison.results import Comparison
from tokenizer_comparison.stage_measures import STAGES
from tokenizer_comparison.variants import VARIANTS

NAME = "tokenizers_stages"
_PURPOSE = "a figure of the stages"


def paths(folder: Path) -> list[Path]:
    """
    Return the files of the figure.

    Parameters
    ----------
    folder : Path
        Where they lie.

    Returns
    -------
    list of Path
        SVG and PNG.
    """
    return [folder / f"{NAME}{suffix}" for suffix in SUFFIXES]


def data_digest(stages: Comparison) -> str:
    """
    Return 16 hex digits that identify what the figure shows; it carries them in its metadata.

    Parameters
    ----------
    stages : dict
        From `stage_results.load_all`.

    Returns
    -------
    str
        Of a SHA-256.
    """
    return digest_of({key: _shown(stages, key) for key in stages})


def is_current(path: Path, stages: Comparison) -> bool:
    """
    Tell whether a figure file was drawn from these results.

    Parameters
    ----------
    path : Path
        SVG or PNG.
    stages : dict
        From `stage_results.load_all`.

    Returns
    -------
    bool
        False if there is no such file, or it shows other numbers.
    """
    return shows(path, data_digest(stages))


def draw(stages: Comparison, folder: Path) -> None:
    """
    Draw the figure: a row per variant, a column per stage.

    Parameters
    ----------
    stages : dict
        From `stage_results.load_all`; not empty.
    folder : Path
        Where the files of `paths` go.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    with common_style(_PURPOSE):
        figures = require_extra("matplotlib.figure", extra="plot", purpose=_PURPOSE)
        size = (2.2 * len(STAGES) + 0.4, 2.4 * len(stages) + 0.6)
        figure = figures.Figure(figsize=size, layout="constrained")
        grid = figure.subplots(len(stages), len(STAGES), squeeze=False)
        for line, key in zip(grid, stages, strict=True):
            _row(line, _shown(stages, key))
            line[0].set_ylabel(VARIANTS[key].title, fontsize=10, fontweight="bold")
        for axes, stage in zip(grid[0], _shown(stages, next(iter(stages))), strict=True):
            heading = f"{STAGES[stage['name']]}\nstep {stage['step']:,}"
            axes.set_title(heading, fontsize=10)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        save_figure(figure, folder / NAME, data_digest(stages))


def _row(line: Any, shown: list[dict[str, Any]]) -> None:  # noqa: ANN401
    for axes, stage in zip(line, shown, strict=True):
        draw_points(axes, stage)
        variance = sum(stage["explained"])
        axes.set_xlabel(
            f"{stage['utilization']:.0%} of codes used, {variance:.0%} of variance", fontsize=7
        )


def _shown(stages: Comparison, key: str) -> list[dict[str, Any]]:
    """Return the stages of the smallest seed."""
    return next(iter(stages[key].values()))["stages"]
