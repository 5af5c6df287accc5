"""How do the curves of the runs look, and what they reconstruct?"""

import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from reporting.figures import common_style, digest_of, save_figure, shows

from image_tokenizers import pictures
from image_tokenizers.findings import rows_of
from image_tokenizers.results import Comparison
from provq_protein.errors import ConfigError
from provq_protein.extras import require_extra

CURVES = "vision_tokenizer_curves"
RECONSTRUCTIONS = "vision_tokenizer_reconstructions"
_PURPOSE = "a figure of the image tokenizers"
# Color-blind safe (Okabe and Ito).
_COLORS = {
    "vanilla": "#000000",
    "vanilla_soft": "#E69F00",
    "vanilla_warmup": "#56B4E9",
    "vanilla_provq": "#0072B2",
    "vanilla_provq_hard": "#CC79A7",
    "simvq": "#D55E00",
    "simvq_soft": "#009E73",
    "vanilla_l2": "#999999",
    "ema": "#F0E442",
}
_SPARE = "#444444"
_COLUMNS = {
    "Vanilla": ("vanilla", "vanilla_soft", "vanilla_warmup", "vanilla_provq", "vanilla_provq_hard"),
    "Other codebooks": (),
}
# Part of the curves, column, label, logarithmic.
_PANELS = (
    ("train", "loss_pixel", "pixel loss (training)", True),
    ("validation", "psnr", "PSNR (dB, validation)", False),
    ("validation", "utilization", "share of codes used\n(validation)", False),
)
# Pixels of the figure per pixel of an image, and inches per pixel of the figure.
_ZOOM, _INCH = 2, 1.0 / 150.0


def paths(folder: Path, comparison: Comparison) -> list[Path]:
    """
    Return the files of the figures.

    Parameters
    ----------
    folder : Path
        Where they lie.
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    list of Path
        SVG and PNG of the curves, PNG of the reconstructions where there are any.
    """
    found = [folder / f"{CURVES}.svg", folder / f"{CURVES}.png"]
    return [*found, folder / f"{RECONSTRUCTIONS}.png"] if pictured(comparison) else found


def pictured(comparison: Comparison) -> dict[str, Mapping[str, Any]]:
    """
    Return the pictures that results name.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.

    Returns
    -------
    dict of str to mapping
        Entry ``picture`` by row, of the seed that is shown.

    Raises
    ------
    ConfigError
        If they are not of the same images.
    """
    found = {
        key: runs[pictures.SEED]["picture"]
        for key, runs in comparison.items()
        if pictures.SEED in runs and runs[pictures.SEED]["picture"] is not None
    }
    originals = {picture["originals"]["sha256"] for picture in found.values()}
    if len(originals) > 1:
        msg = f"the pictures of {', '.join(found)} are of different images; measure them again"
        raise ConfigError(msg)
    return found


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
        False if there is no such file, or it shows something else.
    """
    return shows(path, _digests(comparison)[path.stem])


def draw(comparison: Comparison, results: Path, folder: Path) -> None:
    """
    Draw the figures.

    Parameters
    ----------
    comparison : dict
        From `results.load_all`.
    results : Path
        Folder of the results, with the pictures that they name.
    folder : Path
        Where the files of `paths` go.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    ConfigError
        If a picture is missing.
    """
    digests = _digests(comparison)
    with common_style(_PURPOSE):
        save_figure(_curves(comparison), folder / CURVES, digests[CURVES])
        if pictured(comparison):
            # Photographs: only as pixels.
            _reconstructions(comparison, results).savefig(
                folder / f"{RECONSTRUCTIONS}.png",
                dpi=1.0 / _INCH,
                metadata={"Description": digests[RECONSTRUCTIONS]},
            )


def band(
    runs: Sequence[Mapping[str, Any]], part: str, column: str
) -> tuple[list[float], list[float], list[float], list[float]]:
    """
    Return mean and range over runs of one curve.

    Parameters
    ----------
    runs : sequence of mapping
        Results of one row.
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
            step: one
            for step, one in zip(
                run["curves"][part]["step"], run["curves"][part][column], strict=True
            )
            if one is not None
        }
        for run in runs
    ]
    steps = sorted(set.intersection(*(set(curve) for curve in curves)))
    found = [[curve[step] for curve in curves] for step in steps]
    means = [statistics.fmean(one) for one in found]
    return steps, means, [min(one) for one in found], [max(one) for one in found]


def _digests(comparison: Comparison) -> dict[str, str]:
    titles = {key: row.title for key, row in rows_of(comparison).items()}
    curves = {
        f"{key}.{seed}": [run["curves"], run["training"]["recipe"]["curriculum"]]
        for key, runs in comparison.items()
        for seed, run in runs.items()
    }
    return {
        CURVES: digest_of([titles, curves]),
        RECONSTRUCTIONS: digest_of([titles, pictured(comparison)]),
    }


def _figure(width: float, height: float, **options: object) -> Any:  # noqa: ANN401  # may be absent
    # The object interface, without pyplot: no display and no global state.
    figures = require_extra("matplotlib.figure", extra="plot", purpose=_PURPOSE)
    return figures.Figure(figsize=(width, height), **options)


def _curves(comparison: Comparison) -> Any:  # noqa: ANN401
    """Draw one column of panels for the vanilla codebook and one for the others."""
    vanilla = [key for key in _COLUMNS["Vanilla"] if key in comparison]
    others = [key for key in comparison if key not in vanilla]
    columns = {
        title: keys
        for title, keys in zip(_COLUMNS, (vanilla, others), strict=True)
        if keys
    }  # fmt: skip
    figure = _figure(4.4 * len(columns), 7.4, layout="constrained")
    grid = figure.subplots(len(_PANELS), len(columns), sharex=True, sharey="row", squeeze=False)
    for place, (title, keys) in enumerate(columns.items()):
        column = [line[place] for line in grid]
        for axes, panel in zip(column, _PANELS, strict=True):
            _panel(axes, {key: comparison[key] for key in keys}, panel)
            _stages(axes, next(iter(comparison[keys[0]].values())))
        column[0].set_title(title, fontsize=10, fontweight="bold")
        column[-1].set_xlabel("step")
        column[0].legend(frameon=False, fontsize=7, loc="upper right")
    for line, (_, _, label, _) in zip(grid, _PANELS, strict=True):
        line[0].set_ylabel(label)
    return figure


def _panel(axes: Any, comparison: Comparison, panel: tuple[str, str, str, bool]) -> None:  # noqa: ANN401
    part, column, _, logarithmic = panel
    for key, row in rows_of(comparison).items():
        steps, means, low, high = band(list(comparison[key].values()), part, column)
        color = _COLORS.get(key, _SPARE)
        marker = "o" if part == "validation" else None
        axes.plot(
            steps, means, color=color, linewidth=1.3, marker=marker, markersize=3, label=row.title
        )
        axes.fill_between(steps, low, high, color=color, alpha=0.2, linewidth=0)
    if logarithmic:
        axes.set_yscale("log")
    axes.grid(color="#DDDDDD", linewidth=0.6)


def _stages(axes: Any, run: Mapping[str, Any]) -> None:  # noqa: ANN401
    curriculum = run["training"]["recipe"]["curriculum"]
    end = curriculum["warmup_steps"] + curriculum["transition_steps"]
    for step in (curriculum["warmup_steps"], end):
        axes.axvline(step, color="#888888", linewidth=0.8, linestyle=":")


def _reconstructions(comparison: Comparison, results: Path) -> Any:  # noqa: ANN401
    """Draw the originals above one labelled line of reconstructions per row."""
    shown, titles = pictured(comparison), rows_of(comparison)
    first = next(iter(shown.values()))
    lines = [("Original", pictures.read(results, first["originals"]))]
    lines += [
        (titles[key].title, pictures.read(results, picture["reconstructions"]))
        for key, picture in shown.items()
    ]
    height, width = (_ZOOM * side for side in lines[0][1].shape[:2])
    margin, gap = 380, 6
    size = (margin + width, len(lines) * (height + gap) - gap)
    figure = _figure(size[0] * _INCH, size[1] * _INCH)
    for place, (title, pixels) in enumerate(lines):
        bottom = (len(lines) - 1 - place) * (height + gap)
        box = (margin / size[0], bottom / size[1], width / size[0], height / size[1])
        axes = figure.add_axes(box)
        axes.imshow(pixels, interpolation="nearest", aspect="auto")
        axes.set_axis_off()
        middle = (bottom + height / 2) / size[1]
        figure.text(
            (margin - 12) / size[0], middle, title, ha="right", va="center", fontsize=9
        )  # fmt: skip
    return figure
