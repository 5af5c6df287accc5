"""How do the curves of the runs, and their latents and codes, look?"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reporting.figures import common_style, digest_of, save_figure, shows

from provq_protein.extras import require_extra
from tokenizer_comparison.results import Comparison
from tokenizer_comparison.variants import FAMILIES, VARIANTS, baseline, provq

CURVES = "tokenizers_curves"
EMBEDDINGS = "tokenizers_embeddings"
SUFFIXES = (".svg", ".png")
_PURPOSE = "a figure of the tokenizers"
# Color-blind safe (Okabe and Ito), by place within the family; ProVQ is the last.
_COLORS = ("#000000", "#E69F00", "#56B4E9", "#009E73", "#CC79A7", "#0072B2")
_LATENTS, _CODES, _UNUSED = "#E69F00", "#0072B2", "#999999"
# Part of the curves, column, label, logarithmic.
_PANELS = (
    ("validation", "utilization", "share of codes used\n(validation)", False),
    ("validation", "rmsd", "validation RMSD (Å)", True),
    ("train", "codebook_loss", "codebook loss", True),
)


def paths(folder: Path) -> list[Path]:
    """
    Return the files of both figures.

    Parameters
    ----------
    folder : Path
        Where they lie.

    Returns
    -------
    list of Path
        SVG and PNG of each.
    """
    return [folder / f"{name}{suffix}" for name in (CURVES, EMBEDDINGS) for suffix in SUFFIXES]


def data_digest(comparison: Comparison) -> str:
    """
    Return 16 hex digits that identify what the figures show; they carry them in their metadata.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    str
        Of a SHA-256.
    """
    shown = {
        f"{key}.{seed}": [run["curves"], run["picture"], run["training"]["recipe"]["schedule"]]
        for key, runs in comparison.items()
        for seed, run in runs.items()
    }
    return digest_of(shown)


def is_current(path: Path, comparison: Comparison) -> bool:
    """
    Tell whether a figure file was drawn from these results.

    Parameters
    ----------
    path : Path
        SVG or PNG.
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    bool
        False if there is no such file, or it shows other numbers.
    """
    return shows(path, data_digest(comparison))


def draw(comparison: Comparison, folder: Path) -> None:
    """
    Draw both figures.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.
    folder : Path
        Where the files of `paths` go.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    with common_style(_PURPOSE):
        for name, figure in ((CURVES, _curves(comparison)), (EMBEDDINGS, _embeddings(comparison))):
            save_figure(figure, folder / name, data_digest(comparison))


def band(
    runs: Sequence[Mapping[str, Any]], part: str, column: str
) -> tuple[list[float], list[float], list[float], list[float]]:
    """
    Return mean and range over runs of one curve.

    Parameters
    ----------
    runs : sequence of mapping
        Results of one variant.
    part : {"train", "validation"}
        Part of the curves.
    column : str
        Its column.

    Returns
    -------
    tuple of list of float
        Steps that all runs have a value at; means, minima and maxima there.
    """
    curves = [
        {
            step: value
            for step, value in zip(
                run["curves"][part]["step"], run["curves"][part][column], strict=True
            )
            if value is not None
        }
        for run in runs
    ]
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    values = [[curve[step] for curve in curves] for step in steps]
    means = [statistics.mean(one) for one in values]
    return steps, means, [min(one) for one in values], [max(one) for one in values]


def draw_points(axes: Any, picture: Mapping[str, Any]) -> None:  # noqa: ANN401
    """
    Draw latents, codes in use and unused codes.

    Parameters
    ----------
    axes : Axes
        Of matplotlib.
    picture : mapping
        With coordinates of ``latents`` and ``codes``, and ``used``.
    """
    # As pixels also in the SVG, where each point would take a hundred bytes.
    axes.scatter(
        picture["latents"]["x"], picture["latents"]["y"], s=5, alpha=0.6, linewidths=0,
        rasterized=True, color=_LATENTS, label="latents",
    )  # fmt: skip
    for used, color in ((0, _UNUSED), (1, _CODES)):
        chosen = [place for place, one in enumerate(picture["used"]) if one == used]
        x, y = ([picture["codes"][axis][place] for place in chosen] for axis in "xy")
        axes.scatter(
            x, y, s=14, marker="*", linewidths=0, rasterized=True, color=color,
            label="codes in use" if used else "unused codes",
        )  # fmt: skip
    axes.tick_params(labelsize=7)
    axes.grid(color="#E8E8E8", linewidth=0.5)


def _figure(width: float, height: float) -> Any:  # noqa: ANN401  # matplotlib may be absent
    # The object interface, without pyplot: no display and no global state.
    figures = require_extra("matplotlib.figure", extra="plot", purpose=_PURPOSE)
    return figures.Figure(figsize=(width, height), layout="constrained")


def _curves(comparison: Comparison) -> Any:  # noqa: ANN401
    """Draw one column of panels per family."""
    families = [one for one in FAMILIES if any(VARIANTS[key].family == one for key in comparison)]
    figure = _figure(4.6 * len(families), 7.2)
    grid = figure.subplots(len(_PANELS), len(families), sharex=True, sharey="row", squeeze=False)
    for place, family in enumerate(families):
        column = [line[place] for line in grid]
        for axes, panel in zip(column, _PANELS, strict=True):
            _curve_panel(axes, comparison, family, panel)
        column[0].set_title(FAMILIES[family], fontsize=10, fontweight="bold")
        column[-1].set_xlabel("step")
        column[0].legend(frameon=False, fontsize=7)
    for line, (_, _, label, _) in zip(grid, _PANELS, strict=True):
        line[0].set_ylabel(label)
    return figure


def _curve_panel(
    axes: Any,  # noqa: ANN401
    comparison: Comparison,
    family: str,
    panel: tuple[str, str, str, bool],
) -> None:
    part, column, _, logarithmic = panel
    order = [key for key, one in VARIANTS.items() if one.family == family]
    for key, color in zip(order, _COLORS, strict=True):
        if key not in comparison:
            continue
        runs = list(comparison[key].values())
        steps, means, low, high = band(runs, part, column)
        if logarithmic:
            # Nothing to show on this scale: the codebook loss of a warm-up is 0.
            kept = [place for place, least in enumerate(low) if least > 0.0]
            steps, means, low, high = ([one[k] for k in kept] for one in (steps, means, low, high))
        main = key in (baseline(family), provq(family))
        name = VARIANTS[key].title.removeprefix(f"{FAMILIES[family]} ")
        axes.plot(steps, means, color=color, linewidth=1.8 if main else 1.0, label=name)
        axes.fill_between(steps, low, high, color=color, alpha=0.15, linewidth=0)
        if key == provq(family):
            schedule = runs[0]["training"]["recipe"]["schedule"]
            end = schedule["warmup_steps"] + schedule["transition_steps"]
            for step in (schedule["warmup_steps"], end):
                axes.axvline(step, color="#888888", linewidth=0.8, linestyle=":")
    if logarithmic:
        axes.set_yscale("log")
    axes.grid(color="#DDDDDD", linewidth=0.6)


def _embeddings(comparison: Comparison) -> Any:  # noqa: ANN401
    """Draw latents and codes of the variants without and with the whole curriculum."""
    main = [key for family in FAMILIES for key in (baseline(family), provq(family))]
    shown = [key for key in main if key in comparison] or list(comparison)[:1]
    figure = _figure(max(5.2, 2.6 * len(shown) + 0.4), 3.1)
    for axes, key in zip(figure.subplots(1, len(shown), squeeze=False)[0], shown, strict=True):
        picture = next(iter(comparison[key].values()))["picture"]
        draw_points(axes, picture)
        axes.set_title(VARIANTS[key].title, fontsize=10)
        axes.set_xlabel(f"{sum(picture['explained']):.0%} of the variance", fontsize=8)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
    return figure
