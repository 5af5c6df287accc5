"""Measure what looking for the nearest code costs in time and memory, and write the numbers down.

    python benchmarks/quantizers/nearest_codes.py

Two forms are compared on one thread: `nearest_codes`, and the expanded form of LlamaGen's
quantizer, which holds all distances at once and records them for a gradient that nobody takes.
Both run in turn in one process for the times, and each alone in a fresh process for its memory.
"""

import argparse
import multiprocessing
import platform
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ in {"__main__", "__mp_main__"}:
    # So that the script and its processes run without an installation.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.files import save_results  # noqa: E402

from provq_protein import __version__  # noqa: E402
from quantizers.search_forms import FORMS, Shape, draw  # noqa: E402

FORMAT = "provq-nearest-codes"
FORMAT_VERSION = 1
RESULTS = Path(__file__).resolve().parent / "results" / "nearest_codes.json"
THREADS = 1

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")


SHAPES = (Shape(8192, 16384, 8), Shape(1024, 262144, 8))


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
    parser.add_argument("--output", type=Path, default=RESULTS, help="the JSON file")
    parser.add_argument("--repeats", type=int, default=9, help="rounds of both forms (default: 9)")
    parser.add_argument("--seed", type=int, default=0, help="of latents and codes")
    return parser


def main(argv: list[str] | None = None) -> int:
    """
    Measure, print and write.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0, or 2 if an option makes no sense.
    """
    args = build_parser().parse_args(argv)
    if args.repeats < 1:
        print(
            f"nearest_codes.py: error: --repeats must be 1 or more, got {args.repeats}",
            file=sys.stderr,
        )
        return 2
    results = measure(SHAPES, repeats=args.repeats, seed=args.seed)
    Console(width=110).print(as_table(results))
    save_results(args.output, results)
    print(f"wrote {args.output}")
    return 0


def measure(shapes: Sequence[Shape], *, repeats: int, seed: int) -> dict[str, Any]:
    """
    Measure both forms at some shapes.

    Parameters
    ----------
    shapes : sequence of Shape
        What to search.
    repeats : int
        Rounds; each runs both forms.
    seed : int
        Of latents and codes.

    Returns
    -------
    dict
        JSON values.
    """
    return {
        "format": FORMAT,
        "format_version": FORMAT_VERSION,
        "config": {
            "seed": seed,
            "repeats": repeats,
            "threads": THREADS,
            "device": "cpu",
            "dtype": "float32",
            "data": "latents and codes standard normal",
        },
        "versions": {
            "provq": __version__,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "machine": {
            "architecture": platform.machine(),
            "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        },
        "cases": [measure_case(shape, repeats=repeats, seed=seed) for shape in shapes],
    }


def measure_case(shape: Shape, *, repeats: int, seed: int) -> dict[str, Any]:
    """
    Measure both forms at one shape.

    Parameters
    ----------
    shape : Shape
        What to search.
    repeats : int
        Rounds; each runs both forms.
    seed : int
        Of latents and codes.

    Returns
    -------
    dict
        JSON values.

    Raises
    ------
    AssertionError
        If the forms disagree by more than rounding explains.
    """
    memory = {name: peak_memory(name, shape, seed) for name in FORMS}
    previous = torch.get_num_threads()
    torch.set_num_threads(THREADS)
    try:
        latents, codes = draw(shape, seed)
        seconds: dict[str, list[float]] = {name: [] for name in FORMS}
        found = {name: form(latents, codes) for name, form in FORMS.items()}
        for _ in range(repeats):
            for name, form in FORMS.items():
                start = time.perf_counter()
                form(latents, codes)
                seconds[name].append(time.perf_counter() - start)
    finally:
        torch.set_num_threads(previous)
    ratios = [slow / fast for slow, fast in zip(*seconds.values(), strict=True)]
    return {
        **shape._asdict(),
        "seconds": {name: spread(values) for name, values in seconds.items()},
        "expanded_over_tiled": spread(ratios),
        "peak_bytes": memory,
        "all_distances_bytes": 4 * shape.latents * shape.codes,
        "rounding_ties_with_other_id": check_same(latents, codes, found),
    }


@torch.no_grad()
def check_same(latents: Tensor, codes: Tensor, found: Mapping[str, Tensor]) -> int:
    """
    Refuse indices that differ by more than rounding explains.

    Parameters
    ----------
    latents : Tensor, shape=(latent, dim), dtype=float32
        What was searched for.
    codes : Tensor, shape=(code, dim), dtype=float32
        What was searched.
    found : mapping of str to Tensor, shape=(latent,), dtype=int64
        Indices by form.

    Returns
    -------
    int
        Latents with two codes at the same distance but for float32 rounding, of which the
        expanded form took the farther one.

    Raises
    ------
    AssertionError
        If another index differs, or the tiled form took the farther code.
    """
    rows = (found["expanded"] != found["tiled"]).nonzero()[:, 0]
    exact = latents[rows].double()
    chosen = {name: codes[found[name][rows]].double() for name in FORMS}
    gaps = {name: (exact - one).square().sum(dim=1) for name, one in chosen.items()}
    excess = gaps["expanded"] - gaps["tiled"]
    # Of a sum of dim products and two squares, all in float32.
    length = exact.square().sum(dim=1).sqrt() + codes.double().square().sum(dim=1).max().sqrt()
    rounding = (latents.shape[1] + 8) * torch.finfo(torch.float32).eps * length.square()
    wrong = int(((excess < 0.0) | (excess > rounding)).sum())
    if wrong:
        msg = f"{wrong} of {len(latents)} latents: the forms disagree by more than rounding"
        raise AssertionError(msg)
    return len(rows)


def spread(values: Sequence[float]) -> dict[str, float]:
    """
    Summarize repeated measurements.

    Parameters
    ----------
    values : sequence of float
        At least one.

    Returns
    -------
    dict of str to float
        Median, minimum and maximum.
    """
    return {"median": statistics.median(values), "min": min(values), "max": max(values)}


def peak_memory(form: str, shape: Shape, seed: int) -> int | None:
    """
    Run one form once in a fresh process and see how far its memory rises above the arguments.

    Parameters
    ----------
    form : str
        A key of `FORMS`.
    shape : Shape
        What to search.
    seed : int
        Of latents and codes.

    Returns
    -------
    int or None
        Bytes: the largest resident set during the call less the resident set before it. None
        where the system has no ``/proc`` to tell.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(rise_of_memory, (form, shape, seed))


def rise_of_memory(form: str, shape: Shape, seed: int) -> int | None:
    """
    Run one form once and see how far the memory of this process rises.

    Parameters
    ----------
    form : str
        A key of `FORMS`.
    shape : Shape
        What to search.
    seed : int
        Of latents and codes.

    Returns
    -------
    int or None
        See `peak_memory`.
    """
    if not _CLEAR_REFS.exists():
        return None
    torch.set_num_threads(THREADS)
    latents, codes = draw(shape, seed)
    # What libraries set up at the first call is no part of the search.
    FORMS[form](latents[:64], codes[:64])
    # Sets the high-water mark back to what is resident now.
    _CLEAR_REFS.write_text("5")
    before = status_bytes("VmRSS")
    FORMS[form](latents, codes)
    return status_bytes("VmHWM") - before


def status_bytes(key: str) -> int:
    """
    Return an entry of the status of this process.

    Parameters
    ----------
    key : str
        For instance ``"VmRSS"``.

    Returns
    -------
    int
        Bytes.
    """
    lines = dict(line.split(":", 1) for line in _STATUS.read_text(encoding="ascii").splitlines())
    return 1024 * int(lines[key].split()[0])


def as_table(results: Mapping[str, Any]) -> Table:
    """
    Return the table that is printed.

    Parameters
    ----------
    results : mapping
        From `measure`.

    Returns
    -------
    Table
        One row per shape and form.
    """
    config = results["config"]
    title = (
        f"Nearest code, {config['threads']} thread, {config['repeats']} rounds, "
        f"torch {results['versions']['torch']}"
    )
    table = Table(title=title)
    table.add_column("latents x codes x dim")
    table.add_column("form")
    for name in ("median s", "min - max s", "times faster", "peak MiB", "ids"):
        table.add_column(name, justify="right")
    for case in results["cases"]:
        ratio = case["expanded_over_tiled"]
        shape = f"{case['latents']} x {case['codes']} x {case['dim']}"
        ties = case["rounding_ties_with_other_id"]
        last = [
            ("1", ""),
            (
                f"{ratio['median']:.1f} ({ratio['min']:.1f} - {ratio['max']:.1f})",
                f"same but {ties} rounding ties" if ties else "same",
            ),
        ]
        for (form, seconds), (gain, ids) in zip(case["seconds"].items(), last, strict=True):
            peak = case["peak_bytes"][form]
            table.add_row(
                shape,
                form,
                f"{seconds['median']:.3f}",
                f"{seconds['min']:.3f} - {seconds['max']:.3f}",
                gain,
                "not measured" if peak is None else f"{peak / 2**20:.0f}",
                ids,
            )
    return table


if __name__ == "__main__":
    sys.exit(main())
