"""How do the scores of single chains depend on their length, beside those of the controls?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reporting.figures import common_style, digest_of, save_figure, shows

from provq_protein.extras import require_extra
from reconstruction.card_text import column, set_title

SUFFIXES = (".svg", ".png")
_PANELS = (("rmsd", "RMSD (Å)"), ("lddt_ca", "lDDT-CA"))
# Color-blind safe (Okabe and Ito); drawn in this order, so that the result lies on top.
_SERIES = (
    ("constant", "constant token", "#E69F00"),
    ("untrained", "untrained decoder", "#999999"),
    ("tokens", "tokens", "#0072B2"),
)


def data_digest(results: Mapping[str, Any]) -> str:
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
    shown = {name: results["sets"][name]["chains"] for name in _shown_sets(results)}
    return digest_of(shown)


def is_current(path: Path, results: Mapping[str, Any]) -> bool:
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


def draw(results: Mapping[str, Any], path: Path) -> None:
    """
    Draw RMSD and lDDT-CA of each chain of the test sets against its length.

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
    figures = require_extra("matplotlib.figure", extra="plot", purpose="the reconstruction figure")
    with common_style("the reconstruction figure"):
        figure = figures.Figure(figsize=(8.2, 3.5), layout="constrained")
        for axes, (metric, label) in zip(figure.subplots(1, 2), _PANELS, strict=True):
            _panel(axes, results, metric, label)
        names = " and ".join(set_title(name) for name in _shown_sets(results))
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(
            handles[::-1], labels[::-1], loc="outside lower center", ncols=3, frameon=False
        )
        figure.suptitle(f"Reconstruction of each chain of {names}", fontsize=10)
        save_figure(figure, path, data_digest(results))


def _shown_sets(results: Mapping[str, Any]) -> list[str]:
    names = [name for name in results["sets"] if name != "validation"]
    return names or list(results["sets"])


def _panel(axes: Any, results: Mapping[str, Any], metric: str, label: str) -> None:  # noqa: ANN401
    for variant, title, color in _SERIES:
        lengths: list[int] = []
        values: list[float] = []
        for name in _shown_sets(results):
            table = results["sets"][name]["chains"]
            if f"{variant}.{metric}" in table["columns"]:
                lengths += column(table, "residues")
                values += [float("nan") if one is None else one
                           for one in column(table, f"{variant}.{metric}")]  # fmt: skip
        axes.scatter(lengths, values, s=10, color=color, alpha=0.7, linewidths=0, label=title)
    axes.set_xlabel("resolved residues")
    axes.set_ylabel(label)
    axes.grid(color="#DDDDDD", linewidth=0.6)
    if metric == "rmsd":
        axes.set_yscale("log")
        tickers = require_extra("matplotlib.ticker", extra="plot", purpose="the figure")
        axes.yaxis.set_major_locator(tickers.LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter("{x:g}")
        axes.minorticks_off()
    else:
        axes.set_ylim(0, 1)
