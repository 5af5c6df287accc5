"""Measure how fast chains are encoded, assert that ids are equal, and write the page.

    python benchmarks/encode_speed/run.py                  # measure; needs the package esm
    python benchmarks/encode_speed/run.py --parts workers  # on an idle machine; the rest is kept
    python benchmarks/encode_speed/run.py --page           # only rewrite the page
    python benchmarks/encode_speed/run.py --check          # fail if the page is stale

Encoders run in turn in one process and on one thread, and are timed by processor time, so that
other work on the machine shifts all alike. Ratios are what counts. The gain of a second process
is taken by the clock, and no part of a run unless asked for.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import warnings
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ in {"__main__", "__mp_main__"}:
    # So that the script and its processes run without an installation.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.files import load_results, save_results  # noqa: E402

from encode_speed import runs, speed  # noqa: E402
from encode_speed.page import FORMAT, FORMAT_VERSION, as_page  # noqa: E402
from provq_protein import __version__  # noqa: E402
from provq_protein.errors import ProvqError  # noqa: E402
from provq_protein.model.matmul_route import onednn_is_exact  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results" / "encode_speed.json"
PAGE = REPOSITORY / "docs" / "results" / "encode_speed.md"
_ARCHIVE = REPOSITORY.parent / "shared" / "data" / "backbones.npz"
_SAMPLES = REPOSITORY / "data" / "structures"
# The last one wants a machine that does nothing else, and is measured when asked for.
PARTS = ("speed", "fast", "manifest", "memory", "workers")


def build_parser() -> argparse.ArgumentParser:
    """
    Return the parser of the command line.

    Returns
    -------
    ArgumentParser
        Of this script.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--page", action="store_true", help="measure nothing; rewrite the page")
    add("--check", action="store_true", help="write nothing; exit 1 if the page is stale")
    add("--data", type=Path, help="backbones.npz or a folder (default: what is there)")
    add("--parts", nargs="+", choices=PARTS, default=PARTS[:-1], help="what to measure")
    add("--rounds", type=int, default=5, help="rounds of all (default: 5)")
    add("--residues", type=int, default=1000, help="residues that are timed (default: 1000)")
    add("--fit", type=int, default=8192, help="residues that codes are fitted to (default: 8192)")
    add("--identity", type=int, default=10_000, help="residues on which fast ids are checked")
    add("--memory", type=int, default=10_000, help="residues of the chain for memory")
    add("--seed", type=int, default=0, help="of weights, chains and codes")
    return parser


def main(argv: list[str] | None = None) -> int:
    """
    Measure and write, or check.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0; 1 if the page is stale; 2 if something is missing.
    """
    args = build_parser().parse_args(argv)
    try:
        if not (args.page or args.check):
            for name, values in measure(args):
                _keep(name, values)
        results = _loaded()
    except ProvqError as error:
        print(f"run.py: error: {error}", file=sys.stderr)
        return 2
    page = as_page(results)
    if args.check:
        current = PAGE.is_file() and PAGE.read_text(encoding="utf-8") == page
        if not current:
            print(f"{PAGE} is stale; run benchmarks/encode_speed/run.py --page", file=sys.stderr)
        return 0 if current else 1
    PAGE.write_text(page, encoding="utf-8")
    print(page)
    return 0


def _loaded() -> dict[str, Any]:
    advice = "remove it, and make it with benchmarks/encode_speed/run.py"
    return load_results(RESULTS, kind=FORMAT, version=FORMAT_VERSION, advice=advice)


def _keep(part: str, values: dict[str, Any]) -> None:
    """Put what one part has measured beside what the others have, at once."""
    others = _loaded()["parts"] if RESULTS.is_file() else {}
    results = {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "parts": {**others, part: values},
    }
    save_results(RESULTS, results)
    print(f"{part}: measured", file=sys.stderr)


def measure(args: argparse.Namespace) -> Iterator[tuple[str, dict[str, Any]]]:
    """
    Measure the parts that were asked for.

    Parameters
    ----------
    args : Namespace
        From the command line.

    Yields
    ------
    part : str
        One of `PARTS`.
    values : dict
        JSON values.
    """
    # Calls of esm that torch is about to drop.
    warnings.simplefilter("ignore")
    source = args.data or (_ARCHIVE if _ARCHIVE.is_file() else _SAMPLES)
    parts = set(args.parts)
    common = {"data": source.name, "seed": args.seed, "machine": machine(), "versions": versions()}
    for name, values in _each(args, source, parts):
        yield name, {**values, **common}


def _each(
    args: argparse.Namespace, source: Path, parts: set[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    if parts & {"speed", "fast"}:
        yield from speed.measure(source, args, parts)
    if "manifest" in parts:
        yield "manifest", runs.manifest_cost(source, 20 * args.residues, seed=args.seed)
    if "memory" in parts:
        yield "memory", peak_memory(args.memory)
    if "workers" in parts:
        residues, rounds = 10 * args.residues, args.rounds
        found = runs.workers_ratio(source, residues, rounds=rounds, seed=args.seed)
        yield "workers", found


def versions() -> dict[str, str]:
    """
    Say which software ran.

    Returns
    -------
    dict of str
        By name.
    """
    return {
        "provq": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "esm": version("esm"),
    }


def machine() -> dict[str, Any]:
    """
    Describe the processor, and how busy it was.

    Returns
    -------
    dict
        JSON values.
    """
    description = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    pairs = [line.split(":", 1) for line in description.splitlines() if ":" in line]
    fields = {name.strip(): value.strip() for name, value in pairs}
    return {
        "cpu": fields.get("model name", platform.machine()),
        "cpu_family": fields.get("cpu family", ""),
        "cpu_model": fields.get("model", ""),
        "cores": os.cpu_count(),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "onednn_route": onednn_is_exact(),
        "load_average": round(os.getloadavg()[0], 1),
    }


def peak_memory(residues: int) -> dict[str, int]:
    """
    Encode a long chain in a fresh process.

    Parameters
    ----------
    residues : int
        Its length.

    Returns
    -------
    dict of int
        Residues, and bytes with the model loaded and at the peak.
    """
    script = Path(__file__).with_name("memory.py")
    done = subprocess.run(
        [sys.executable, str(script), "--residues", str(residues)],
        check=True,
        capture_output=True,
        text=True,
    )
    return json.loads(done.stdout)


if __name__ == "__main__":
    sys.exit(main())
