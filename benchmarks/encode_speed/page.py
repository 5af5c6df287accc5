"""How do the results read on their page?"""

from collections.abc import Mapping
from typing import Any

FORMAT = "provq-encode-speed"
FORMAT_VERSION = 1

_NAMES = {
    "reference": "`esm` structure encoder, float32",
    "exact": "`GeometricEncoder`, the same weights, exact",
    "fast": "the same, fast (bfloat16, float32 near borders)",
    "default": "shipped model, from arrays to ids",
}
_INTRODUCTION = """\
# Speed of encoding

One thread, processor time, all in turn in one process, and ids compared in that very run. ESM3's
weights are not freely licensed: both encoders of its size have the same random weights, and codes
are centroids of real latents. Times depend on the machine and on what else runs on it; ratios are
medians over rounds. Made by `make bench-encode`.
"""
_ABOUT = """\
## What makes the difference

Residues are packed, so that nothing is padded. The first block's projections are a table of
offsets, the output layer of its attention is multiplied into the feed-forward layer behind it, the
last block is evaluated for the residue itself only, and its last layer is multiplied into the one
that makes latents: 306 million operations per residue instead of 959, all of it exact up to
rounding. Where PyTorch can be switched from MKL to oneDNN without a loss of precision
(`machine.onednn_route`) it is, since MKL is slow on processors of other makers than its own.

Fast precision pays where the processor has instructions for bfloat16 and is not offered elsewhere.
The shipped model has no fast precision: its ids follow the chain, each depends on those before it,
and its encoder is small. For it fast *is* exact.
"""


def as_page(results: Mapping[str, Any]) -> str:
    """
    Return the page.

    Parameters
    ----------
    results : mapping
        From ``run.py``.

    Returns
    -------
    str
        Markdown.
    """
    parts = results["parts"]
    sections = [_INTRODUCTION]
    if "speed" in parts:
        sections += [_table(parts["speed"])]
    lines = [line for name, say in _SAY.items() if name in parts for line in say(parts[name])]
    sections += ["".join(f"* {line}\n" for line in lines), _ABOUT, _machines(parts)]
    return "\n".join(sections)


def _table(speed: Mapping[str, Any]) -> str:
    lines = ["| | ms per residue (min to max) | times the reference |", "|---|---|---|"]
    for name, label in _NAMES.items():
        if name not in speed["milliseconds_per_residue"]:
            continue
        cost = speed["milliseconds_per_residue"][name]
        ratio = speed["ratios"].get(name, {"median": 1.0, "min": 1.0, "max": 1.0})
        lines.append(
            f"| {label} | {cost['median']:.3g} ({cost['min']:.3g} to {cost['max']:.3g}) | "
            f"**{ratio['median']:.3g}** ({ratio['min']:.3g} to {ratio['max']:.3g}) |"
        )
    taken = (
        f"{speed['residues']:,} residues of {speed['chains']} chains from `{speed['data']}`, "
        f"{speed['rounds']} rounds, seed {speed['seed']}; codes fitted to "
        f"{speed['codes_fitted_to']:,} residues of other chains."
    )
    return "\n".join([*lines, "", taken]) + "\n"


def _about_identity(speed: Mapping[str, Any]) -> list[str]:
    same, errors = speed["identity"], speed["identity"]["errors"]
    others = []
    if same["reference_rounding"]:
        others.append(
            f"for {same['reference_rounding']} the reference takes a code that is not the one "
            "nearest to its own latent, within the rounding of its distances"
        )
    if same["latent_rounding"]:
        others.append(f"{same['latent_rounding']} lie on a border to within rounding of latents")
    text = f"; of the others, {', and '.join(others)}" if others else ""
    return [
        f"Exact against the reference: {same['equal']:,} of {same['residues']:,} ids are equal"
        f"{text}. Components of latents differ by {same['latents_differ']:.1g} at most; against "
        f"double precision without shortcuts ours err by {errors['exact']:.1g} and those of the "
        f"reference by {errors['reference']:.1g}."
    ]


def _about_fast(fast: Mapping[str, Any]) -> list[str]:
    lines = [
        f"Fast against exact: {fast['equal']:,} of {fast['residues']:,} ids are equal; "
        f"{fast['rechecked'] / fast['residues']:.1%} were encoded again for being within "
        f"{fast['threshold']:.2g} of a border; {fast['audited']} more were audited, "
        f"{fast['audit_mismatches']} of them were wrong."
    ]
    if not fast["gains_here"]:
        lines.append(
            "Fast precision has no gain on this processor, which has no instructions for bfloat16, "
            "and its speed is not measured. Its ids were made by rounding to bfloat16 and "
            "multiplying in float32, which gives the same numbers up to the order of additions."
        )
    return lines


def _about_workers(workers: Mapping[str, Any]) -> list[str]:
    return [
        f"Two processes do {workers['median']:.3g} times ({workers['min']:.3g} to "
        f"{workers['max']:.3g}) the residues per second of one (shipped model, by the clock)."
    ]


def _about_manifest(manifest: Mapping[str, Any]) -> list[str]:
    return [
        f"The manifest of a run takes {manifest['percent']:.2g} % of the time of encoding (shipped "
        f"model, {manifest['chains']:,} chains of a tar)."
    ]


def _about_memory(memory: Mapping[str, Any]) -> list[str]:
    return [
        f"A chain of {memory['residues']:,} residues at ESM3's size takes "
        f"{memory['peak'] / 1e9:.2f} GB at most, {memory['model'] / 1e9:.2f} GB of it before "
        "encoding."
    ]


_SAY = {
    "speed": _about_identity,
    "fast": _about_fast,
    "workers": _about_workers,
    "manifest": _about_manifest,
    "memory": _about_memory,
}


def _machines(parts: Mapping[str, Any]) -> str:
    lines = ["## Measured on", ""]
    for name, part in parts.items():
        machine = part["machine"]
        software = ", ".join(
            f"{package} {version}" for package, version in part["versions"].items()
        )
        route = "oneDNN" if machine["onednn_route"] else "PyTorch's default"
        lines.append(
            f"* {name}: {machine['cpu']} (family {machine['cpu_family']}, model "
            f"{machine['cpu_model']}, {machine['cores']} cores, {machine['capability']}), float32 "
            f"products by {route}, load average {machine['load_average']}; {software}."
        )
    return "\n".join(lines) + "\n"
