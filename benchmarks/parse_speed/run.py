"""Measure how fast structure files are read, and write numbers and page.

    python benchmarks/parse_speed/run.py --measure

Every way of reading takes its turn in each round, on one thread, and its CPU time is noted; the
medians over rounds are compared. Readers that disagree are not measured. Without ``--measure``
only the page is written, from the results.
"""

import argparse
import os
import statistics
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.files import load_results, save_results  # noqa: E402
from reporting.machine import machine, versions  # noqa: E402

from parse_speed import page  # noqa: E402
from parse_speed.end_to_end import measure_end_to_end  # noqa: E402
from parse_speed.routes import FORMATS, Content, check, routes  # noqa: E402
from provq_protein.errors import ProvqError  # noqa: E402
from provq_protein.structure.unpacking import expanded  # noqa: E402

_RESULTS = Path(__file__).parent / "results" / "parse_speed.json"
_PAGE = REPOSITORY / "docs" / "results" / "parse_speed.md"
_SETS = {
    "samples": REPOSITORY / "data" / "structures",
    "rcsb": REPOSITORY.parent / "shared" / "data" / "structures" / "rcsb",
}
_SUFFIXES = {".cif": "mmCIF", ".bcif": "BinaryCIF", ".pdb": "PDB"}
_PACKAGES = ("numpy", "biotite", "msgspec", "isal", "gemmi", "biopython", "mini3di", "torch")


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
    parser.add_argument("--rounds", type=int, default=5, help="of each way (default: 5)")
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
        0; 1 if the page is stale, 2 if something cannot be read.
    """
    args = build_parser().parse_args(argv)
    try:
        if args.measure and not args.check:
            save_results(args.results, measure(args.rounds, _SETS))
            print(f"wrote {args.results}")
        results = load_results(
            args.results,
            kind=page.FORMAT,
            version=page.FORMAT_VERSION,
            advice="make it with benchmarks/parse_speed/run.py --measure",
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


def measure(rounds: int, folders: Mapping[str, Path]) -> dict[str, Any]:
    """
    Measure all sets that are there.

    Parameters
    ----------
    rounds : int
        How often each way reads each file.
    folders : mapping of str to Path
        Sets of structure files.

    Returns
    -------
    dict
        JSON values.
    """
    sets = {name: read_set(folder) for name, folder in folders.items() if folder.is_dir()}
    rows = []
    for name, contents in sets.items():
        for one in contents:
            check(one)
        for file_format in FORMATS:
            chosen = [one for one in contents if one.format == file_format]
            for packed in (False, True):
                times = measure_routes(chosen, file_format, packed=packed, rounds=rounds)
                key = {"set": name, "format": file_format, "packed": packed}
                rows.append({**key, "files": len(chosen), "milliseconds": times})
                print(name, file_format, "gzip" if packed else "plain", file=sys.stderr)
    return {
        "format": page.FORMAT,
        "format_version": page.FORMAT_VERSION,
        "command": f"python benchmarks/parse_speed/run.py --measure --rounds {rounds}",
        "machine": machine(),
        "versions": versions(_PACKAGES),
        "rows": rows,
        "end_to_end": {
            name: measure_end_to_end([one for one in contents if one.format == "mmCIF"], rounds)
            for name, contents in sets.items()
        },
    }


def read_set(folder: Path) -> list[Content]:
    """
    Read the structure files of a folder.

    Parameters
    ----------
    folder : Path
        Files with the suffixes of the formats, gzipped or not.

    Returns
    -------
    list of Content
        Sorted by name.
    """
    found = []
    for path in sorted(folder.iterdir()):
        file_format = _SUFFIXES.get(Path(path.name.removesuffix(".gz")).suffix)
        if file_format is not None:
            data = expanded(path.read_bytes(), source=str(path))
            found.append(Content(path.name, file_format, data))
    return found


def measure_routes(
    contents: Sequence[Content], file_format: str, *, packed: bool, rounds: int
) -> dict[str, float]:
    """
    Measure all ways of reading a format.

    Parameters
    ----------
    contents : sequence of Content
        Files of the format.
    file_format : str
        One of `routes.FORMATS`.
    packed : bool
        Whether to gzip the files first.
    rounds : int
        How often each way reads each file.

    Returns
    -------
    dict of str to float
        CPU milliseconds for all files, median over rounds.
    """
    data = [one.packed() if packed else one.data for one in contents]
    found = routes(file_format, packed=packed)
    for route in found.values():
        # What is loaded once is not charged to the first file.
        route(data[0])
    times: dict[str, list[float]] = {name: [] for name in found}
    for turn in range(rounds):
        names = list(found)
        # Another one begins each round.
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            times[name].append(cpu_time(found[name], data))
    return {name: round(1e3 * statistics.median(one), 3) for name, one in times.items()}


def cpu_time(route: Callable[[bytes], object], data: Sequence[bytes]) -> float:
    """
    Return the CPU time of reading files, one after the other.

    Parameters
    ----------
    route : callable
        From bytes to anything.
    data : sequence of bytes
        The files.

    Returns
    -------
    float
        Seconds.
    """
    begin = time.process_time()
    for one in data:
        route(one)
    return time.process_time() - begin


if __name__ == "__main__":
    sys.exit(main())
