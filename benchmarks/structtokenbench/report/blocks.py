"""What is a report made of, whatever it is written as?"""

from dataclasses import dataclass
from typing import Literal, TypeAlias

ColumnKind = Literal["text", "number", "control", "paper"]
RowKind = Literal["plain", "group", "average"]


@dataclass(frozen=True, slots=True)
class Cell:
    """
    One field of a table.

    Parameters
    ----------
    text : str
        What it says, as plain text.
    detail : str
        Less prominent than the text: an interval.
    strong : bool
        Whether it stands out.
    """

    text: str
    detail: str = ""
    strong: bool = False


@dataclass(frozen=True, slots=True)
class Column:
    """
    Head of a column.

    Parameters
    ----------
    text : str
        What it says, as plain text.
    kind : {"text", "number", "control", "paper"}
        How it is set; the last three are numbers.
    """

    text: str
    kind: ColumnKind = "number"


@dataclass(frozen=True, slots=True)
class Row:
    """
    One line of a table.

    Parameters
    ----------
    cells : tuple of Cell
        One per column; a row of kind ``"group"`` has one in all.
    kind : {"plain", "group", "average"}
        How it is set.
    """

    cells: tuple[Cell, ...]
    kind: RowKind = "plain"


@dataclass(frozen=True, slots=True)
class Table:
    """
    Rows under columns.

    Parameters
    ----------
    columns : tuple of Column
        From left to right.
    rows : tuple of Row
        From top to bottom.
    """

    columns: tuple[Column, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Heading:
    """
    Title of a part.

    Parameters
    ----------
    text : str
        Plain text.
    level : int
        1 for that of the page.
    """

    text: str
    level: int = 2


@dataclass(frozen=True, slots=True)
class Paragraph:
    """
    Some sentences.

    Parameters
    ----------
    text : str
        Plain text.
    """

    text: str


@dataclass(frozen=True, slots=True)
class Bullets:
    """
    A list.

    Parameters
    ----------
    items : tuple of str
        Plain text, one per point.
    folded : str
        Where not empty, the title under which a page may hide the list until it is asked for.
    """

    items: tuple[str, ...]
    folded: str = ""


@dataclass(frozen=True, slots=True)
class Picture:
    """
    A figure.

    Parameters
    ----------
    name : str
        Name of its file, without folder and suffix.
    caption : str
        What is to be seen, as plain text.
    """

    name: str
    caption: str


Block: TypeAlias = Heading | Paragraph | Bullets | Table | Picture


def plain(*texts: str, kind: RowKind = "plain") -> Row:
    """
    Make a row of texts.

    Parameters
    ----------
    *texts : str
        One per column.
    kind : {"plain", "group", "average"}
        Of the row.

    Returns
    -------
    Row
        With one cell per text.

    Examples
    --------
    >>> plain("a", "b").cells[1].text
    'b'
    """
    return Row(tuple(Cell(text) for text in texts), kind)
