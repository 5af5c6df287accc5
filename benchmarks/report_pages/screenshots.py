"""Take the pictures of docs/reports.md: make its pages and look at them.

python benchmarks/report_pages/screenshots.py

Needs the extras `report` and `dev`, and a Chromium (PROVQ_CHROMIUM, or one on the path).
"""

import shutil
import sys
import tempfile
from contextlib import chdir
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
if __name__ == "__main__":
    # So that the script runs without an installation.
    sys.path[:0] = [str(REPOSITORY), str(REPOSITORY / "benchmarks")]

from provq_protein.cli import main as provq_protein  # noqa: E402
from report_pages.browser import BROWSERS, WAIT, chromium, started  # noqa: E402

PICTURES = REPOSITORY / "docs" / "pictures"
MOST_BYTES = 400_000


def take_pictures(browser: Any, folder: Path) -> None:  # noqa: ANN401 - of playwright
    """Open the pages of a folder, and take one picture of each subject."""
    tab = browser.new_page(viewport={"width": 1100, "height": 1000})
    tab.goto((folder / "report.html").as_uri())
    # Not with a function: the page forbids scripts made of text.
    tab.wait_for_selector("#viewer[data-state=ready]", timeout=WAIT)
    tab.evaluate("document.getElementById('usage').scrollIntoView()")
    tab.screenshot(path=PICTURES / "report.png")
    tab.evaluate("document.getElementById('structure').scrollIntoView()")
    tab.set_viewport_size({"width": 1100, "height": 800})
    tab.locator("#viewer-chain").select_option(label="2xhe.pdb.gz:B")
    tab.locator("#with-decoded").check()
    tab.locator("#by-error").click()
    tab.wait_for_selector(
        "#viewer[data-state=ready][data-shown='2xhe.pdb.gz:B by_error']", timeout=WAIT
    )
    # The camera moves to the new structure.
    tab.wait_for_timeout(3000)
    tab.screenshot(path=PICTURES / "report_structure.png")
    tab.set_viewport_size({"width": 1100, "height": 1000})
    tab.goto((folder / "dictionary.html").as_uri())
    tab.locator("#order").select_option("count")
    tab.screenshot(path=PICTURES / "dictionary.png")
    tab.close()


def main() -> int:
    """Make pages and pictures; return 1 if a picture is too large."""
    executable = chromium()
    if executable is None:
        print(f"no browser: install one of {', '.join(BROWSERS)}", file=sys.stderr)
        return 2
    PICTURES.mkdir(exist_ok=True)
    with started(executable) as browser, tempfile.TemporaryDirectory() as name, chdir(name):
        folder = Path(name)
        shutil.copytree(REPOSITORY / "data" / "structures", folder / "structures")
        files = sorted(str(path) for path in Path("structures").iterdir())
        for line in (["report", *files, "-o", "report.html"],
                     ["codebook", "-o", "dictionary.html"]):  # fmt: skip
            if provq_protein(line):
                return 1
        take_pictures(browser, folder)
    large = [path.name for path in PICTURES.glob("*.png") if path.stat().st_size > MOST_BYTES]
    if large:
        print(f"more than {MOST_BYTES:,} bytes: {', '.join(large)}", file=sys.stderr)
    return 1 if large else 0


if __name__ == "__main__":
    sys.exit(main())
