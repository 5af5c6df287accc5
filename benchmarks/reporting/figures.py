"""How is a figure drawn alike in all benchmarks, and known to show the present numbers?"""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from provq_protein.extras import require_extra

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SUFFIXES = (".svg", ".png")
_STYLE = {
    "svg.hashsalt": "provq",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
}


def digest_of(shown: object) -> str:
    """
    Return 16 hex digits that identify what a figure shows.

    Parameters
    ----------
    shown : object
        JSON values.

    Returns
    -------
    str
        Of a SHA-256.
    """
    return hashlib.sha256(json.dumps(shown, sort_keys=True).encode()).hexdigest()[:16]


def shows(path: Path, digest: str) -> bool:
    """
    Tell whether a figure file was saved with a digest.

    Parameters
    ----------
    path : Path
        SVG or PNG.
    digest : str
        From `digest_of`.

    Returns
    -------
    bool
        False if there is no such file, or it shows something else.
    """
    return path.is_file() and digest.encode() in path.read_bytes()


@contextmanager
def common_style(purpose: str) -> Iterator[None]:
    """
    Draw and save figures in one style for as long as the context lasts.

    Parameters
    ----------
    purpose : str
        What matplotlib is needed for, should it be absent.

    Yields
    ------
    None
        Settings of matplotlib come back afterwards.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    matplotlib = require_extra("matplotlib", extra="plot", purpose=purpose)
    with matplotlib.rc_context(_STYLE):
        yield


def save_figure(figure: "Figure", path: Path, digest: str) -> None:
    """
    Write a figure as SVG and PNG, with the digest of what it shows in both.

    Parameters
    ----------
    figure : Figure
        Drawn.
    path : Path
        Without suffix.
    digest : str
        From `digest_of`.
    """
    drawn = {"Date": None, "Description": digest}
    figure.savefig(path.with_suffix(".svg"), dpi=150, metadata=drawn)
    figure.savefig(path.with_suffix(".png"), dpi=150, metadata={"Description": digest})
