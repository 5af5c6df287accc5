"""How is a report written as one HTML file that needs nothing else?"""

import re
from collections.abc import Mapping, Sequence
from html import escape

from structtokenbench.report.blocks import (
    Block,
    Bullets,
    Cell,
    Heading,
    Paragraph,
    Picture,
    Row,
    Table,
)

_STYLE = """\
body { font: 15px/1.5 system-ui, "Segoe UI", "DejaVu Sans", sans-serif; color: #1a1a1a;
  background: #fff; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.7rem; line-height: 1.2; } h2 { margin-top: 2.6rem; font-size: 1.3rem;
  border-bottom: 1px solid #ccc; } h3 { margin-top: 1.8rem; font-size: 1.05rem; }
p, li { max-width: 52rem; overflow-wrap: anywhere; }
.table { overflow-x: auto; margin: 1rem 0; }
table { border-collapse: collapse; font-size: 13px; font-variant-numeric: tabular-nums; }
th, td { padding: .2rem .55rem; text-align: right; vertical-align: baseline; }
th { vertical-align: bottom; border-bottom: 2px solid #1a1a1a; overflow-wrap: anywhere;
  min-width: 3.2rem; max-width: 9rem; }
th.text, td.text { text-align: left; max-width: 30rem; }
th:first-child, td:first-child { position: sticky; left: 0; background: #fff; }
tbody tr { border-bottom: 1px solid #e6e6e6; }
td small { display: block; color: #595959; white-space: nowrap; font-size: 11px; }
.control { color: #4d4d4d; background: #f7f7f4; } .paper { color: #33475b; background: #eef3f8; }
tr.group td { text-align: left; font-weight: 600; background: #f0f0f0; position: static; }
tr.average td { border-top: 1px solid #888; font-weight: 600; }
figure { margin: 1.2rem 0; } figure svg { width: 100%; max-width: 60rem; height: auto; }
figcaption { max-width: 52rem; color: #444; font-size: 13px; }
summary { cursor: pointer; font-weight: 600; }
@media print { .table { overflow: visible; } table { font-size: 9px; } }
"""
_HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
"""


def to_html(blocks: Sequence[Block], pictures: Mapping[str, str], *, title: str) -> str:
    """
    Write a report as HTML.

    Parameters
    ----------
    blocks : sequence of Block
        The report.
    pictures : mapping of str to str
        SVG text of each figure, by its name.
    title : str
        Of the window.

    Returns
    -------
    str
        The page, with figures and style inside; it has no script.
    """
    body = "\n".join(_block(block, pictures) for block in blocks)
    return f"{_HEAD.format(title=escape(title), style=_STYLE)}{body}\n</body>\n</html>\n"


def inline_svg(text: str, name: str, label: str) -> str:
    """
    Turn an SVG file into an element of a page.

    Parameters
    ----------
    text : str
        Content of the file, as matplotlib writes it.
    name : str
        Put before the ids, so that those of two figures differ.
    label : str
        What the figure shows, for those who cannot see it.

    Returns
    -------
    str
        The element, without declarations, metadata and style sheet.
    """
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    # A style sheet inside would hold for the whole page.
    text = re.sub(r"<style.*?</style>", "", text, flags=re.DOTALL)
    text = re.sub(r'\s+xmlns(:\w+)?="[^"]*"', "", text)
    text = re.sub(r'\b(id=")', rf"\1{name}-", text)
    text = re.sub(r'(href="#)', rf"\1{name}-", text)
    text = re.sub(r"(url\(#)", rf"\1{name}-", text)
    start = f'<svg role="img" aria-label="{escape(label)}" style="stroke-linejoin: round"'
    return text.replace("<svg", start, 1).strip()


def _block(block: Block, pictures: Mapping[str, str]) -> str:
    match block:
        case Heading():
            return f"<h{block.level}>{escape(block.text)}</h{block.level}>"
        case Paragraph():
            return f"<p>{escape(block.text)}</p>"
        case Bullets():
            points = "\n".join(f"<li>{escape(item)}</li>" for item in block.items)
            listed = f"<ul>\n{points}\n</ul>"
            if not block.folded:
                return listed
            return f"<details><summary>{escape(block.folded)}</summary>\n{listed}\n</details>"
        case Picture():
            # Ids of elements cannot hold every character that names of files can.
            prefix = re.sub(r"\W", "-", block.name)
            drawn = inline_svg(pictures[block.name], prefix, block.caption)
            return f"<figure>\n{drawn}\n<figcaption>{escape(block.caption)}</figcaption>\n</figure>"
        case Table():
            return _table(block)


def _table(table: Table) -> str:
    head = "".join(
        f'<th scope="col" class="{column.kind}">{escape(column.text)}</th>'
        for column in table.columns
    )
    body = "\n".join(_row(row, table) for row in table.rows)
    return (
        f'<div class="table"><table>\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n'
        "</tbody></table></div>"
    )


def _row(row: Row, table: Table) -> str:
    if row.kind == "group":
        text = escape(row.cells[0].text)
        return f'<tr class="group"><td colspan="{len(table.columns)}">{text}</td></tr>'
    cells = "".join(
        f'<td class="{column.kind}">{_cell(cell)}</td>'
        for column, cell in zip(table.columns, row.cells, strict=True)
    )
    return f'<tr class="{row.kind}">{cells}</tr>'


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.strong:
        text = f"<strong>{text}</strong>"
    return f"{text}<small>{escape(cell.detail)}</small>" if cell.detail else text
