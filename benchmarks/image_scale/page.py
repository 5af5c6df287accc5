"""Write the table of times in docs/reproducing_images.md from the results.

python benchmarks/image_scale/page.py          # write
python benchmarks/image_scale/page.py --check  # exit 1 if the page has another table
"""

import argparse
import sys
import textwrap
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.files import load_results  # noqa: E402

from image_scale.measure import FORMAT, FORMAT_VERSION  # noqa: E402
from image_scale.stages import stages  # noqa: E402
from provq_protein.errors import ConfigError, ProvqError  # noqa: E402

BEGIN, END = "<!-- times -->", "<!-- /times -->"
# Operations per second that a GPU is taken to sustain where none was measured, and how many there
# are on the page.
ASSUMED, GPUS = 100e12, 8
_DAY = 86_400.0
_ADVICE = "make it with benchmarks/image_scale/measure.py"


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
        0; 1 if the page is stale, 2 if something cannot be read.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--results", type=Path, default=Path(__file__).parent / "results")
    parser.add_argument("--page", type=Path, default=REPOSITORY / "docs" / "reproducing_images.md")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if stale")
    args = parser.parse_args(argv)
    try:
        old = args.page.read_text(encoding="utf-8")
        before, _, rest = old.partition(BEGIN)
        _, _, after = rest.partition(END)
        new = f"{before}{BEGIN}\n{block(args.results)}\n{END}{after}"
    except (ProvqError, OSError) as error:
        print(f"page.py: error: {error}", file=sys.stderr)
        return 2
    if args.check:
        if new != old:
            print(f"{args.page}: stale; run benchmarks/image_scale/page.py", file=sys.stderr)
        return int(new != old)
    args.page.write_text(new, encoding="utf-8")
    return 0


def block(folder: Path) -> str:
    """
    Return the table and what it says.

    Parameters
    ----------
    folder : Path
        Of the results.

    Returns
    -------
    str
        Markdown.
    """
    found = [
        load_results(path, kind=FORMAT, version=FORMAT_VERSION, advice=_ADVICE)
        for path in sorted(folder.glob("*.json"))
    ]
    if not found:
        msg = f"{folder}: contains no results; {_ADVICE}"
        raise ConfigError(msg)
    first = found[0]
    header = ["part", "times", "images", "GFLOP per image", f"days on {GPUS} GPUs, assumed"]
    header += [f"days, {_short(one)}" for one in found]
    lines = [header, ["---", *["---:"] * (len(header) - 1)]]
    total = 0.0
    for stage in stages():
        operations = first["stages"][stage.key]["operations"]
        days = stage.times * stage.images * operations / (GPUS * ASSUMED) / _DAY
        total += days
        measured = [
            stage.times * stage.images * one["stages"][stage.key]["seconds"] / _DAY for one in found
        ]
        cells = [stage.title, str(stage.times), f"{stage.images:,}", f"{operations / 1e9:,.0f}"]
        lines.append([*cells, f"{days:.2g}", *(f"{value:,.0f}" for value in measured)])
    table = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    return "\n\n".join([_note(found, total), table])


def _short(results: dict[str, Any]) -> str:
    return f"{results['device']}, {results['precision']}"


def _note(found: list[dict[str, Any]], total: float) -> str:
    measured = "; ".join(f"{_short(one)}, batches of {one['batch']}" for one in found)
    return textwrap.fill(
        "Operations are counted in one step of each network at its full size; the last columns are "
        f"what steps took that were measured ({measured}), times the number of images. Days on "
        f"{GPUS} GPUs ({total:.0f} in all) **assume** that each sustains {ASSUMED / 1e12:.0f} "
        "TFLOP per second and never waits for data, which was not measured: drawing, which reads "
        "all weights for every token, is slower than that. For a GPU of yours, "
        "`python benchmarks/image_scale/measure.py --device cuda --batch 64` and "
        "`python benchmarks/image_scale/page.py` add a column. The images of the scores, "
        "and the 50,000 of validation, are not counted.",
        100,
        break_on_hyphens=False,
        break_long_words=False,
    )


if __name__ == "__main__":
    sys.exit(main())
