"""Print the comparison of drawn images, and write its page and figures, from the results.

python benchmarks/image_generation/table.py          # write
python benchmarks/image_generation/table.py --check  # exit 1 if page or a figure is stale
"""

import argparse
import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from image_generation import figures, report  # noqa: E402
from image_generation.results import Comparison, load_all  # noqa: E402
from provq_protein.errors import ProvqError  # noqa: E402


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
    parser.add_argument(
        "--results",
        type=Path,
        default=Path(__file__).parent / "results",
        metavar="FOLDER",
        help="of the results and the pictures that they name",
    )
    parser.add_argument(
        "--page", type=Path, default=REPOSITORY / "docs" / "results" / "vision_generation.md"
    )
    parser.add_argument(
        "--figures", type=Path, metavar="FOLDER", help="of the figures (default: the page's)"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    return parser


def main(argv: list[str] | None = None) -> int:
    """
    Write or check.

    Parameters
    ----------
    argv : list of str, optional
        Arguments; by default those of this process.

    Returns
    -------
    int
        0; 1 if something is stale, 2 if something cannot be read.
    """
    args = build_parser().parse_args(argv)
    folder = args.figures or args.page.parent
    relative = Path(os.path.relpath(folder.resolve(), args.page.parent.resolve())).as_posix()
    try:
        comparison = load_all(args.results)
        text = report.document(comparison, "" if relative == "." else f"{relative}/")
        if args.check:
            return _check(comparison, text, args.page, folder)
        _write(comparison, args.results, text, args.page, folder)
    except (ProvqError, OSError, ValueError) as error:
        print(f"table.py: error: {error}", file=sys.stderr)
        return 2
    return 0


def _write(comparison: Comparison, results: Path, text: str, page: Path, folder: Path) -> None:
    from rich.console import Console

    report.print_tables(comparison, Console())
    page.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(parents=True, exist_ok=True)
    figures.draw(comparison, results, folder)
    page.write_text(text, encoding="utf-8")
    print("wrote", page, *figures.paths(folder), sep="\n  ")


def _check(comparison: Comparison, text: str, page: Path, folder: Path) -> int:
    stale = [one for one in figures.paths(folder) if not figures.is_current(one, comparison)]
    if not page.is_file() or page.read_text(encoding="utf-8") != text:
        stale.append(page)
    for one in stale:
        print(
            f"{one}: does not show the current results; run benchmarks/image_generation/table.py",
            file=sys.stderr,
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
