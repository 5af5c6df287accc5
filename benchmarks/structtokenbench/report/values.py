"""How is a value of a results file read that may be missing, and how is a number written?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MISSING = "-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Score:
    """
    A number with its interval.

    Parameters
    ----------
    value : float
        *NaN* where there is none.
    low, high : float
        Bounds; *NaN* where there is no interval.
    note : str
        Why something is missing; empty otherwise.
    """

    value: float
    low: float
    high: float
    note: str = ""

    @property
    def known(self) -> bool:
        """Whether there is a value."""
        return math.isfinite(self.value)

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return math.isfinite(self.low) and math.isfinite(self.high)

    def above(self, other: "Score") -> bool:
        """
        Tell whether the whole interval lies above that of another.

        Parameters
        ----------
        other : Score
            The other.

        Returns
        -------
        bool
            False where one has no interval.
        """
        return self.bounded and other.bounded and self.low > other.high

    def contains(self, level: float) -> bool:
        """
        Tell whether a level lies in the interval.

        Parameters
        ----------
        level : float
            The level.

        Returns
        -------
        bool
            False where there is no interval.
        """
        return self.bounded and self.low <= level <= self.high


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """
    Something that could not be used.

    Parameters
    ----------
    id : str
        What.
    reason : str
        Why.
    """

    id: str
    reason: str


def number(value: object) -> float:
    """
    Read a number.

    Parameters
    ----------
    value : object
        JSON value.

    Returns
    -------
    float
        *NaN* for anything but a number.

    Examples
    --------
    >>> number(None), number(2)
    (nan, 2.0)
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return float(value)


def mapping(value: object) -> Mapping[str, Any]:
    """
    Read a mapping.

    Parameters
    ----------
    value : object
        JSON value.

    Returns
    -------
    mapping of str to object
        Empty for anything but a mapping.
    """
    return value if isinstance(value, Mapping) else {}


def sequence(value: object) -> Sequence[Any]:
    """
    Read a list.

    Parameters
    ----------
    value : object
        JSON value.

    Returns
    -------
    sequence
        Empty for anything but a list.
    """
    return value if isinstance(value, Sequence) and not isinstance(value, str) else ()


def score(value: object) -> Score:
    """
    Read an estimate.

    Parameters
    ----------
    value : object
        A mapping with ``value``, ``low``, ``high`` and ``note``, or None.

    Returns
    -------
    Score
        *NaN* for what is missing.
    """
    found = mapping(value)
    return Score(
        value=number(found.get("value")),
        low=number(found.get("low")),
        high=number(found.get("high")),
        note=str(found.get("note") or ""),
    )


def troubles(value: object) -> tuple[Trouble, ...]:
    """
    Read problems.

    Parameters
    ----------
    value : object
        A list of mappings with ``id`` and ``reason``.

    Returns
    -------
    tuple of Trouble
        In the order of the list.
    """
    return tuple(
        Trouble(id=str(mapping(one).get("id")), reason=str(mapping(one).get("reason")))
        for one in sequence(value)
    )


def written(value: float, digits: int, scale: float = 1.0) -> str:
    """
    Write a number.

    Parameters
    ----------
    value : float
        The number.
    digits : int
        After the point.
    scale : float
        Factor: 100 for percent.

    Returns
    -------
    str
        `MISSING` for *NaN*.

    Examples
    --------
    >>> written(0.7123, 1, 100), written(float("nan"), 1), written(-0.0001, 1)
    ('71.2', '-', '0.0')
    """
    if not math.isfinite(value):
        return MISSING
    text = f"{scale * value:,.{digits}f}"
    return text[1:] if text.startswith("-") and not text.strip("-0.,") else text


def interval(one: Score, digits: int, scale: float = 1.0) -> str:
    """
    Write the bounds of a number.

    Parameters
    ----------
    one : Score
        The number.
    digits : int
        After the point.
    scale : float
        Factor: 100 for percent.

    Returns
    -------
    str
        Empty where there are none.
    """
    if not one.bounded:
        return ""
    return f"[{written(one.low, digits, scale)}, {written(one.high, digits, scale)}]"


def listed(names: Sequence[str], most: int = 0) -> str:
    """
    Join names to a phrase.

    Parameters
    ----------
    names : sequence of str
        At least one.
    most : int
        Where not 0, the number of names after which the rest is only counted.

    Returns
    -------
    str
        For instance ``"a, b and c"``.

    Examples
    --------
    >>> listed(["a", "b", "c"]), listed(["a", "b", "c"], most=1)
    ('a, b and c', 'a and 2 more')
    """
    shown = list(names)
    if most and len(shown) > most:
        shown = [*shown[:most], f"{len(shown) - most} more"]
    if len(shown) == 1:
        return shown[0]
    return f"{', '.join(shown[:-1])} and {shown[-1]}"


def times(count: int, noun: str, plural: str = "") -> str:
    """
    Write how many there are of something.

    Parameters
    ----------
    count : int
        How many.
    noun : str
        Of what, in the singular.
    plural : str
        Where it is not the noun and an s.

    Returns
    -------
    str
        For instance ``"2 rows"``.

    Examples
    --------
    >>> times(1, "row"), times(2, "row")
    ('1 row', '2 rows')
    """
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"
