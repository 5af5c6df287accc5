"""Measure how fast chains are encoded, assert that ids are equal, and write the page.

    python benchmarks/encode_speed/run.py            # measure; needs the package esm
    python benchmarks/encode_speed/run.py --page     # only rewrite the page from the results
    python benchmarks/encode_speed/run.py --check    # fail if the page is stale

Everything runs in turn in one process and on one thread, and is timed by processor time, so that
other work on the machine shifts all alike. Ratios are what counts.
"""

import argparse
import json
import multiprocessing
import os
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ in {"__main__", "__mp_main__"}:
    # So that the script and its processes run without an installation.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.files import load_results, save_results  # noqa: E402

from encode_speed import identity  # noqa: E402
from encode_speed.chains import load_chains, resolved_residues  # noqa: E402
from encode_speed.page import FORMAT, FORMAT_VERSION, as_page  # noqa: E402
from encode_speed.subjects import (  # noqa: E402
    build_pair,
    exact_ids,
    fast_ids,
    fit_codes,
    reference_ids,
)
from provq_protein import __version__  # noqa: E402
from provq_protein.errors import ProvqError  # noqa: E402
from provq_protein.model.fast_encoding import FastEncoder, gains_from  # noqa: E402
from provq_protein.model.matmul_route import onednn_is_exact  # noqa: E402
from provq_protein.tokenizer import StructureTokenizer  # noqa: E402

RESULTS = Path(__file__).resolve().parent / "results" / "encode_speed.json"
PAGE = REPOSITORY / "docs" / "results" / "encode_speed.md"
_ARCHIVE = REPOSITORY.parent / "shared" / "data" / "backbones.npz"
_SAMPLES = REPOSITORY / "data" / "structures"
_CALIBRATION_RESIDUES = 1000


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
    add("--rounds", type=int, default=5, help="rounds of all (default: 5)")
    add("--residues", type=int, default=1000, help="residues that are timed (default: 1000)")
    add("--fit", type=int, default=8192, help="residues that codes are fitted to (default: 8192)")
    add("--identity", type=int, default=0, help="more residues on which fast ids are checked")
    add("--fast", choices=("auto", "yes", "no"), default="auto", help="auto: where it can gain")
    add("--workers", action="store_true", help="two processes against one; wants an idle machine")
    add("--memory", type=int, default=10_000, help="residues of the chain for memory, 0: none")
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
            save_results(RESULTS, measure(args))
        results = load_results(
            RESULTS,
            kind=FORMAT,
            version=FORMAT_VERSION,
            advice="make it with benchmarks/encode_speed/run.py",
        )
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


def measure(args: argparse.Namespace) -> dict[str, Any]:
    """
    Measure everything that was asked for.

    Parameters
    ----------
    args : Namespace
        From the command line.

    Returns
    -------
    dict
        JSON values.
    """
    # Calls of esm that torch is about to drop.
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    source = args.data or (_ARCHIVE if _ARCHIVE.is_file() else _SAMPLES)
    chains = load_chains(source, args.residues, seed=args.seed)
    others = load_chains(source, args.fit, seed=args.seed + 1)
    reference, encoder = build_pair(seed=args.seed)
    default = StructureTokenizer.from_pretrained()
    with torch.inference_mode():
        codes = fit_codes(encoder, others, seed=args.seed)
        reference.codebook.embeddings.copy_(codes)
        subjects: dict[str, Callable[[], object]] = {
            "reference": lambda: [reference_ids(reference, chain) for chain in chains],
            "exact": lambda: [exact_ids(encoder, codes, chain) for chain in chains],
            "default": lambda: default.encode(chains),
        }
        gains = gains_from(torch.bfloat16, torch.device("cpu"))
        fast, calibration = None, None
        if args.fast == "yes" or (args.fast == "auto" and gains):
            fast = FastEncoder(encoder, codes)
            calibration = identity.calibrated(fast, others, residues=_CALIBRATION_RESIDUES)
            subjects["fast"] = lambda: [fast_ids(fast, calibration, one)[0] for one in chains]
        seconds, found = interleaved(subjects, rounds=args.rounds)
        residues = resolved_residues(chains)
        results = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "config": configuration(args, source, chains),
            "versions": versions(),
            "machine": machine(),
            "milliseconds_per_residue": {
                name: spread([1e3 * value / residues for value in values])
                for name, values in seconds.items()
            },
            "ratios": {
                name: spread([a / b for a, b in zip(seconds["reference"], values, strict=True)])
                for name, values in seconds.items()
                if name != "reference"
            },
            "exact_against_reference": identity.compared(
                found["exact"], found["reference"], encoder, codes, chains
            ),
            "fast_gains_here": gains,
        }
        if fast is not None and calibration is not None:
            more = load_chains(source, args.identity, seed=args.seed + 2) if args.identity else []
            results["fast"] = identity.fast_against_exact(
                fast, calibration, encoder, codes, chains + more
            )
    if args.workers:
        results["two_workers_over_one"] = workers_ratio(source, args)
    if args.memory:
        results["memory"] = peak_memory(args.memory)
    return results


def interleaved(
    subjects: dict[str, Callable[[], object]], *, rounds: int
) -> tuple[dict[str, list[float]], dict[str, Any]]:
    """
    Run all subjects in turn.

    Parameters
    ----------
    subjects : dict of callable
        By name.
    rounds : int
        How often; one more round comes first and is not counted.

    Returns
    -------
    seconds : dict of list of float
        Processor time of each round.
    found : dict
        What the subjects returned.
    """
    found = {name: subject() for name, subject in subjects.items()}
    seconds: dict[str, list[float]] = {name: [] for name in subjects}
    for _ in range(rounds):
        for name, subject in subjects.items():
            start = time.process_time()
            subject()
            seconds[name].append(time.process_time() - start)
    return seconds, found


def spread(values: list[float]) -> dict[str, float]:
    """
    Summarize measurements.

    Parameters
    ----------
    values : list of float
        At least one.

    Returns
    -------
    dict of float
        Median, least and largest, to four digits.
    """
    summary = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    return {name: float(f"{value:.4g}") for name, value in summary.items()}


def configuration(args: argparse.Namespace, source: Path, chains: list[Any]) -> dict[str, Any]:
    """
    Say what was measured.

    Parameters
    ----------
    args : Namespace
        From the command line.
    source : Path
        Where chains come from.
    chains : list of Backbone
        Those that were timed.

    Returns
    -------
    dict
        JSON values.
    """
    return {
        "seed": args.seed,
        "rounds": args.rounds,
        "threads": 1,
        "data": source.name,
        "chains": len(chains),
        "residues": resolved_residues(chains),
        "codes_fitted_to": args.fit,
    }


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


def workers_ratio(source: Path, args: argparse.Namespace) -> float:
    """
    Compare two processes of one thread with one, by the clock, over the shipped model.

    Parameters
    ----------
    source : Path
        Where chains come from.
    args : Namespace
        From the command line.

    Returns
    -------
    float
        Chains per second of two over those of one.
    """
    context = multiprocessing.get_context("spawn")
    rates = {}
    for count in (1, 2):
        barrier = context.Barrier(count)
        with context.Pool(count, initializer=_share, initargs=(barrier,)) as pool:
            jobs = [(str(source), 5 * args.residues, args.seed)] * count
            slowest = max(pool.map(_encode_all, jobs, chunksize=1))
        rates[count] = count / slowest
    return float(f"{rates[2] / rates[1]:.4g}")


_barriers: list[Any] = []


def _share(barrier: Any) -> None:  # noqa: ANN401
    _barriers.append(barrier)


def _encode_all(job: tuple[str, int, int]) -> float:
    """Encode with the shipped model when all processes are ready; return seconds."""
    source, residues, seed = job
    torch.set_num_threads(1)
    chains = load_chains(Path(source), residues, seed=seed)
    tokenizer = StructureTokenizer.from_pretrained()
    tokenizer.encode(chains[:2])
    _barriers[0].wait()
    start = time.perf_counter()
    tokenizer.encode(chains)
    return time.perf_counter() - start


if __name__ == "__main__":
    sys.exit(main())
