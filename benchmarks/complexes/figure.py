"""How do shares of changed ids look beside each other?"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reporting.figures import SUFFIXES, common_style, digest_of, save_figure, shows

from complexes.shares import DISTANCE_LABELS, LAG_LABELS, shares
from provq_protein.extras import require_extra

_PURPOSE = "the figure on complexes"
# Color-blind safe (Okabe and Ito), one for each set.
_COLORS = ("#0072B2", "#E69F00")
_PANELS = (
    ("by_distance", DISTANCE_LABELS, "distance to the nearest CA of another chain (Å)"),
    ("by_lag", LAG_LABELS, "residues since the last one that sees another chain"),
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


def _digest(found: Mapping[str, Any]) -> str:
    return digest_of([[name, one["chains"]] for name, one in found.items()])


def is_current(path: Path, found: Mapping[str, Any]) -> bool:
    """
    Tell whether a figure file was drawn from these results.

    Parameters
    ----------
    path : Path
        SVG or PNG.
    found : mapping
        Results by set.

    Returns
    -------
    bool
        False if there is no such file, or it shows other numbers.
    """
    return shows(path, _digest(found))


def draw(found: Mapping[str, Any], titles: Mapping[str, str], page: Path) -> None:
    """
    Draw the shares by distance from the interface, and behind it along the chain.

    Parameters
    ----------
    found : mapping
        Results by set.
    titles : mapping
        What the sets are called.
    page : Path
        The page that shows it: SVG and PNG are written beside it.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    # The object interface, without pyplot: no display and no global state.
    figures = require_extra("matplotlib.figure", extra="plot", purpose=_PURPOSE)
    with common_style(_PURPOSE):
        drawn = figures.Figure(figsize=(8.2, 3.4), layout="constrained")
        for axes, (key, labels, title) in zip(drawn.subplots(1, 2), _PANELS, strict=True):
            _panel(axes, found, key, labels)
            axes.set_xlabel(title)
            axes.set_ylabel("changed (%)")
        handles = drawn.axes[0].get_legend_handles_labels()[0]
        names = [
            f"{titles[name]}: {what}" for name in found for what in ("ids", "nearest codes alone")
        ]
        drawn.legend(handles, names, loc="outside lower center", ncols=2, frameon=False)
        save_figure(drawn, page.with_suffix(""), _digest(found))


def _panel(axes: Any, found: Mapping[str, Any], key: str, labels: Sequence[str]) -> None:  # noqa: ANN401
    width = 0.8 / (2 * len(found))
    for number, (one, color) in enumerate(zip(found.values(), _COLORS, strict=False)):
        rows = shares(one, key)
        for part in (0, 1):
            places = [place - 0.4 + (2 * number + part + 0.5) * width for place in range(len(rows))]
            axes.bar(
                places,
                [100.0 * row.changed[part] for row in rows],
                width,
                color=color,
                alpha=(1.0, 0.45)[part],
                label=f"{number} {part}",
            )
    axes.set_xticks(range(len(labels)), labels)
    axes.grid(axis="y", color="#DDDDDD", linewidth=0.6)
