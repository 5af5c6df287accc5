"""Run TopoDisc: print the table of Figure 2, draw Figure 3, write results and report.

    python benchmarks/topodisc/run.py                # train, then write everything
    python benchmarks/topodisc/run.py --from-results # figures and report from the results file
    python benchmarks/topodisc/run.py --check        # exit 1 if one of them is stale

The results depend on nothing but the settings, the seeds and the versions: no times, no folders.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from typing import Any, get_args

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.files import save_results  # noqa: E402

from provq_protein.errors import ProvqError  # noqa: E402
from topodisc import figures, report  # noqa: E402
from topodisc.experiment import measure  # noqa: E402
from topodisc.results import load_results  # noqa: E402
from topodisc.settings import ROWS, Settings  # noqa: E402
from topodisc.shapes import Density  # noqa: E402

RESULTS = "topodisc.json"


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
    default = Settings()
    parser.add_argument("--seeds", type=int, default=16, help="how many, from 0 (default: 16)")
    parser.add_argument("--epochs", type=int, default=default.epochs)
    parser.add_argument(
        "--density",
        choices=get_args(Density),
        default=default.density,
        help=f"of the disk; dense is dense at its center (default: {default.density})",
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(len(ROWS), os.cpu_count() or 1),
        help="rows trained at once, one CPU core each (default: %(default)s)",
    )
    parser.add_argument(
        "--output-folder",
        type=Path,
        default=Path(__file__).parent / "results",
        help="of the results file and the figures",
    )
    parser.add_argument(
        "--report", type=Path, default=REPOSITORY / "docs" / "results" / "topodisc.md"
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--from-results", action="store_true", help="do not train")
    what.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    return parser


def main(argv: list[str] | None = None) -> int:
    """
    Train and write, or check.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0; 1 if something is stale, 2 if something cannot be done.
    """
    args = build_parser().parse_args(argv)
    try:
        if args.check:
            return check(args.output_folder / RESULTS, args.report)
        if not args.from_results:
            results = train(args)
            save_results(args.output_folder / RESULTS, results)
        write(args.output_folder / RESULTS, args.report)
    except (ProvqError, OSError, ValueError) as error:
        print(f"topodisc: error: {error}", file=sys.stderr)
        return 2
    return 0


def train(args: argparse.Namespace) -> dict[str, Any]:
    """
    Train all rows with a progress bar for each.

    Parameters
    ----------
    args : Namespace
        From `build_parser`.

    Returns
    -------
    dict
        From `experiment.measure`.

    Raises
    ------
    ValueError
        If there would be nothing to do.
    """
    from rich.console import Console
    from rich.progress import Progress

    for name in ("seeds", "jobs"):
        if getattr(args, name) < 1:
            msg = f"--{name} must be 1 or more, got {getattr(args, name)}"
            raise ValueError(msg)
    settings = Settings(epochs=args.epochs, density=args.density)
    started = time.perf_counter()
    with Progress(console=Console(stderr=True)) as bars:
        tasks = {
            name: bars.add_task(f"{row.title} ({args.seeds} seeds)", total=settings.epochs)
            for name, row in ROWS.items()
        }
        results = measure(
            settings,
            range(args.seeds),
            jobs=args.jobs,
            progress=lambda name, epoch: bars.update(tasks[name], completed=epoch),
        )
    seconds = time.perf_counter() - started
    print(f"trained {len(ROWS)} rows with {args.seeds} seeds each in {seconds:.0f} s")
    return results


def write(path: Path, document: Path) -> None:
    """
    Print the table; write figures and report.

    Parameters
    ----------
    path : Path
        The results file; the figures go beside it.
    document : Path
        The report.
    """
    from rich.console import Console

    results = load_results(path)
    report.print_table(results, Console())
    figures.draw(results, path.parent)
    document.parent.mkdir(parents=True, exist_ok=True)
    document.write_text(report.document(results, _picture_folder(path, document)), encoding="utf-8")
    print("wrote", path, *figures.paths(path.parent), document, sep="\n  ")


def check(path: Path, document: Path) -> int:
    """
    Tell whether figures and report show the results.

    Parameters
    ----------
    path : Path
        The results file; the figures lie beside it.
    document : Path
        The report.

    Returns
    -------
    int
        1 if one of them does not.
    """
    results = load_results(path)
    text = report.document(results, _picture_folder(path, document))
    stale = [one for one in figures.paths(path.parent) if not figures.is_current(one, results)]
    if not document.is_file() or document.read_text(encoding="utf-8") != text:
        stale.append(document)
    for one in stale:
        print(
            f"{one}: does not show the current results; run "
            "benchmarks/topodisc/run.py --from-results",
            file=sys.stderr,
        )
    return 1 if stale else 0


def _picture_folder(path: Path, document: Path) -> str:
    """Return the folder of the results as seen from the report."""
    return Path(os.path.relpath(path.parent.resolve(), document.parent.resolve())).as_posix()


if __name__ == "__main__":
    sys.exit(main())
