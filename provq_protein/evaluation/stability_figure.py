"""How does the stability of ids look, disturbance by disturbance?"""

import math
from collections.abc import Sequence
from pathlib import Path

from provq_protein.evaluation.figure_files import saved_figure
from provq_protein.evaluation.stability_report import StabilityRow

_COLORS = {
    "motion": "#1f77b4",
    "arithmetic": "#9467bd",
    "noise": "#d62728",
    "loss": "#8c564b",
    "removal": "#2ca02c",
}


def draw_stability(
    path: Path, rows: Sequence[StabilityRow], *, title: str, description: str = ""
) -> None:
    """
    Draw the share of ids that survive each disturbance.

    Parameters
    ----------
    path : Path
        The figure; replaced if it exists. Its suffix says the format (`FORMATS`).
    rows : sequence of StabilityRow
        Those without residues are left out.
    title : str
        Stands above.
    description : str, optional
        Kept in the file, unseen.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    OSError
        If the figure cannot be written.
    """
    shown = [row for row in rows if not math.isnan(row.share)]
    size = 6.4, 1.2 + 0.26 * len(shown)
    with saved_figure(path, size, description=description) as (_, figure):
        axes = figure.subplots()
        places = range(len(shown))
        axes.barh(
            places,
            [100 * row.share for row in shown],
            color=[_COLORS.get(row.group, "#777777") for row in shown],
            height=0.7,
        )
        axes.scatter(
            [100 * row.lowest for row in shown], places, marker="|", color="black", zorder=3,
            label="lowest of the chains",
        )  # fmt: skip
        for place, row in zip(places, shown, strict=True):
            axes.text(100 * row.share + 1, place, _percent(row.share), va="center", fontsize=8)
        axes.set_yticks(places, [_label(row) for row in shown])
        axes.invert_yaxis()
        axes.set_xlim(0, 112)
        axes.set_xticks(range(0, 101, 20))
        axes.set_xlabel("ids unchanged (% of residues)")
        axes.set_title(title, loc="left", fontsize=10)
        for side in ("top", "right"):
            axes.spines[side].set_visible(False)
        figure.legend(loc="outside lower right", frameon=False, fontsize=8)


def _label(row: StabilityRow) -> str:
    if row.group == "noise":
        return f"{row.name} Å"
    return row.name


def _percent(share: float) -> str:
    # 99.97 must not look like all.
    return f"{math.floor(10_000 * share) / 100:.2f}" if share > 0.99 else f"{100 * share:.1f}"
