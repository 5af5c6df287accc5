"""How do figures that a command draws look alike, and get their files whole?"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from provq_protein.errors import ConfigError
from provq_protein.extras import require_extra

FORMATS = (".svg", ".png", ".pdf")
"""Suffixes that a figure may have."""

_RESOLUTION = 150
_PURPOSE = "drawing figures"
# Ids in SVG files are random without a salt, and each run would rewrite the file.
_STYLE = {"svg.hashsalt": "provq", "svg.fonttype": "none", "font.size": 9}


def check_figure(path: Path) -> None:
    """
    Find out before minutes of encoding that a figure could not be drawn.

    Parameters
    ----------
    path : Path
        The figure.

    Raises
    ------
    ConfigError
        If its suffix is none of `FORMATS`, or its folder is absent.
    MissingExtraError
        If matplotlib is not installed.
    """
    if path.suffix.lower() not in FORMATS:
        msg = f"{path}: a figure's name must end in {', '.join(FORMATS)}"
        raise ConfigError(msg)
    if not path.parent.is_dir():
        msg = f"{path}: there is no folder {path.parent}; make it first"
        raise ConfigError(msg)
    require_extra("matplotlib", extra="plot", purpose=_PURPOSE)


@contextmanager
def saved_figure(
    path: Path, size: tuple[float, float], *, description: str = ""
) -> Iterator[tuple[Any, Any]]:
    """
    Draw a figure; it is written when the context is left without an error.

    Parameters
    ----------
    path : Path
        The figure; replaced if it exists. Its suffix says the format (`FORMATS`).
    size : tuple of float
        Width and height in inches.
    description : str, optional
        Kept in the file, unseen.

    Yields
    ------
    matplotlib : module
        The library.
    figure : matplotlib.figure.Figure
        An empty figure.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    OSError
        If the figure cannot be written.
    """
    matplotlib: Any = require_extra("matplotlib", extra="plot", purpose=_PURPOSE)
    figures: Any = require_extra("matplotlib.figure", extra="plot", purpose=_PURPOSE)
    with matplotlib.rc_context(_STYLE):
        figure = figures.Figure(figsize=size, layout="constrained")
        yield matplotlib, figure
        temporary = path.with_name(f".{path.stem}.part{path.suffix}")
        try:
            figure.savefig(temporary, dpi=_RESOLUTION, metadata=_metadata(path, description))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def _metadata(path: Path, description: str) -> dict[str, str | None]:
    """Leave the date out where a format has one: the same numbers give the same file."""
    if path.suffix.lower() == ".pdf":
        return {"CreationDate": None, "Subject": description}
    date: dict[str, str | None] = {"Date": None} if path.suffix.lower() == ".svg" else {}
    return {**date, "Description": description}
