"""How do Figure 3, and the improvement of each seed, look?"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reporting.figures import common_style, digest_of, save_figure, shows

from provq_protein.extras import require_extra
from topodisc.paper import IMPROVEMENTS
from topodisc.results import improvements, median_seed, spread
from topodisc.settings import BASELINE

EMBEDDINGS = "embeddings"
GAINS = "improvements"
SUFFIXES = (".svg", ".png")
_PURPOSE = "a figure of TopoDisc"
# Color-blind safe (Okabe and Ito).
_DISK, _TRIANGLE, _CODES = "#E69F00", "#009E73", "#0072B2"
_PANELS = {"disk": "disk", "triangle": "triangle", "total": "all points"}


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
    return [folder / f"{name}{suffix}" for name in (EMBEDDINGS, GAINS) for suffix in SUFFIXES]


def data_digest(results: Mapping[str, Any]) -> str:
    """
    Return 16 hex digits that identify what the figures show; they carry them in their metadata.

    Parameters
    ----------
    results : mapping
        From `results.load_results`.

    Returns
    -------
    str
        Of a SHA-256.
    """
    shown = [results[key] for key in ("settings", "seeds", "rows", "snapshots")]
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


def draw(results: Mapping[str, Any], folder: Path) -> None:
    """
    Draw both figures.

    Parameters
    ----------
    results : mapping
        From `results.load_results`.
    folder : Path
        Where the files of `paths` go.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    with common_style(_PURPOSE):
        for name, figure in ((EMBEDDINGS, _embeddings(results)), (GAINS, _gains(results))):
            save_figure(figure, folder / name, data_digest(results))


def _figure(width: float, height: float) -> Any:  # noqa: ANN401  # matplotlib may be absent
    # The object interface, without pyplot: no display and no global state.
    figures = require_extra("matplotlib.figure", extra="plot", purpose=_PURPOSE)
    return figures.Figure(figsize=(width, height), layout="constrained")


def _embeddings(results: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Draw latents and codes: one line of panels per row, one column per moment."""
    snapshots = results["snapshots"]
    figure = _figure(7.6, 2.45 * len(snapshots) + 0.7)
    moments = next(iter(snapshots.values()))
    grid = figure.subplots(len(snapshots), len(moments), squeeze=False)
    for line, (name, by_epoch) in zip(grid, snapshots.items(), strict=True):
        for axes, snapshot in zip(line, by_epoch.values(), strict=True):
            _scatter(axes, snapshot, results["settings"]["disk_points"])
        line[0].set_ylabel(results["rows"][name]["title"], fontsize=10, fontweight="bold")
    for axes, epoch in zip(grid[0], moments, strict=True):
        axes.set_title(f"epoch {epoch}", fontsize=10)
    handles, labels = grid[0][0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=3, frameon=False, markerscale=1.8
    )
    figure.suptitle(f"Latents and codes, seed {median_seed(results)}", fontsize=10)
    return figure


def _scatter(axes: Any, snapshot: Mapping[str, Any], split: int) -> None:  # noqa: ANN401
    x, y = snapshot["latents"]["x"], snapshot["latents"]["y"]
    # As pixels also in the SVG, where each point would take a hundred bytes.
    points = {"s": 5, "alpha": 0.7, "linewidths": 0, "rasterized": True}
    axes.scatter(x[:split], y[:split], color=_DISK, label="latents of the disk", **points)
    axes.scatter(x[split:], y[split:], color=_TRIANGLE, label="latents of the triangle", **points)
    axes.scatter(
        snapshot["codes"]["x"],
        snapshot["codes"]["y"],
        s=55,
        marker="*",
        color=_CODES,
        edgecolors="white",
        linewidths=0.5,
        label="codes",
    )
    axes.set_aspect("equal", adjustable="datalim")
    axes.tick_params(labelsize=7)
    axes.grid(color="#E8E8E8", linewidth=0.5)


def _gains(results: Mapping[str, Any]) -> Any:  # noqa: ANN401
    """Draw the improvement of each seed over the vanilla row of the same seed."""
    rows = [name for name in results["rows"] if name != BASELINE]
    figure = _figure(8.2, 3.4)
    panels = figure.subplots(1, len(_PANELS), sharey=True)
    for axes, (part, title) in zip(panels, _PANELS.items(), strict=True):
        for place, name in enumerate(rows):
            values = improvements(results, name, part)
            last = max(1, len(values) - 1)
            across = [place + 0.36 * (k / last - 0.5) for k in range(len(values))]
            axes.scatter(across, values, s=14, color=_CODES, alpha=0.7, linewidths=0, label="seed")
            middle = spread(values).median
            axes.hlines(middle, place - 0.3, place + 0.3, color="black", label="median")
            claimed = IMPROVEMENTS.get((name, part))
            if claimed is not None:
                axes.scatter(
                    [place], [claimed], s=45, marker="D", facecolors="none",
                    edgecolors="#D55E00", linewidths=1.4, label="paper", zorder=3,
                )  # fmt: skip
        axes.axhline(0.0, color="#888888", linewidth=0.8)
        axes.set_title(title, fontsize=10)
        titles = [results["rows"][name]["title"] for name in rows]
        axes.set_xticks(range(len(rows)), titles, rotation=25, ha="right")
        axes.set_xlim(-0.5, len(rows) - 0.5)
        axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
    panels[0].set_ylabel("improvement of the MSE\nover vanilla (%)")
    entries = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        entries.values(),
        entries,
        loc="outside lower center",
        ncols=len(entries),
        frameon=False,
        markerscale=1.3,
    )
    return figure
