"""Measure how long a single file takes with and without torch, and write numbers and page.

    python benchmarks/cold_start/run.py --measure

Both ways take turns as whole processes. They must print the same; then the ids of many chains are
compared. Without ``--measure`` only the page is written, from the results.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from encode_speed.chains import load_chains  # noqa: E402
from reporting.files import load_results, save_results  # noqa: E402
from reporting.machine import machine, versions  # noqa: E402

from cold_start import page  # noqa: E402
from provq_protein.errors import ConfigError, ProvqError  # noqa: E402
from provq_protein.structure.backbone import Backbone  # noqa: E402

_RESULTS = Path(__file__).parent / "results" / "cold_start.json"
_PAGE = REPOSITORY / "docs" / "results" / "cold_start.md"
_FILES = ("1a8o.pdb", "1a8o.cif", "1gbt.bcif.gz")
_SHARED = REPOSITORY.parent / "shared" / "data"
_SETS = {
    "samples": REPOSITORY / "data" / "structures",
    "casp14": _SHARED / "structures" / "casp14",
    "bm5": _SHARED / "structures" / "bm5",
    "rcsb": _SHARED / "structures" / "rcsb",
    "backbones": _SHARED / "backbones.npz",
}
_RUNTIMES = ("torch", "onnx")
_PACKAGES = ("numpy", "torch", "onnxruntime", "biotite", "safetensors")
_EVERYTHING = 10**9


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
    parser.add_argument("--measure", action="store_true", help="measure before the page is written")
    parser.add_argument("--rounds", type=int, default=7, help="of each way (default: 7)")
    parser.add_argument(
        "--residues",
        type=int,
        default=100_000,
        help="to compare, of the set of backbones (default: 100000)",
    )
    parser.add_argument("--results", type=Path, default=_RESULTS, help="results file")
    parser.add_argument("--page", type=Path, default=_PAGE, help="page to write")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if it is stale")
    return parser


def main(argv: list[str] | None = None) -> int:
    """
    Measure, if asked to, and write the page; or check it.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0; 1 if the page is stale, 2 if something cannot be read or the two ways disagree.
    """
    args = build_parser().parse_args(argv)
    try:
        if args.measure and not args.check:
            save_results(args.results, measure(args.rounds, args.residues))
            print(f"wrote {args.results}")
        results = load_results(
            args.results,
            kind=page.FORMAT,
            version=page.FORMAT_VERSION,
            advice="make it with benchmarks/cold_start/run.py --measure",
        )
        text = page.document(results)
        if args.check:
            current = args.page.is_file() and args.page.read_text(encoding="utf-8") == text
            if not current:
                print(f"{args.page}: does not show the current results", file=sys.stderr)
            return 0 if current else 1
        args.page.write_text(text, encoding="utf-8")
    except (ProvqError, OSError, ValueError) as error:
        print(f"run.py: error: {error}", file=sys.stderr)
        return 2
    print(f"wrote {args.page}")
    return 0


def measure(rounds: int, residues: int) -> dict[str, Any]:
    """
    Measure single files, then compare the ids of many chains.

    Parameters
    ----------
    rounds : int
        How often each way encodes each file.
    residues : int
        To compare, of the set of backbones.

    Returns
    -------
    dict
        JSON values.
    """
    files = [REPOSITORY / "data" / "structures" / name for name in _FILES]
    return {
        "format": page.FORMAT,
        "format_version": page.FORMAT_VERSION,
        "command": (
            f"python benchmarks/cold_start/run.py --measure --rounds {rounds} --residues {residues}"
        ),
        "machine": machine(),
        "versions": versions(_PACKAGES),
        "starts": {file.name: measure_starts(file, rounds) for file in files},
        "ids": compare_ids(residues, _SETS),
    }


def measure_starts(file: Path, rounds: int) -> dict[str, dict[str, float]]:
    """
    Encode one file again and again, each time in a new process.

    Parameters
    ----------
    file : Path
        The structure file.
    rounds : int
        How often, each way.

    Returns
    -------
    dict of str to dict
        Per way the medians of ``wall`` and ``cpu``, in seconds.

    Raises
    ------
    ConfigError
        If a command fails, or the two ways print different tokens.
    """
    times: dict[str, list[tuple[float, float]]] = {runtime: [] for runtime in _RUNTIMES}
    expected = None
    # The first round fills the caches of the disk and is not counted.
    for turn in range(-1, rounds):
        for runtime in _RUNTIMES[:: 1 if turn % 2 else -1]:
            printed, taken = start(file, runtime)
            expected = printed if expected is None else expected
            if printed != expected:
                msg = f"{file.name}: --runtime {runtime} prints other tokens"
                raise ConfigError(msg)
            if turn >= 0:
                times[runtime].append(taken)
    print(file.name, file=sys.stderr)
    return {
        runtime: {
            name: round(statistics.median(one[place] for one in taken), 3)
            for place, name in enumerate(("wall", "cpu"))
        }
        for runtime, taken in times.items()
    }


def start(file: Path, runtime: str) -> tuple[str, tuple[float, float]]:
    """
    Encode one file in a new process.

    Parameters
    ----------
    file : Path
        The structure file.
    runtime : str
        ``"torch"`` or ``"onnx"``.

    Returns
    -------
    printed : str
        The tokens, one line per chain.
    taken : tuple of float
        Wall and CPU seconds.

    Raises
    ------
    ConfigError
        If the command fails.
    """
    path = os.pathsep.join([str(REPOSITORY), *filter(None, [os.environ.get("PYTHONPATH")])])
    command = [sys.executable, "-m", "provq_protein", "encode", str(file), "--runtime", runtime]
    with tempfile.TemporaryFile() as printed, tempfile.TemporaryFile() as errors:
        begin = time.perf_counter()
        process = subprocess.Popen(
            command, env={**os.environ, "PYTHONPATH": path}, stdout=printed, stderr=errors
        )
        # The usage of this child alone.
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.perf_counter() - begin
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            msg = f"{' '.join(command)}: failed: {errors.read().decode(errors='replace').strip()}"
            raise ConfigError(msg)
        printed.seek(0)
        return printed.read().decode(), (wall, usage.ru_utime + usage.ru_stime)


def compare_ids(residues: int, sets: Mapping[str, Path]) -> dict[str, dict[str, int]]:
    """
    Encode all sets that are there both ways.

    Parameters
    ----------
    residues : int
        How many to take of a set that is an archive of backbones.
    sets : mapping of str to Path
        Folders of structure files, and archives of backbones.

    Returns
    -------
    dict of str to dict
        Per set the number of chains, of resolved residues, of ids that differ, and of chains that
        have some.
    """
    found = {}
    for name, source in sets.items():
        if source.exists():
            chains = load_chains(source, _EVERYTHING if source.is_dir() else residues, seed=0)
            found[name] = count_differences([one for one in chains if one.resolved.any()])
            print(name, found[name], file=sys.stderr)
    return found


def count_differences(chains: Sequence[Backbone]) -> dict[str, int]:
    """
    Encode chains both ways and count the ids that differ.

    Parameters
    ----------
    chains : sequence of Backbone
        With at least one resolved residue each.

    Returns
    -------
    dict of str to int
        As `compare_ids` has it for one set.
    """
    # Imported here: the page can be written where neither is installed.
    from provq_protein.onnx_runtime.tokenizer import OnnxStructureTokenizer
    from provq_protein.tokenizer import StructureTokenizer

    ways = StructureTokenizer.from_pretrained(), OnnxStructureTokenizer.from_pretrained()
    pairs = zip(*(way.iter_encode(chains) for way in ways), strict=True)
    wrong = [int((one.ids != other.ids).sum()) for one, other in pairs]
    return {
        "chains": len(chains),
        "residues": int(sum(chain.resolved.sum() for chain in chains)),
        "ids_that_differ": sum(wrong),
        "chains_that_differ": sum(number > 0 for number in wrong),
    }


if __name__ == "__main__":
    sys.exit(main())
