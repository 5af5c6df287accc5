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
(`machine.onednn_route`), products take about half the time besides.

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
    sections = [_INTRODUCTION, _machine(results), _table(results), _identity(results), _ABOUT]
    return "\n".join(sections)


def _machine(results: Mapping[str, Any]) -> str:
    config, machine, versions = results["config"], results["machine"], results["versions"]
    software = ", ".join(f"{name} {version}" for name, version in versions.items())
    route = "oneDNN" if machine["onednn_route"] else "PyTorch's default"
    return (
        f"{machine['cpu']} (family {machine['cpu_family']}, {machine['capability']}), float32 "
        f"products by {route}, load average {machine['load_average']}; {software}. "
        f"{config['residues']:,} residues of {config['chains']} chains from `{config['data']}`, "
        f"{config['rounds']} rounds, seed {config['seed']}.\n"
    )


def _table(results: Mapping[str, Any]) -> str:
    lines = ["| | ms per residue (min to max) | times the reference |", "|---|---|---|"]
    for name, label in _NAMES.items():
        if name not in results["milliseconds_per_residue"]:
            continue
        cost = results["milliseconds_per_residue"][name]
        ratio = results["ratios"].get(name, {"median": 1.0, "min": 1.0, "max": 1.0})
        lines.append(
            f"| {label} | {cost['median']:.3g} ({cost['min']:.3g} to {cost['max']:.3g}) | "
            f"**{ratio['median']:.3g}** ({ratio['min']:.3g} to {ratio['max']:.3g}) |"
        )
    return "\n".join(lines) + "\n"


def _identity(results: Mapping[str, Any]) -> str:
    same = results["exact_against_reference"]
    lines = [
        f"* Exact against the reference: {same['equal']:,} of {same['residues']:,} ids are equal"
        + (f"; the other {same['ties']} are ties to float32." if same["ties"] else ".")
    ]
    fast = results.get("fast")
    if fast:
        lines.append(
            f"* Fast against exact: {fast['equal']:,} of {fast['residues']:,} ids are equal; "
            f"{fast['rechecked'] / fast['residues']:.1%} were encoded again for being within "
            f"{fast['threshold']:.2g} of a border; {fast['audited']} more were audited, "
            f"{fast['audit_mismatches']} of them were wrong."
        )
    if not results["fast_gains_here"]:
        lines.append(
            "* This processor has no instructions for bfloat16: fast precision is not faster here, "
            "and its speed is not measured."
        )
    if "two_workers_over_one" in results:
        lines.append(
            f"* Two processes do {results['two_workers_over_one']:.3g} times the chains of one."
        )
    if "memory" in results:
        memory = results["memory"]
        lines.append(
            f"* A chain of {memory['residues']:,} residues at ESM3's size takes "
            f"{memory['peak'] / 1e9:.2f} GB at most, {memory['model'] / 1e9:.2f} GB of it before "
            "encoding."
        )
    return "\n".join(lines) + "\n"
