"""Which colour has a code, an error, a share?"""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

GREY = "#9a9a9a"
"""Of what has no value."""

ERROR_LIMIT = 3.0
"""Errors of this many Angstrom and more have the last colour."""

# Both palettes grow darker or lighter all the way, which colour-blind readers see as well.
_VIRIDIS = ("#440154", "#414487", "#2a788e", "#22a884", "#7ad151", "#e6d420")
_ERRORS = ("#dfe6ee", "#f3c878", "#e07b39", "#a8322d", "#4d0f1f")


def color_of_code(places: npt.NDArray[np.float64]) -> list[str]:
    """
    Return the colour of each code.

    Parameters
    ----------
    places : ndarray, shape=(code,), dtype=float64
        From 0 to 1, similar codes near each other (`code_places`).

    Returns
    -------
    list of str
        ``#rrggbb`` each.
    """
    return [between(_VIRIDIS, float(place)) for place in places]


def color_of_error(error: float) -> str:
    """
    Return the colour of a distance.

    Parameters
    ----------
    error : float
        In Angstrom.

    Returns
    -------
    str
        ``#rrggbb``: pale for 0, dark from `ERROR_LIMIT` on.

    Examples
    --------
    >>> color_of_error(0.0), color_of_error(99.0)
    ('#dfe6ee', '#4d0f1f')
    """
    return between(_ERRORS, error / ERROR_LIMIT)


def color_of_share(share: float) -> str:
    """
    Return the background of a table cell.

    Parameters
    ----------
    share : float
        From 0 to 1.

    Returns
    -------
    str
        ``#rrggbb``: white for 0; dark text is readable on all of them.
    """
    return between(("#ffffff", "#7fb2dd"), share)


def error_scale() -> str:
    """
    Return the colours of errors as a CSS gradient.

    Returns
    -------
    str
        For ``background``.
    """
    return f"linear-gradient(to right,{','.join(_ERRORS)})"


def code_scale() -> str:
    """
    Return the colours of codes as a CSS gradient.

    Returns
    -------
    str
        For ``background``.
    """
    return f"linear-gradient(to right,{','.join(_VIRIDIS)})"


def between(anchors: Sequence[str], place: float) -> str:
    """
    Return a colour of a palette.

    Parameters
    ----------
    anchors : sequence of str
        ``#rrggbb`` at equal distances; at least two.
    place : float
        From 0, the first, to 1, the last; what lies outside is clipped.

    Returns
    -------
    str
        ``#rrggbb``.

    Examples
    --------
    >>> between(("#000000", "#ff8800"), 0.5)
    '#804400'
    """
    at = min(max(place, 0.0), 1.0) * (len(anchors) - 1)
    first = min(int(at), len(anchors) - 2)
    share = at - first
    low, high = (
        [int(anchor[start : start + 2], 16) for start in (1, 3, 5)]
        for anchor in anchors[first : first + 2]
    )
    return "#" + "".join(
        f"{round(a + (b - a) * share):02x}" for a, b in zip(low, high, strict=True)
    )
