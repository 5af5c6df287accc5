"""How is a page put together so that nothing of a file's text becomes part of its markup?"""

import json
from collections.abc import Iterable, Sequence
from html import escape
from importlib import resources

# Nothing may be fetched, whatever a script does: the browser enforces it.
_POLICY = (
    "default-src 'none'; script-src {scripts}; style-src 'unsafe-inline'; "
    "img-src data: blob:; font-src data:; connect-src data: blob:; worker-src blob:; "
    "base-uri 'none'; form-action 'none'"
)


def asset(name: str) -> str:
    """
    Return a style sheet or script of our own.

    Parameters
    ----------
    name : str
        File in ``assets``.

    Returns
    -------
    str
        Its text.
    """
    folder = resources.files("provq_protein.reports") / "assets"
    return (folder / name).read_text(encoding="utf-8")


def page(
    title: str,
    body: Iterable[str],
    *,
    styles: Sequence[str],
    scripts: Sequence[str],
    evaluates: bool = False,
) -> str:
    """
    Return a whole page.

    Parameters
    ----------
    title : str
        Its title.
    body : iterable of str
        Markup.
    styles : sequence of str
        Style sheets.
    scripts : sequence of str
        Programs, run in order after the body is there.
    evaluates : bool
        Whether a program makes programs of text, as Mol* does. The browser forbids it otherwise,
        and loading anything from a network in any case.

    Returns
    -------
    str
        HTML.

    Raises
    ------
    ValueError
        If a style sheet or script would end its element.
    """
    for text in (*styles, *scripts):
        if "</style" in text.lower() or "</script" in text.lower():
            msg = "a style sheet or script holds its own end tag"
            raise ValueError(msg)
    policy = _POLICY.format(scripts="'unsafe-inline'" + (" 'unsafe-eval'" if evaluates else ""))
    parts = [
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        '<link rel="icon" href="data:,">',
        f"<title>{escape(title)}</title>",
        *(f"<style>{text}</style>" for text in styles),
        "</head><body><main>",
        *body,
        "</main>",
        *(f"<script>{text}</script>" for text in scripts),
        "</body></html>\n",
    ]
    return "\n".join(parts)


def embedded(name: str, value: object) -> str:
    """
    Return data for a script.

    Parameters
    ----------
    name : str
        Id of the element.
    value : object
        Anything that JSON can hold.

    Returns
    -------
    str
        Markup; no text in `value` can end the element.
    """
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    text = text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
    return f'<script type="application/json" id="{escape(name)}">{text}</script>'


def table(
    columns: Sequence[str], rows: Iterable[Sequence[object]], *, name: str = "", note: str = ""
) -> str:
    """
    Return a table.

    Parameters
    ----------
    columns : sequence of str
        Headings.
    rows : iterable of sequence
        Cells; numbers are set to the right.
    name : str
        Id of the table.
    note : str
        What it shows, read out by screen readers.

    Returns
    -------
    str
        Markup.
    """
    head = "".join(f'<th scope="col">{escape(one)}</th>' for one in columns)
    body = "".join(f"<tr>{''.join(_cell(one) for one in row)}</tr>" for row in rows)
    label = f' aria-label="{escape(note)}"' if note else ""
    opened = f'<div class="scroll"><table id="{escape(name)}"{label}>'
    return f"{opened}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>"


def figure(drawing: str, caption: str) -> str:
    """
    Return a drawing with what one reads in it.

    Parameters
    ----------
    drawing : str
        Markup.
    caption : str
        Markup.

    Returns
    -------
    str
        Markup.
    """
    return f"<figure>{drawing}<figcaption>{caption}</figcaption></figure>"


def facts(pairs: Iterable[tuple[str, object]]) -> str:
    """
    Return names and values.

    Parameters
    ----------
    pairs : iterable of tuple
        Text and value.

    Returns
    -------
    str
        Markup.
    """
    rows = "".join(f"<dt>{escape(name)}</dt><dd>{escape(str(value))}</dd>" for name, value in pairs)
    return f'<dl class="facts">{rows}</dl>'


def _cell(value: object) -> str:
    if isinstance(value, int | float):
        shown = f"{value:,}" if isinstance(value, int) else f"{value:.3f}"
        # Exact and without separators, for sorting.
        return f'<td class="number" data-value="{value}">{shown}</td>'
    return f"<td>{escape(str(value))}</td>"
