"""How do the codes of a chain look, residue by residue and frame by frame?"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from provq_protein.evaluation.figure_files import saved_figure
from provq_protein.evaluation.token_series import TokenSeries

_COLUMNS = 1000
_LABELS = 15
_ABSENT = "#bbbbbb"
_CHANGED, _SHIFT, _ATOMS = "#1f77b4", "#1f77b4", "#d62728"


def draw_dynamics(path: Path, series: TokenSeries, *, title: str) -> None:
    """
    Draw how far the codes of each residue are from those of the first frame, and their changes.

    Parameters
    ----------
    path : Path
        The figure; replaced if it exists. Its suffix says the format (`FORMATS`).
    series : TokenSeries
        What to draw. If its codes are not known, the map shows which ids differ.
    title : str
        Stands above.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    OSError
        If the figure cannot be written.

    Notes
    -----
    Of more frames than 1,000, neighboring ones are averaged in the map.
    """
    height = min(12.0, max(4.2, 1.8 + 0.06 * len(series.sequence)))
    with saved_figure(path, (9.0, height)) as (matplotlib, figure):
        grid = figure.subplots(1, 3, sharey=True, gridspec_kw={"width_ratios": [4, 1.1, 1.6]})
        _draw_map(figure, grid[0], matplotlib, series)
        _draw_changes(grid[1], series)
        _draw_motion(grid[2], series)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)


def _draw_map(figure: Any, axes: Any, matplotlib: Any, series: TokenSeries) -> None:  # noqa: ANN401
    # Up to the distance of two codes of the chain at random: noise has to look small.
    values, top = series.from_first, series.spread
    label = f"distance to the code of the first frame (two codes at random: {top:.2f})"
    if series.codes is None:
        both = series.resolved & series.resolved[0]
        differs = (series.ids != series.ids[0]).astype(np.float32)
        values, label = np.where(both, differs, np.float32(np.nan)), "id differs from the first"
        top = 1.0
    length = len(series.sequence)
    colors = matplotlib.colormaps["viridis"].with_extremes(bad=_ABSENT)
    image = axes.imshow(
        _thinned(values).T,
        aspect="auto",
        origin="upper",
        interpolation="nearest",
        cmap=colors,
        vmin=0,
        vmax=top or None,
        extent=(0.5, len(series) + 0.5, length - 0.5, -0.5),
    )
    axes.set_yticks(*_residue_ticks(series))
    axes.set_ylabel(f"residue of chain {series.chain_id}")
    axes.set_xlabel(_frame_label(series))
    axes.xaxis.set_major_locator(matplotlib.ticker.MaxNLocator(integer=True, min_n_ticks=1))
    beyond = "max" if np.nanmax(values, initial=0) > top > 0 else "neither"
    style: dict[str, Any] = {"aspect": 45, "pad": 0.01, "shrink": 0.9, "extend": beyond}
    figure.colorbar(image, ax=axes, location="top", label=label, **style)


def _draw_changes(axes: Any, series: TokenSeries) -> None:  # noqa: ANN401
    places = np.arange(len(series.sequence))
    axes.barh(places, 100 * np.nan_to_num(series.change_share), height=1.0, color=_CHANGED)
    axes.set_xlim(0, 100)
    axes.set_xticks([0, 50, 100])
    axes.set_xlabel("frames in which\nthe id changes (%)")
    _plain(axes)


def _draw_motion(axes: Any, series: TokenSeries) -> None:  # noqa: ANN401
    """Draw the size of code changes beside that of the motion of atoms."""
    places = np.arange(len(series.sequence))
    axes.barh(places, np.nan_to_num(series.mean_shift), height=1.0, color=_SHIFT, alpha=0.55)
    axes.set_xlim(left=0)
    axes.set_xlabel("mean distance of codes\nfrom frame to frame", color=_SHIFT)
    axes.tick_params(axis="x", colors=_SHIFT)
    _plain(axes)
    if np.isfinite(series.rmsf).any():
        atoms = axes.twiny()
        atoms.plot(series.rmsf, places, color=_ATOMS, linewidth=1.2)
        atoms.set_xlim(left=0)
        atoms.set_xlabel("RMSF of CA (Å)", color=_ATOMS)
        atoms.tick_params(axis="x", colors=_ATOMS)
        atoms.spines["right"].set_visible(False)


def _plain(axes: Any) -> None:  # noqa: ANN401
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.tick_params(axis="y", length=0, labelleft=False)


def _thinned(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return at most `_COLUMNS` rows, each the mean of what is known of neighboring frames."""
    if len(values) <= _COLUMNS:
        return values
    starts = np.linspace(0, len(values), _COLUMNS, endpoint=False).astype(np.int64)
    known = ~np.isnan(values)
    counts = np.add.reduceat(known, starts, axis=0, dtype=np.int64)
    sums = np.add.reduceat(np.where(known, values, 0), starts, axis=0)
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan).astype(np.float32)


def _residue_ticks(series: TokenSeries) -> tuple[list[int], list[str]]:
    """Return every so manieth residue that has a round number, and its name."""
    length = len(series.sequence)
    step = next(one for one in (1, 2, 5, 10, 20, 50, 100, 500, length) if length / one <= _LABELS)
    numbers = series.author_numbers.tolist()
    places = [place for place in range(length) if numbers[place] % step == 0]
    return places, [series.residue_ids[place] for place in places]


def _frame_label(series: TokenSeries) -> str:
    first, last = float(series.times[0]), float(series.times[-1])
    if len(series) > 1 and not (math.isnan(first) or math.isnan(last)):
        return f"frame ({first:g} to {last:g} ps)"
    return "frame"
