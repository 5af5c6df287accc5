"""Print the comparison of drawn images, and write its page and figures, from the results.

python benchmarks/image_generation/table.py          # write
python benchmarks/image_generation/table.py --check  # exit 1 if page or a figure is stale
"""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation, and finds its own folder's modules.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from reporting.pages import Page  # noqa: E402

from image_generation import figures, report  # noqa: E402
from image_generation.results import load_all  # noqa: E402

PAGE = Page(
    script=Path(__file__).resolve(),
    description=__doc__ or "",
    name="vision_generation.md",
    load=load_all,
    report=report,
    figures=figures,
)
main = PAGE.main


if __name__ == "__main__":
    sys.exit(main())
