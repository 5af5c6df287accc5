"""Build the documentation as a site; any warning is an error.

    python docs/site/build.py              # build/site/index.html

Documents are staged first (`staging.py`), since they live where readers of the repository look for
them. Notebooks are executed. Nothing is fetched, but the pages take MathJax from its usual place
for the formulas of the reference.
"""

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path

SITE = Path(__file__).resolve().parent
REPOSITORY = SITE.parents[1]
sys.path.insert(0, str(SITE))

from menu import with_menu  # noqa: E402
from reference import write_reference  # noqa: E402
from staging import stage  # noqa: E402


def build(output: Path) -> int:
    """
    Build the site.

    Parameters
    ----------
    output : Path
        Folder for it; replaced.

    Returns
    -------
    int
        Sphinx's exit code: 0 if there was no warning.
    """
    from sphinx.cmd.build import main as sphinx

    with tempfile.TemporaryDirectory(prefix="provq-site-") as folder:
        source = Path(folder) / "source"
        source.mkdir()
        pages = stage(REPOSITORY, source)
        reference = write_reference(REPOSITORY, source)
        index = source / "index.md"
        index.write_text(with_menu(index.read_text(encoding="utf-8"), pages, reference))
        shutil.copyfile(SITE / "conf.py", source / "conf.py")
        shutil.rmtree(output, ignore_errors=True)
        # Notebooks read the sample structures from where a reader of the repository starts.
        os.environ["PROVQ_REPOSITORY"] = str(REPOSITORY)
        doctrees = Path(folder) / "doctrees"
        options = ["-W", "--keep-going", "-q", "-b", "html", "-d", str(doctrees)]
        return sphinx([*options, str(source), str(output)])


def main() -> int:
    """
    Carry out the command line.

    Returns
    -------
    int
        0, or 1 if there were warnings.
    """
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", type=Path, default=REPOSITORY / "build" / "site")
    output = parser.parse_args().output
    failed = build(output)
    print("the site has warnings" if failed else f"{output / 'index.html'}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
