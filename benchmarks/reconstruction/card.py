"""Write card, expected scores, README section and figure from results, or check that they hold.

python benchmarks/reconstruction/card.py           # after run.py
python benchmarks/reconstruction/card.py --check   # fails if one of them is stale
"""

import argparse
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from provq_protein.errors import ProvqError  # noqa: E402
from provq_protein.evaluation.expected_scores import EXPECTED_SCORES  # noqa: E402
from reconstruction import figure  # noqa: E402
from reconstruction.card_text import (  # noqa: E402
    expected_text,
    model_card,
    readme_section,
    replace_section,
)
from reconstruction.results import check_model, load_results  # noqa: E402

_RESULTS = Path(__file__).parent / "results"
CARD = "README.md"


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
    parser.add_argument("--results", type=Path, default=_RESULTS / "default.json")
    parser.add_argument(
        "--model",
        type=Path,
        default=REPOSITORY / "provq_protein" / "models" / "default",
        help="model folder; the card is its README.md",
    )
    parser.add_argument(
        "--readme", type=Path, default=REPOSITORY / "README.md", help="file with the two markers"
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
    try:
        results = load_results(args.results)
        check_model(results, args.model)
        picture = _relative(args.results.with_suffix(".png"), args.readme.parent)
        before = args.readme.read_text(encoding="utf-8")
        texts = {
            args.model / CARD: model_card(results),
            args.model / EXPECTED_SCORES: expected_text(results),
            args.readme: replace_section(before, readme_section(results, picture)),
        }
        pictures = [args.results.with_suffix(suffix) for suffix in figure.SUFFIXES]
        if args.check:
            stale = [path for path, text in texts.items() if not _has_text(path, text)]
            stale += [path for path in pictures if not figure.is_current(path, results)]
            return _report(stale)
        for path, text in texts.items():
            path.write_text(text, encoding="utf-8")
        figure.draw(results, args.results)
    except (ProvqError, OSError, ValueError) as error:
        print(f"card.py: error: {error}", file=sys.stderr)
        return 2
    print("wrote", *texts, *pictures, sep="\n  ")
    return 0


def _has_text(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text


def _report(stale: list[Path]) -> int:
    for path in stale:
        print(
            f"{path}: does not show the current results; run benchmarks/reconstruction/card.py",
            file=sys.stderr,
        )
    return 1 if stale else 0


def _relative(path: Path, folder: Path) -> str:
    path, folder = path.resolve(), folder.resolve()
    return path.relative_to(folder).as_posix() if path.is_relative_to(folder) else path.as_posix()


if __name__ == "__main__":
    sys.exit(main())
