"""How do the points of the curve look beside each other?"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from reporting.figures import SUFFIXES, common_style, digest_of, save_figure, shows

from provq_protein.extras import require_extra
from rate_distortion.points import FLOOR, FOLLOWED, KMEANS, OWN, RESIDUAL, STEPS
from rate_distortion.results import METRICS, Results, interval, median, of_kind

_PURPOSE = "the rate-distortion figure"
# Color-blind safe (Okabe and Ito). Kind, label, marker, line, color.
_SERIES = (
    (STEPS, "steps of the chain, no network", "s", ":", "#999999"),
    (FOLLOWED, "the same, codes chosen along the chain", "D", ":", "#555555"),
    (KMEANS, "k-means of latents, decoder unadapted", "o", "-", "#56B4E9"),
    (RESIDUAL, "own codes and a second level, decoder unadapted", "D", "--", "#E69F00"),
    (OWN, "the model's own codes", "*", "", "#0072B2"),
)


def paths(page: Path) -> list[Path]:
    """
    Return the files of the figure.

    Parameters
    ----------
    page : Path
        The page that shows it.

    Returns
    -------
    list of Path
        SVG and PNG.
    """
    return [page.with_suffix(suffix) for suffix in SUFFIXES]


def data_digest(results: Results) -> str:
    """
    Return 16 hex digits that identify what the figure shows; it carries them in its metadata.

    Parameters
    ----------
    results : mapping
        From `results.load_results`.

    Returns
    -------
    str
        Of a SHA-256.
    """
    shown = {
        key: [
            one["kind"],
            one["bits"],
            {part: found["chains"] for part, found in one["sets"].items()},
        ]
        for key, one in results["points"].items()
    }
    return digest_of([shown, results["settings"]["seed"]])


def is_current(path: Path, results: Results) -> bool:
    """
    Tell whether a figure file was drawn from these results.

    Parameters
    ----------
    path : Path
        SVG or PNG.
    results : mapping
        From `results.load_results`.

    Returns
    -------
    bool
        False if there is no such file, or it shows other numbers.
    """
    return shows(path, data_digest(results))


def draw(results: Results, path: Path) -> None:
    """
    Draw RMSD and lDDT of all points against their bits, one row for each set.

    Parameters
    ----------
    results : mapping
        From `results.load_results`.
    path : Path
        Without suffix; an SVG and a PNG file are written.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    # The object interface, without pyplot: no display and no global state.
    figures = require_extra("matplotlib.figure", extra="plot", purpose=_PURPOSE)
    tickers = require_extra("matplotlib.ticker", extra="plot", purpose=_PURPOSE)
    parts = list(results["sets"])
    with common_style(_PURPOSE):
        drawn = figures.Figure(figsize=(8.2, 0.9 + 2.9 * len(parts)), layout="constrained")
        grid = drawn.subplots(len(parts), len(METRICS), sharex=True, squeeze=False)
        for row, part in zip(grid, parts, strict=True):
            for axes, metric in zip(row, METRICS, strict=True):
                _panel(axes, results, part, metric)
            row[0].set_title(part, loc="left", fontsize=9, fontweight="bold")
        for axes in grid[-1]:
            axes.set_xlabel("bits per residue")
            axes.xaxis.set_major_locator(tickers.MaxNLocator(integer=True))
        handles, labels = grid[0][0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
        save_figure(drawn, path, data_digest(results))


def _panel(axes: Any, results: Results, part: str, metric: str) -> None:  # noqa: ANN401
    for key in of_kind(results, FLOOR):
        low, high = interval(results, key, part, metric)
        axes.axhspan(low, high, color="#009E73", alpha=0.12, linewidth=0)
        level = median(results, key, part, metric)
        axes.axhline(level, color="#009E73", linewidth=1.2, label="no quantization")
    for kind, label, marker, line, color in _SERIES:
        keys = list(of_kind(results, kind))
        bits = [results["points"][key]["bits"] for key in keys]
        medians = [median(results, key, part, metric) for key in keys]
        axes.errorbar(
            bits, medians, yerr=_bars(results, keys, part, metric), color=color, marker=marker,
            linestyle=line, linewidth=1.2, elinewidth=0.8, label=label,
            markersize=11 if kind == OWN else 5, zorder=4 if kind == OWN else 3,
        )  # fmt: skip
    axes.set_ylabel(METRICS[metric][0])
    axes.grid(color="#DDDDDD", linewidth=0.6)
    if metric == "rmsd_ca":
        axes.set_yscale("log")
        tickers = require_extra("matplotlib.ticker", extra="plot", purpose=_PURPOSE)
        axes.yaxis.set_major_locator(tickers.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    else:
        axes.set_ylim(0, 1)


def _bars(results: Results, keys: Sequence[str], part: str, metric: str) -> list[list[float]]:
    bars: list[list[float]] = [[], []]
    for key in keys:
        middle = median(results, key, part, metric)
        low, high = interval(results, key, part, metric)
        # The median of resampled medians may lie outside by rounding.
        bars[0].append(max(0.0, middle - low))
        bars[1].append(max(0.0, high - middle))
    return bars
