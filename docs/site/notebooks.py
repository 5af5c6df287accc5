"""Run the notebooks of the documentation and keep what they show.

    python docs/site/notebooks.py            # all
    python docs/site/notebooks.py first_tokens.ipynb

The site runs them again whenever it is built; what is kept here is for who reads the repository.
"""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parents[1] / "notebooks"
# What differs from run to run and says nothing.
_VOLATILE = ("execution", "collapsed")


def run(path: Path) -> None:
    """
    Execute a notebook and write it with its outputs.

    Parameters
    ----------
    path : Path
        The notebook; an error in a cell ends the program.
    """
    notebook = nbformat.read(path, as_version=4)
    NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(FOLDER)}}).execute()
    for cell in notebook.cells:
        for key in _VOLATILE:
            cell.metadata.pop(key, None)
    notebook.metadata["language_info"] = {"name": "python"}
    nbformat.write(notebook, path)


def main(names: list[str]) -> None:
    """
    Carry out the command line.

    Parameters
    ----------
    names : list of str
        File names; none means all.
    """
    for path in [FOLDER / name for name in names] or sorted(FOLDER.glob("*.ipynb")):
        run(path)
        print(path.name)


if __name__ == "__main__":
    main(sys.argv[1:])
