"""How is a report written as Markdown?"""

import re
from collections.abc import Sequence
from urllib.parse import quote

from structtokenbench.report.blocks import Block, Bullets, Cell, Heading, Paragraph, Picture, Table

# An underscore inside a word, as in the id of a chain, means nothing to Markdown.
_SPECIAL = re.compile(r"([\\`*<>|]|(?<![^\W_])_|_(?![^\W_]))")


def to_markdown(blocks: Sequence[Block]) -> str:
    """
    Write a report as Markdown.

    Parameters
    ----------
    blocks : sequence of Block
        The report. Figures lie beside the page.

    Returns
    -------
    str
        The text of the page.
    """
    return "\n\n".join(_block(block) for block in blocks) + "\n"


def escaped(text: str) -> str:
    r"""
    Take its meaning from what Markdown would read as markup.

    Parameters
    ----------
    text : str
        Plain text.

    Returns
    -------
    str
        One line.

    Examples
    --------
    >>> print(escaped("1abc_A: <b> | *"))
    1abc_A: \<b\> \| \*
    """
    line = " ".join(text.split())
    return _SPECIAL.sub(r"\\\1", line).replace("](", "]\\(")


def _block(block: Block) -> str:
    match block:
        case Heading():
            return f"{'#' * block.level} {escaped(block.text)}"
        case Paragraph():
            return escaped(block.text)
        case Bullets():
            title = f"{escaped(block.folded)}:\n\n" if block.folded else ""
            return title + "\n".join(f"* {escaped(item)}" for item in block.items)
        case Picture():
            address = quote(f"{block.name}.svg")
            return f"![{escaped(block.caption)}]({address})\n\n{escaped(block.caption)}"
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    lines = [
        [escaped(column.text) for column in table.columns],
        ["---" if column.kind == "text" else "---:" for column in table.columns],
    ]
    for row in table.rows:
        cells = [_cell(cell) for cell in row.cells]
        if row.kind != "plain":
            cells[0] = f"**{cells[0]}**"
        lines.append(cells + [""] * (len(table.columns) - len(cells)))
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def _cell(cell: Cell) -> str:
    text = escaped(cell.text)
    if cell.strong:
        text = f"**{text}**"
    return f"{text} {escaped(cell.detail)}" if cell.detail else text
