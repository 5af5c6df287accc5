"""What do scores, the use of codes and sensitivity look like?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provq_protein.extras import require_extra
from structtokenbench.report.reading import by_tokenizer, set_names
from structtokenbench.report.readings import CodebookReading, Readings, Tokenizer
from structtokenbench.report.scores import GROUP_TITLES, ScoreRow, ScoreSet
from structtokenbench.report.tables import PAIRS, SETS
from structtokenbench.report.values import number, written

_STYLE = {
    "svg.hashsalt": "structtokenbench",
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
}
# Colour-blind safe (Okabe and Ito, without the yellow, which is pale on white).
_COLORS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#000000")
_MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "h")
_CONTROL_COLORS = {"position": "#555555", "amino_acid": "#999999"}
_CONTROL_MARKERS = {"position": "x", "amino_acid": "|"}
_WIDTH = 9.0
_PER_LINE = 4


@dataclass(frozen=True, slots=True)
class _Look:
    color: str
    marker: str
    filled: bool


def draw_forest(scores: ScoreSet, path: Path) -> None:
    """
    Draw the scores with their intervals, one row per task-split.

    Parameters
    ----------
    scores : ScoreSet
        Of one setup, with at least one score.
    path : Path
        Without suffix; an SVG and a PNG file are written.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    groups = {
        group: [row for row in scores.of_group(group) if row in scores.scored]
        for group in scores.groups
    }
    groups = {group: rows for group, rows in groups.items() if rows}
    looks = _looks(scores.tokenizers)
    per_row = 0.26 + 0.062 * len(scores.tokenizers)
    heights = [len(rows) * per_row + 0.75 for rows in groups.values()]
    # Two columns, the first group alone in the left one, if that makes a page of it.
    stacked = len(groups) > 1 and len(next(iter(groups.values()))) > 5
    total = max(heights[0], sum(heights[1:])) if stacked else sum(heights)
    legend = 0.24 * math.ceil(len(scores.tokenizers) / 3) + 0.3
    with _style():
        figure = _figure(_WIDTH if stacked else 0.75 * _WIDTH, total + legend)
        for axes, (group, rows) in zip(
            _forest_axes(figure, heights, stacked), groups.items(), strict=True
        ):
            _forest_panel(axes, group, rows, scores.tokenizers, looks)
        handles, labels = figure.axes[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False)
        _save(figure, path)


def draw_usage(found: Readings, path: Path) -> None:
    """
    Draw how often each code occurs, from the most frequent one on.

    Parameters
    ----------
    found : Readings
        With the codebook of at least one tokenizer that is no control.
    path : Path
        Without suffix; an SVG and a PNG file are written.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    names = set_names(found.codebooks)
    each = {name: by_tokenizer(found.codebooks, name) for name in names}
    shown = usage_tokenizers(found)
    with _style():
        figure, panels = _multiples(len(shown), 2.1)
        for axes, one in zip(panels, shown, strict=False):
            _usage_panel(axes, {name: each[name].get(one.label) for name in names})
            axes.set_title(_wrapped(one.label), fontsize=9)
        figure.supxlabel("codes, the most frequent first", fontsize=9)
        figure.supylabel("share of residues", fontsize=9)
        _legend_of_all(figure, panels)
        _save(figure, path)


def draw_sensitivity(found: Readings, path: Path) -> None:
    """
    Draw the normalized score of each pair against its TM-score.

    Parameters
    ----------
    found : Readings
        With pairs of at least one tokenizer.
    path : Path
        Without suffix; an SVG and a PNG file are written.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    names = set_names(found.sensitivities)
    each = {name: by_tokenizer(found.sensitivities, name) for name in names}
    shown = sensitivity_tokenizers(found)
    with _style():
        figure, panels = _multiples(len(shown), 2.2)
        for axes, one in zip(panels, shown, strict=False):
            for place, name in enumerate(names):
                reading = each[name].get(one.label)
                if reading is None or not reading.points:
                    continue
                look = _Look(_COLORS[place % len(_COLORS)], _MARKERS[place % len(_MARKERS)], False)
                title = PAIRS.get(name, name)
                axes.plot(
                    *zip(*reading.points, strict=True), linestyle="", marker=look.marker,
                    markersize=3.5, markerfacecolor="none", markeredgewidth=0.8,
                    color=look.color, label=title,
                )  # fmt: skip
            axes.set_title(_wrapped(one.label), fontsize=9)
            axes.set_xlim(0, 1.03)
            axes.grid(color="#E8E8E8", linewidth=0.5)
        figure.supxlabel("TM-score of the pair", fontsize=9)
        figure.supylabel("normalized token score", fontsize=9)
        _legend_of_all(figure, panels)
        _save(figure, path)


def usage_tokenizers(found: Readings) -> list[Tokenizer]:
    """
    Return the tokenizers whose use of codes is drawn.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    list of Tokenizer
        No controls: most of them have the codes of another.
    """
    counted = {one.source.tokenizer.label for one in found.codebooks if any(one.counts)}
    return [one for one in found.tokenizers if one.label in counted and not one.control]


def sensitivity_tokenizers(found: Readings) -> list[Tokenizer]:
    """
    Return the tokenizers whose pairs are drawn.

    Parameters
    ----------
    found : Readings
        All results.

    Returns
    -------
    list of Tokenizer
        Controls last.
    """
    paired = {one.source.tokenizer.label for one in found.sensitivities if one.points}
    return [one for one in found.tokenizers if one.label in paired]


def _style() -> Any:  # noqa: ANN401  # matplotlib may be absent
    matplotlib = require_extra("matplotlib", extra="plot", purpose="a figure of the report")
    return matplotlib.rc_context(_STYLE)


def _figure(width: float, height: float) -> Any:  # noqa: ANN401
    # The object interface, without pyplot: no display and no global state.
    figures = require_extra("matplotlib.figure", extra="plot", purpose="a figure of the report")
    return figures.Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: Path) -> None:  # noqa: ANN401
    # The layout is the slow part, and need not be found again for the second file.
    figure.draw_without_rendering()
    figure.set_layout_engine("none")
    # Names with points in them are no suffixes.
    figure.savefig(path.with_name(f"{path.name}.svg"), metadata={"Date": None})
    figure.savefig(path.with_name(f"{path.name}.png"), dpi=150)


def _looks(tokenizers: Sequence[Tokenizer]) -> dict[str, _Look]:
    """Colours and markers; a control of a tokenizer has its colour, and is open."""
    mains = [one for one in tokenizers if not one.control]
    looks = {
        one.label: _Look(_COLORS[at % len(_COLORS)], _MARKERS[at % len(_MARKERS)], True)
        for at, one in enumerate(mains)
    }
    by_name = {one.name: looks[one.label] for one in mains}
    for one in tokenizers:
        if not one.control:
            continue
        base = by_name.get(one.base)
        color = base.color if base else _CONTROL_COLORS.get(one.name, "#777777")
        shuffled = "o" if one.placed else "s"
        other = shuffled if one.name.startswith("shuffled:") else "*"
        shape = _CONTROL_MARKERS.get(one.name, other)
        looks[one.label] = _Look(color, shape, False)
    return looks


def _forest_axes(figure: Any, heights: Sequence[float], stacked: bool) -> list[Any]:  # noqa: ANN401
    if not stacked:
        grid = figure.add_gridspec(len(heights), 1, height_ratios=heights)
        return [figure.add_subplot(grid[place, 0]) for place in range(len(heights))]
    left, right = heights[0], sum(heights[1:])
    rest = [*heights[1:], max(left - right, 0.01)]
    grid = figure.add_gridspec(1, 2)
    first = grid[0, 0].subgridspec(2, 1, height_ratios=[left, max(right - left, 0.01)])
    others = grid[0, 1].subgridspec(len(rest), 1, height_ratios=rest)
    return [
        figure.add_subplot(first[0, 0]),
        *(figure.add_subplot(others[place, 0]) for place in range(len(heights) - 1)),
    ]


def _forest_panel(
    axes: Any,  # noqa: ANN401
    group: str,
    rows: Sequence[ScoreRow],
    tokenizers: Sequence[Tokenizer],
    looks: Mapping[str, _Look],
) -> None:
    step = 0.84 / max(1, len(tokenizers) - 1)
    for place, one in enumerate(tokenizers):
        look = looks[one.label]
        shift = -0.42 + step * place if len(tokenizers) > 1 else 0.0
        spots = [(y + shift, row.score(one.label)) for y, row in enumerate(rows)]
        spots = [(y, score) for y, score in spots if score.known]
        axes.errorbar(
            [100 * score.value for _, score in spots],
            [y for y, _ in spots],
            xerr=[
                [_bar(score.value, score.low) for _, score in spots],
                [_bar(score.high, score.value) for _, score in spots],
            ],
            linestyle="", marker=look.marker, color=look.color, label=one.label, markersize=4.5,
            markerfacecolor=look.color if look.filled else "white", markeredgewidth=1.0,
            elinewidth=1.3 if look.filled else 0.7,
        )  # fmt: skip
    for y, row in enumerate(rows):
        if y % 2:
            axes.axhspan(y - 0.5, y + 0.5, color="#F4F4F4", linewidth=0, zorder=0)
        if row.chance == row.chance:
            axes.plot([100 * row.chance] * 2, [y - 0.5, y + 0.5], color="#B00020", linewidth=1.0,
                      linestyle=(0, (4, 2)), zorder=1)  # fmt: skip
    axes.set_yticks(range(len(rows)), [_row_name(row) for row in rows])
    axes.set_ylim(len(rows) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    axes.set_title(GROUP_TITLES[group], fontsize=9, fontweight="bold", loc="right")


def _row_name(row: ScoreRow) -> str:
    counts = row.proteins
    size = f"\nn = {counts[-1]:,}" if counts else ""
    return f"{row.task}\n{row.label}{size}"


def _bar(upper: float, lower: float) -> float:
    """Length of a bar in percent: 0 without bound, or where the value lies beyond its bound."""
    return 100 * max(0.0, upper - lower) if math.isfinite(upper - lower) else 0.0


def _multiples(count: int, height: float) -> tuple[Any, list[Any]]:
    """A figure with small panels of common axes, the empty ones hidden."""
    columns = min(_PER_LINE, count)
    lines = math.ceil(count / columns)
    figure = _figure(max(4.5, _WIDTH * columns / _PER_LINE), height * lines + 0.6)
    grid = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    panels = [axes for line in grid for axes in line]
    for axes in panels[count:]:
        axes.set_visible(False)
    # The lowest panel of a column that is not full has the ticks of its column.
    for axes in panels[max(0, count - columns) : count]:
        axes.tick_params(labelbottom=True)
    return figure, panels[:count]


def _usage_panel(axes: Any, readings: Mapping[str, CodebookReading | None]) -> None:  # noqa: ANN401
    lines = []
    for place, (name, reading) in enumerate(readings.items()):
        if reading is None or not any(reading.counts):
            continue
        total = sum(reading.counts)
        shares = [count / total for count in sorted(reading.counts, reverse=True) if count]
        axes.plot(
            range(1, len(shares) + 1), shares, drawstyle="steps-mid", linewidth=1.3,
            linestyle=("-", (0, (4, 1.5)))[place % 2], color=_COLORS[place % len(_COLORS)],
            label=SETS.get(name, name),
        )  # fmt: skip
        codes = len(reading.counts)
        if not lines:
            axes.plot([1, codes], [1 / codes] * 2, color="#777777", linewidth=0.8, linestyle=":",
                      label="all codes alike")  # fmt: skip
        share = written(number(reading.usage.get("utilization")), 0, 100)
        lines.append(f"{SETS.get(name, name)}: {share} % of {codes:,}")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.minorticks_off()
    # Curves fall from the left, so that the upper right corner is free.
    axes.text(0.98, 0.97, "\n".join(lines), transform=axes.transAxes, fontsize=7, va="top",
              ha="right")  # fmt: skip
    axes.grid(color="#E8E8E8", linewidth=0.5)


def _legend_of_all(figure: Any, panels: Sequence[Any]) -> None:  # noqa: ANN401
    """One legend, with what any panel shows."""
    found: dict[str, Any] = {}
    for axes in panels:
        handles, labels = axes.get_legend_handles_labels()
        found |= dict(zip(labels, handles, strict=True))
    figure.legend(found.values(), found.keys(), loc="outside upper center", ncols=4, frameon=False)


def _wrapped(label: str) -> str:
    """Break a long name after its first part."""
    return label.replace(":", ":\n", 1) if len(label) > 22 else label
