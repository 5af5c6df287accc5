"""What do the results of the quantizer comparison look like, as a page and as a plot?"""

import json
import statistics
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from reporting.figures import common_style, digest_of, save_figure

from provq_protein.extras import require_extra

PAGE = "quantizers.md"
FIGURE = "quantizers"
# Color-blind safe (Okabe and Ito); offsets of the rows of a method, from above.
_CURRICULA = (
    ("", "#999999", 0.27, "alone"),
    ("+soft", "#E69F00", 0.09, "+soft"),
    ("+warmup", "#009E73", -0.09, "+warmup"),
    ("+provq", "#0072B2", -0.27, "+provq"),
)
_PANELS = (
    ("distortion", "distortion (share of the variance)"),
    ("utilization", "utilization"),
    ("participation_ratio", "participation ratio"),
)


def write_report(results_file: Path, folder: Path) -> None:
    """
    Write the page and draw the plot.

    Parameters
    ----------
    results_file : Path
        From ``compare.py``.
    folder : Path
        Where ``quantizers.md``, ``quantizers.svg`` and ``quantizers.png`` go.
    """
    results = json.loads(results_file.read_text(encoding="utf-8"))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / PAGE).write_text(page(results), encoding="utf-8")
    draw(results, folder / FIGURE)


def page(results: Mapping[str, Any]) -> str:
    """
    Return the page as text.

    Parameters
    ----------
    results : mapping
        From ``compare.py``.

    Returns
    -------
    str
        Markdown.
    """
    config = results["config"]
    methods = _methods(results)
    lines = [
        "# Quantizers on real latents",
        "",
        "<!-- Written by benchmarks/quantizers/compare.py; do not edit. -->",
        "",
        f"Every quantizer with {config['size']} codes learns to reproduce latents of the shipped",
        f"model (`{results['model']}`), and nothing else: no encoder or decoder is trained. "
        f"Fitted on {config['fit_latents']:,} latents of {config['fit_chains']} training chains, "
        f"measured on the {config['measured_latents']:,} latents of the validation chains. "
        f"{config['steps']:,} steps of {config['batch']:,} latents, Adam, learning rate chosen for "
        f"each row out of {', '.join(f'{rate:g}' for rate in config['learning_rates'])} on "
        "fitting latents held back.",
        "",
        "Distortion is the mean squared error as a share of the variance of the latents, after the "
        "affine map that best leads from quantized latents to latents (fitted on the fitting "
        "latents): a decoder could learn it, and `vanilla_l2` would otherwise be charged for the "
        "length of the latents. Utilization, perplexity and effective dimension (principal "
        "components for 99 % of the variance of the quantized latents; participation ratio in "
        "brackets) are of the validation latents. "
        f"Median of {len(config['seeds'])} seeds, and their range for the distortion. "
        "The latents themselves have effective dimension "
        f"{results['latents']['effective_dimension']:.0f} "
        f"({results['latents']['participation_ratio']:.1f}).",
        "",
        "| quantizer | bits | distortion | range | utilization | perplexity | effective dimension "
        "| learning rate |",
        "|---|---|---|---|---|---|---|---|",
        *[_row(name, entry) for name, entry in results["presets"].items()],
        "",
        f"![Distortion, utilization and participation ratio of every quantizer]({FIGURE}.svg)",
        "",
        "## What the numbers say",
        "",
        *_findings(results, methods),
        "",
        "The latents do not move here, so that a warm-up trains nothing: what `+warmup` and "
        "`+provq` add is k-means seeding at its end, and `+soft` changes only what a decoder would "
        "get. What the curriculum does to an encoder that learns at the same time cannot be seen "
        "in this table. `rvq` has two codes per latent and twice the bits; `fsq` has no codes to "
        "train, but two linear maps.",
        "",
        "Regenerate: `python benchmarks/quantizers/compare.py --store chains.h5`; without "
        "`--store` only this page and the plot are written anew, from "
        "`benchmarks/quantizers/results/comparison.json`.",
        "",
    ]
    return "\n".join(lines)


def _methods(results: Mapping[str, Any]) -> list[str]:
    return [name for name in results["presets"] if name != "k-means" and "+" not in name]


def _values(entry: Mapping[str, Any], key: str) -> list[float]:
    return [run[key] for run in entry["runs"]]


def _median(entry: Mapping[str, Any], key: str) -> float:
    return statistics.median(_values(entry, key))


def _row(name: str, entry: Mapping[str, Any]) -> str:
    distortions = _values(entry, "distortion")
    spread = f"{min(distortions):.3f} to {max(distortions):.3f}" if len(distortions) > 1 else ""
    rate = f"{entry['learning_rate']:g}" if "learning_rate" in entry else ""
    dimension = _median(entry, "effective_dimension")
    ratio = _median(entry, "participation_ratio")
    title = name if name == "k-means" else f"`{name}`"
    return (
        f"| {title} | {_median(entry, 'bits'):g} | {_median(entry, 'distortion'):.3f} | {spread} | "
        f"{100 * _median(entry, 'utilization'):.1f} % | {_median(entry, 'perplexity'):.0f} | "
        f"{dimension:.0f} ({ratio:.1f}) | {rate} |"
    )


def _findings(results: Mapping[str, Any], methods: list[str]) -> list[str]:
    presets = results["presets"]
    least = _median(presets["k-means"], "distortion")
    better = [name for name in methods if _gain(presets, name) > 0.0]
    worse = [name for name in methods if _gain(presets, name) <= 0.0]
    gains = [f"`{name}` {100 * _gain(presets, name):+.1f} %" for name in methods]
    lines = [
        f"* k-means alone has a distortion of {least:.3f}.",
        "* Less distortion by `+provq`, relative to the same method alone: "
        + ", ".join(gains)
        + f". It is lower for {len(better)} of {len(methods)} methods"
        + (f", and not for {', '.join(f'`{name}`' for name in worse)}." if worse else "."),
    ]
    for suffix, *_, title in _CURRICULA:
        used = {name: _median(presets[name + suffix], "utilization") for name in methods}
        low = [f"`{name}` {100 * used[name]:.1f} %" for name in methods if used[name] < 0.95]
        text = ", ".join(low) if low else "no method"
        lines.append(
            f"* `{title}`: less than 95 % of the codes are used by {text}.".replace(
                "`alone`", "Alone"
            )
        )
    return lines


def _gain(presets: Mapping[str, Any], name: str) -> float:
    alone = _median(presets[name], "distortion")
    return 1.0 - _median(presets[f"{name}+provq"], "distortion") / alone


def draw(results: Mapping[str, Any], path: Path) -> None:
    """
    Draw distortion, utilization and participation ratio of every preset.

    Parameters
    ----------
    results : mapping
        From ``compare.py``.
    path : Path
        Without suffix; an SVG and a PNG file are written.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    figures = require_extra("matplotlib.figure", extra="plot", purpose="the comparison figure")
    with common_style("the comparison figure"):
        figure = figures.Figure(figsize=(9.0, 5.2), layout="constrained")
        panels = figure.subplots(1, len(_PANELS), sharey=True)
        for axes, (key, label) in zip(panels, _PANELS, strict=True):
            _panel(axes, results, key, label)
        handles, labels = panels[0].get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=5, frameon=False)
        title = f"Quantizers with {results['config']['size']} codes on latents of the shipped model"
        figure.suptitle(title, fontsize=10)
        save_figure(figure, path, digest_of(results["presets"]))


def _panel(axes: Any, results: Mapping[str, Any], key: str, label: str) -> None:  # noqa: ANN401
    presets = results["presets"]
    methods = _methods(results)[::-1]
    for suffix, color, offset, title in _CURRICULA:
        places: list[float] = []
        values: list[float] = []
        for row, name in enumerate(methods):
            found = _values(presets[name + suffix], key)
            values += found
            places += [row + offset] * len(found)
        axes.scatter(values, places, s=14, color=color, alpha=0.8, linewidths=0, label=title)
    if key == "distortion":
        least = _median(presets["k-means"], key)
        axes.axvline(least, color="#D55E00", linewidth=1, linestyle="--", label="k-means alone")
        axes.set_xlim(left=0)
    elif key == "utilization":
        axes.set_xlim(0, 1.03)
    else:
        latents = results["latents"][key]
        axes.axvline(latents, color="#000000", linewidth=1, linestyle=":")
        axes.set_xlim(left=0)
        axes.text(latents, len(methods) - 0.45, "latents", ha="right", va="bottom", fontsize=8)
    axes.set_yticks(range(len(methods)), methods)
    axes.set_xlabel(label)
    axes.grid(color="#DDDDDD", linewidth=0.6, axis="x")
