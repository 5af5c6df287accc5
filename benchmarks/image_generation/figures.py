"""How do losses, scales of guidance and drawn images look?"""

import statistics
from pathlib import Path
from typing import Any

from reporting.figures import common_style, digest_of, save_figure, shows

from image_generation.results import Comparison, Results, scores_of
from image_generation.tables import SCORES, scales, title_of, values
from provq_protein.errors import ConfigError
from provq_protein.extras import require_extra
from provq_vision.images.decoding import decode_image

CURVES = "vision_generation_curves"
GUIDANCE = "vision_generation_guidance"
SAMPLES = "vision_generation_samples"
SEED = 0
_PURPOSE = "a figure of drawn images"
# Color-blind safe (Okabe and Ito).
_COLORS = {"vanilla": "#000000", "vanilla_provq": "#0072B2"}
_SPARE = "#D55E00"


def paths(folder: Path, comparison: Comparison) -> list[Path]:
    """
    Return the files of the figures.

    Parameters
    ----------
    folder : Path
        Where they lie.
    comparison : Comparison
        From `results.load_all`.

    Returns
    -------
    list of Path
        SVG and PNG of curves and guidance, PNG of the samples where there are any.
    """
    drawn = [folder / f"{name}{end}" for name in (CURVES, GUIDANCE) for end in (".svg", ".png")]
    return [*drawn, folder / f"{SAMPLES}.png"] if pictured(comparison) else drawn


def is_current(path: Path, comparison: Comparison) -> bool:
    """
    Tell whether a figure file was drawn from these results.

    Parameters
    ----------
    path : Path
        SVG or PNG.
    comparison : Comparison
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
    comparison : Comparison
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
        save_figure(_guidance(comparison), folder / GUIDANCE, digests[GUIDANCE])
        if pictured(comparison):
            _samples(comparison, results).savefig(
                folder / f"{SAMPLES}.png", dpi=150, metadata={"Description": digests[SAMPLES]}
            )


def pictured(comparison: Comparison) -> dict[str, Results]:
    """
    Return the runs whose pictures are shown.

    Parameters
    ----------
    comparison : Comparison
        From `results.load_all`.

    Returns
    -------
    dict of str to mapping
        Results by row, of the seed that is shown.
    """
    return {key: runs[SEED] for key, runs in comparison.runs.items() if SEED in runs}


def _digests(comparison: Comparison) -> dict[str, str]:
    runs = {
        f"{key}.{seed}": run for key, runs in comparison.runs.items() for seed, run in runs.items()
    }
    return {
        CURVES: digest_of({name: run["curves"] for name, run in runs.items()}),
        GUIDANCE: digest_of(
            [comparison.real.to_json(), {name: run["samples"] for name, run in runs.items()}]
        ),
        SAMPLES: digest_of({name: run["picture"] for name, run in runs.items()}),
    }


def _figure(width: float, height: float) -> Any:  # noqa: ANN401  # may be absent
    # The object interface, without pyplot: no display and no global state.
    figures = require_extra("matplotlib.figure", extra="plot", purpose=_PURPOSE)
    return figures.Figure(figsize=(width, height), layout="constrained")


def _curves(comparison: Comparison) -> Any:  # noqa: ANN401
    figure = _figure(6.4, 3.4)
    axes = figure.subplots()
    for key, runs in comparison.runs.items():
        color = _COLORS.get(key, _SPARE)
        for number, run in enumerate(runs.values()):
            label = title_of(key) if number == 0 else None
            train, seen = run["curves"]["train"], run["curves"]["validation"]
            axes.plot(train["step"], train["loss"], color=color, linewidth=0.9, label=label)
            axes.plot(
                seen["step"], seen["loss"], color=color, linewidth=0, marker="o", markersize=3
            )
    axes.set_xlabel("step")
    axes.set_ylabel("loss (nats per token)")
    axes.grid(color="#DDDDDD", linewidth=0.6)
    axes.legend(frameon=False)
    return figure


def _guidance(comparison: Comparison) -> Any:  # noqa: ANN401
    figure = _figure(8.0, 3.2)
    panels = figure.subplots(1, 2)
    for axes, (name, _, read) in zip(panels, (SCORES[0], SCORES[2]), strict=True):
        for key, runs in comparison.runs.items():
            color = _COLORS.get(key, _SPARE)
            for number, run in enumerate(runs.values()):
                points = [
                    (scale, statistics.fmean(values(run, read, scale)))
                    for scale in scales(comparison)
                ]
                label = title_of(key) if number == 0 else None
                axes.plot(
                    *zip(*points, strict=True), color=color, marker="o", markersize=3, label=label
                )
                axes.axhline(read(scores_of(run)), color=color, linewidth=0.8, linestyle="--")
        axes.axhline(read(comparison.real), color="#009E73", linewidth=0.8, linestyle=":")
        axes.set_xlabel("scale of guidance")
        axes.set_ylabel(name)
        axes.grid(color="#DDDDDD", linewidth=0.6)
    panels[-1].legend(frameon=False, fontsize=8)
    return figure


def _samples(comparison: Comparison, results: Path) -> Any:  # noqa: ANN401
    """Show the pictures of one seed side by side."""
    shown = pictured(comparison)
    figure = _figure(3.9 * len(shown), 4.2)
    for axes, (key, run) in zip(
        figure.subplots(1, len(shown), squeeze=False)[0], shown.items(), strict=True
    ):
        path = results / run["picture"]
        if not path.is_file():
            msg = f"{path}: is absent; measure.py draws it"
            raise ConfigError(msg)
        pixels = decode_image(path.read_bytes(), name=path.name)
        axes.imshow(pixels, interpolation="nearest")
        axes.set_title(title_of(key), fontsize=10)
        axes.set_axis_off()
    return figure
